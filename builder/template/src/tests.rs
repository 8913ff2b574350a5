//! What docker 20.10 prints for the same templates over the same image, errors with their places, and properties.

use super::value::{Value, field, optional};
use super::{Template, TemplateError};
use proptest::prelude::*;

fn image() -> Value {
    let health = Value::record([
        field("Test", Value::texts(&["CMD", "x"])),
        optional("Interval", Value::Duration(90_000_000_000)),
    ]);
    let labels = [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.into()));
    let config = Value::record([
        field("Env", Value::texts(&["PATH=/bin", "A=1"])),
        field("Cmd", Value::texts(&["<x>"])),
        optional("Healthcheck", health),
        field("Entrypoint", Value::texts::<&str>(&[])),
        field("Labels", Value::map(labels)),
        field("Volumes", Value::map([])),
        optional("Shell", Value::Null),
    ]);
    Value::record([
        field("Id", "sha256:7c61"),
        field("RepoTags", Value::texts(&["app:v1", "example.org/app:v2"])),
        field("Config", config),
        field("Os", "linux"),
        field("Size", 3_u64),
    ])
}

fn try_render(template: &str) -> Result<String, TemplateError> {
    Template::parse(template)?.render(&image())
}

#[track_caller]
fn renders(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        let rendered = try_render(template);
        assert_eq!(rendered.as_deref(), Ok(*expected), "{template}");
    }
}

/// The marked part of the template, the message and the help.
#[track_caller]
fn fails(cases: &[(&str, &str, &str)]) {
    for (template, place, message) in cases {
        let error = try_render(template).expect_err(template);
        let marked = template.get(error.span.clone()).unwrap_or("?");
        let said = format!("{} {}", error.message, error.help.unwrap_or_default());
        assert_eq!(marked, *place, "{template}: {said}");
        assert!(said.contains(message), "{template}: {said}");
    }
}

#[test]
fn json_in_lines_is_that_of_buildx() {
    let value = Value::record([field("A", "<&>").called("a"), field("B", true)]);
    let template = Template::parse("{{json .}}").unwrap();
    let expected = "{\n  \"a\": \"\\u003c\\u0026\\u003e\",\n  \"B\": true\n}";
    assert_eq!(template.indented().render(&value).unwrap(), expected);
}

#[test]
fn fields_are_found() {
    renders(&[
        ("{{.Id}}", "sha256:7c61"),
        ("{{ .Config.Labels.a }}", "1"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{.Config.Labels.zz}}", "<no value>"),
        ("{{.Config.Labels.zz.deeper}}", "<no value>"),
        (
            "{{index .Config.Labels \"b\"}}|{{index .Config.Labels \"zz\"}}",
            "2|",
        ),
        ("{{.Config.Entrypoint}} {{.Config.Volumes}}", "[] map[]"),
        ("{{json .Config.Entrypoint}}", "null"),
        ("{{.Config.Shell}} {{json .Config.Shell}}", "<nil> null"),
        ("{{.Config.Healthcheck}}", "{[CMD x] 1m30s}"),
        (
            "{{json .Config.Healthcheck}}",
            r#"{"Test":["CMD","x"],"Interval":90000000000}"#,
        ),
        ("{{.Size}}\\n", "3\\n"),
        (
            "{{(index .RepoTags 1)}} {{len .RepoTags}}",
            "example.org/app:v2 2",
        ),
        (
            "{{$.Id}} {{with .Config}}{{.Cmd}} {{$.Os}}{{end}}",
            "sha256:7c61 [<x>] linux",
        ),
    ]);
}

#[test]
fn blocks_and_variables() {
    renders(&[
        (
            "{{range .Config.Env}}{{println .}}{{end}}",
            "PATH=/bin\nA=1\n",
        ),
        (
            "{{range $i, $v := .RepoTags}}{{$i}}={{$v}} {{else}}x{{end}}",
            "0=app:v1 1=example.org/app:v2 ",
        ),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
            "a=1;b=2;",
        ),
        ("{{range .Config.Volumes}}x{{else}}none{{end}}", "none"),
        (
            "{{range $v := .RepoTags}}{{if eq $v \"app:v1\"}}{{continue}}{{end}}{{$v}}{{break}}{{end}}",
            "example.org/app:v2",
        ),
        ("{{range 3}}{{.}}{{end}}", "012"),
        (
            "{{if .Config.Shell}}a{{else if .Config.Cmd}}b{{else}}c{{end}}",
            "b",
        ),
        (
            "{{with .Config.Shell}}a{{else with .Config.Cmd}}{{.}}{{end}}",
            "[<x>]",
        ),
        ("{{with $x := .Os}}{{$x}}{{end}}", "linux"),
        (
            "{{$n := 0}}{{range .RepoTags}}{{$n = len .}}{{end}}{{$n}}",
            "18",
        ),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ("a {{- /* c */ -}} b", "ab"),
        ("a  {{- .Os -}}  b", "alinuxb"),
        ("{{if and .Os (not .Config.Shell)}}y{{end}}", "y"),
    ]);
}

#[test]
fn functions_are_gos_and_dockers() {
    renders(&[
        (r#"{{join .RepoTags ","}}"#, "app:v1,example.org/app:v2"),
        (
            r#"{{title "ab cd"}} {{pad "x" 2 3}}| {{truncate "hello" 2}} {{split "a,b" ","}}"#,
            "Ab Cd   x   | he [a b]",
        ),
        (
            r#"{{eq .Os "linux"}} {{ne 1 2}} {{lt 1 2}} {{and 1 0}} {{or 0 ""}} {{not ""}}"#,
            "true true true 0  true",
        ),
        (r#"{{upper .Os | lower | printf "%s-%s" "a"}}"#, "a-linux"),
        (
            r#"{{html "<a>"}} {{urlquery "a b"}} {{js "x"}} {{slice "abc" 1 2}} {{print 1 2 "a" "b" 3}}"#,
            "&lt;a&gt; a+b x b 1 2ab3",
        ),
        (
            r#"{{printf "%s %d %v %q" .Id .Size .Config.Env .Os}}"#,
            r#"sha256:7c61 3 [PATH=/bin A=1] "linux""#,
        ),
        (
            r#"{{printf "%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c" 42 42 42 42 255 255 8 5 65}}"#,
            "   42|42   |00042|+42|ff|FF|10|101|A",
        ),
        (
            r#"{{printf "%.2f %8.3f %e %g %t %%" 3.14159 2.5 12345.678 0.5 true}}"#,
            "3.14    2.500 1.234568e+04 0.5 true %",
        ),
        (
            r#"{{printf "%-8s|%8s|%.2s|%*d" "ab" "cd" "efg" 4 7}}"#,
            "ab      |      cd|ef|   7",
        ),
        (
            r#"{{eq 1 3 2 1}} {{ge 2.5 2.5}} {{eq .Config.Labels.zz "x"}}"#,
            "true true false",
        ),
        (
            r#"{{'a'}} {{0x1F}} {{1e3}} {{"\u00e9\x41\n"}} {{`\n`}} {{nil | json}}"#,
            "97 31 1000 éA\n \\n null",
        ),
        (
            r#"{{json .RepoTags}} {{.Config.Labels | json}}"#,
            r#"["app:v1","example.org/app:v2"] {"a":"1","b":"2"}"#,
        ),
        (
            r#"{{or .Config.Labels.zz "default"}} {{and true .Os}}"#,
            "default linux",
        ),
    ]);
}

#[test]
fn errors_show_their_place() {
    fails(&[
        ("{{.id}}", ".id", "did you mean Id"),
        ("{{.Config.Lables}}", ".Lables", "did you mean Labels"),
        ("{{.Nothing}}", ".Nothing", "there are Id, RepoTags"),
        ("{{.Config.Shell.X}}", ".X", "nil"),
        ("{{.Os.X}}", ".X", "a text has no field"),
        (
            "{{index .RepoTags 5}}",
            "index .RepoTags 5",
            "no item 5 of 2",
        ),
        ("{{range .Os}}x{{end}}", ".Os", "range needs a list"),
        ("{{.Id", "{{.Id", "not closed"),
        ("{{foo}}", "foo", "no function foo"),
        ("{{Id}}", "Id", "fields start with a dot"),
        ("{{jsn .}}", "jsn", "did you mean json"),
        ("{{if}}x{{end}}", "{{if}}", "expected a value"),
        ("{{if .Id}}x", "{{if .Id}}", "not closed by {{end}}"),
        ("x{{end}}", "{{end}}", "does not belong"),
        ("{{else}}", "{{else}}", "does not belong"),
        ("{{if .Id}}{{else}}{{else}}{{end}}", "{{else}}", "already"),
        ("{{$x}}", "$x", "no variable $x"),
        (
            "{{range $a, $b, $c := .RepoTags}}{{end}}",
            "$a, $b, $c",
            "too many",
        ),
        ("{{template \"x\"}}", "template", "do not support"),
        ("{{break}}", "{{break}}", "not inside"),
        ("{{.Id .Os}}", ".Os", "only a function"),
        ("{{.Id | .Os}}", ".Os", "only a function"),
        ("{{len 1 2}}", "len", "takes 1 arguments"),
        ("{{lt 1 \"a\"}}", "lt 1 \"a\"", "cannot be compared"),
        (
            "{{printf \"%d\" .Os}}",
            "printf \"%d\" .Os",
            "%d does not show a text",
        ),
        ("{{printf \"%s\"}}", "printf \"%s\"", "no value for %s"),
        ("{{\"abc}}", "\"", "not closed"),
        ("{{(len .Os}}", "(", "not closed"),
        ("{{.Id}} {{#}}", "#", "unexpected"),
        ("{{/* x }}", "{{/*", "not closed"),
        ("{{1x}}", "1", "not a valid number"),
    ]);
}

#[test]
fn blow_ups_end() {
    let doubling = format!(
        "{{{{$x := \"{}\"}}}}{}",
        "x".repeat(64),
        "{{$x = print $x $x}}".repeat(64)
    );
    let nested = format!("{}x{}", "{{range 1000000}}".repeat(5), "{{end}}".repeat(5));
    for template in [
        doubling.as_str(),
        &nested,
        "{{pad \"x\" 999999999999 1}}",
        "{{printf \"%999999999d\" 1}}",
        "{{range 9999999999}}{{json $}}{{end}}",
        "{{replace \"aaaa\" \"\" (pad \"x\" 9999999 99999999)}}",
    ] {
        try_render(template).expect_err("it has no end");
    }
    for deep in ["(".repeat(100_000), "{{if 1}}".repeat(100_000)] {
        try_render(&format!("{{{{{deep}")).expect_err("it is too deep");
    }
    let deep = format!("{}{}", "{{if 1}}".repeat(101), "{{end}}".repeat(101));
    try_render(&deep).expect_err("it is too deep");
    try_render(&"x".repeat(super::MAX_TEXT + 1)).expect_err("it is too long");
}

proptest! {
    #[test]
    fn any_text_is_a_template_or_an_error_inside_it(text in "(\\{\\{-? ?|\\}\\}|[a-z.$|()\"'`:=,0-9 \\\\]|if |end|range |else|\\PC){0,40}") {
        match Template::parse(&text) {
            Err(error) => prop_assert!(error.span.end <= text.len() && text.get(error.span).is_some()),
            Ok(template) => drop(template.render(&image())),
        }
    }

    #[test]
    fn text_without_actions_stays(text in "[^{]{0,60}") {
        prop_assert_eq!(try_render(&text), Ok(text));
    }

    #[test]
    fn literals_are_read_as_they_are_written(text in "[^\"\\\\\\p{C}]{0,40}", number in any::<i64>()) {
        let template = format!("{{{{\"{text}\"}}}} {{{{{number}}}}}");
        prop_assert_eq!(try_render(&template), Ok(format!("{text} {number}")));
    }

    #[test]
    fn json_comes_back(text in "\\PC{0,30}", number in any::<i64>()) {
        let json = serde_json::json!({"b": [text, number], "a": {"x": null}});
        let rendered = Template::parse("{{json .}}").and_then(|template| template.render(&Value::from(&json)));
        prop_assert_eq!(rendered.map(|text| serde_json::from_str::<serde_json::Value>(&text).ok()), Ok(Some(json)));
    }
}
