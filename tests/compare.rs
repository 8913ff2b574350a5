//! `kiln compare`: variants of an image side by side, in every form, with limits.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::mode::skip;
use crate::support::{Mode, Space, cases, plain_cases};

plain_cases! {
    variants_are_dockerfiles_targets_and_values,
    all_forms_say_the_same,
    images_and_earlier_runs_are_baselines,
    limits_fail,
    names_from_outside_do_no_harm,
    wrong_arguments_are_told,
    a_touched_file_is_measured_in_a_copy,
}

cases! {
    waste_of_a_run_is_found,
}

const FAT: &str = "FROM scratch AS a\nARG N=one\nCOPY big word /\nFROM a AS b\nCOPY word /big\n";
const SLIM: &str = "FROM scratch\nCOPY word /\n";

/// A context with two Dockerfiles.
fn prepare(space: &Space) {
    space.write("word", "word");
    space.write("big", vec![b'x'; 200_000]);
    space.write("Dockerfile.fat", FAT);
    space.write("Dockerfile.slim", SLIM);
}

/// What a comparison of both says, as JSON.
fn compared(space: &Space, arguments: &[&str]) -> Value {
    let context = space.context();
    let context = context.to_str().unwrap();
    let all = ["compare", "--context", context, "--format", "json", "-q"];
    let ran = space.kiln(all).args(arguments).ok();
    serde_json::from_str(&ran.stdout).unwrap()
}

fn names(compared: &Value) -> Vec<&str> {
    let variants = compared["variants"].as_array().unwrap().iter();
    variants
        .map(|variant| variant["name"].as_str().unwrap())
        .collect()
}

fn variants_are_dockerfiles_targets_and_values(space: &Space) {
    prepare(space);
    let both = compared(space, &["Dockerfile.fat", "Dockerfile.slim"]);
    assert_eq!(names(&both), ["Dockerfile.fat", "Dockerfile.slim"]);
    let [fat, slim] = [0, 1].map(|at| &both["variants"][at]);
    assert_eq!(fat["classes"]["overwritten"], 200_000);
    assert!(slim["classes"].get("overwritten").is_none());
    assert_eq!(fat["layers"].as_array().unwrap().len(), 2);
    assert_eq!(fat["files"], 2);
    let sum: u64 = fat["classes"]
        .as_object()
        .unwrap()
        .values()
        .map(|bytes| bytes.as_u64().unwrap())
        .sum();
    assert_eq!(fat["weight"]["uncompressed"], sum);
    for time in ["cold", "unchanged"] {
        assert!(fat["times"][time].as_f64().unwrap() > 0.0, "{fat}");
    }
    let targets = compared(
        space,
        &[
            "Dockerfile.fat",
            "--target",
            "a",
            "--target",
            "b",
            "--no-times",
        ],
    );
    assert_eq!(names(&targets), ["a", "b"]);
    let values = [
        "--build-arg",
        "N=one",
        "--build-arg",
        "N=two",
        "--build-arg",
        "M=x",
    ];
    let values = compared(
        space,
        &[&["Dockerfile.fat", "--no-times"], &values[..]].concat(),
    );
    assert_eq!(names(&values), ["N=one", "N=two"]);
    assert!(
        values["variants"][0]["times"]
            .as_object()
            .unwrap()
            .is_empty()
    );
    // what was only measured is gone
    space.is_clean();
}

fn all_forms_say_the_same(space: &Space) {
    prepare(space);
    let context = space.context();
    let show = |format: &str| {
        let arguments = [
            "compare",
            "-q",
            "--no-times",
            "Dockerfile.fat",
            "Dockerfile.slim",
            "--format",
            format,
            "--context",
        ];
        space.kiln(arguments).arg(&context).ok().stdout
    };
    let table = show("table");
    assert!(
        table.contains("overwritten") && table.contains("Largest causes"),
        "{table}"
    );
    assert!(
        table.contains("Dockerfile.fat: 200kB a later step overwrites"),
        "{table}"
    );
    let markdown = show("markdown");
    assert!(
        markdown.starts_with("|  | Dockerfile.fat | Dockerfile.slim |\n| :-- | --: | --: |\n"),
        "{markdown}"
    );
    assert!(
        markdown.contains("\n**Largest causes**\n\n- Dockerfile.fat: 200kB"),
        "{markdown}"
    );
    let csv = show("csv");
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "{csv}");
    assert!(lines[0].starts_with("variant,id,uncompressed,"), "{csv}");
}

fn images_and_earlier_runs_are_baselines(space: &Space) {
    prepare(space);
    space.build(SLIM).ok();
    let json = space.own().join("before.json");
    let context = space.context();
    let arguments = [
        "compare",
        "-q",
        "--no-times",
        "--format",
        "json",
        "Dockerfile.slim",
        "-o",
    ];
    space
        .kiln(arguments)
        .arg(&json)
        .arg("--context")
        .arg(&context)
        .ok();
    for baseline in ["app", json.to_str().unwrap()] {
        let now = compared(
            space,
            &["Dockerfile.fat", "--no-times", "--baseline", baseline],
        );
        let pulls = &now["variants"][0]["pulls"]["with_baseline"];
        assert!(pulls["bytes"].as_u64().is_some(), "{now}");
        let same = compared(space, &["app", "--baseline", baseline]);
        assert_eq!(same["variants"][0]["pulls"]["with_baseline"]["bytes"], 0);
    }
}

fn limits_fail(space: &Space) {
    prepare(space);
    space.build(SLIM).ok();
    let run = |arguments: &[&str]| {
        let all = ["compare", "-q", "--no-times", "Dockerfile.fat", "--context"];
        space.kiln(all).arg(space.context()).args(arguments)
    };
    run(&[
        "--baseline",
        "app",
        "--fail-over",
        "1MB",
        "--max-waste",
        "99%",
        "--max-size",
        "1MB",
    ])
    .ok();
    let over = run(&["--baseline", "app", "--fail-over", "3%"]).exits(1);
    over.says(&[
        "Dockerfile.fat has 20",
        "more than app; --fail-over allows 3%",
    ]);
    assert!(
        over.stdout.contains("uncompressed"),
        "the table is there too"
    );
    run(&["--max-waste", "100kB"])
        .exits(1)
        .says(&["has 200kB of waste"]);
    let comment = run(&["--max-size", "100kB", "--format", "markdown"]).exits(1);
    assert!(comment.stdout.contains("**Beyond the limit**"), "{comment}");
}

fn names_from_outside_do_no_harm(space: &Space) {
    prepare(space);
    let path = "/<img src=x onerror=alert(1)>/\u{1b}[31m|`@all`";
    let hostile = format!("FROM scratch\nCOPY {}\n", serde_json::json!(["word", path]));
    space.write("=cmd|x", hostile);
    let context = space.context();
    let show = |format: &str| {
        let arguments = [
            "compare",
            "-q",
            "--no-times",
            "=cmd|x",
            "Dockerfile.slim",
            "--format",
            format,
            "--context",
        ];
        space.kiln(arguments).arg(&context).ok().stdout
    };
    assert!(show("csv").contains("\"'=cmd|x\""));
    assert!(show("markdown").contains("=cmd\\|x"));
    let html = show("html");
    assert!(!html.contains("<img"), "{html}");
}

fn wrong_arguments_are_told(space: &Space) {
    prepare(space);
    let fails = |arguments: &[&str], says: &str| {
        let all = ["compare", "-q", "--no-times", "--context"];
        let ran = space.kiln(all).arg(space.context()).args(arguments).run();
        assert!(ran.stderr.contains(says), "{says}\n{ran}");
        ran.status.code()
    };
    let usage = Some(2);
    assert_eq!(
        fails(
            &["Dockerfile.fat", "--fail-over", "3%"],
            "--fail-over needs --baseline"
        ),
        usage
    );
    assert_eq!(
        fails(&["Dockerfile.fat", "--max-waste", "x%"], "not a percentage"),
        usage
    );
    assert_eq!(
        fails(&["Dockerfile.fat", "--", "-t", "x"], "they take no --tag"),
        usage
    );
    assert_eq!(
        fails(&["Dockerfile.fat", "--", "--nonsense"], "--nonsense"),
        usage
    );
    assert_ne!(fails(&["./nowhere"], "nowhere"), Some(0));
    space.write("no.json", "{\"variants\": 5}");
    let json = space.context().join("no.json");
    let json = json.to_str().unwrap();
    assert_eq!(
        fails(
            &["Dockerfile.fat", "--baseline", json],
            "no JSON of a kiln compare"
        ),
        usage
    );
}

fn a_touched_file_is_measured_in_a_copy(space: &Space) {
    prepare(space);
    let before = std::fs::metadata(space.context().join("word"))
        .unwrap()
        .modified()
        .unwrap();
    let touched = compared(space, &["Dockerfile.slim", "--touch", "word"]);
    let variant = &touched["variants"][0];
    assert!(
        variant["times"]["touched"].as_f64().unwrap() > 0.0,
        "{variant}"
    );
    assert!(variant["pulls"]["touched"]["bytes"].is_u64(), "{variant}");
    let word = space.context().join("word");
    assert_eq!(std::fs::read_to_string(&word).unwrap(), "word");
    assert_eq!(
        std::fs::metadata(&word).unwrap().modified().unwrap(),
        before
    );
    let arguments = [
        "compare",
        "-q",
        "Dockerfile.slim",
        "--touch",
        "nothing",
        "--context",
    ];
    let ran = space.kiln(arguments).arg(space.context()).exits(2);
    ran.says(&["has no such file"]);
}

fn waste_of_a_run_is_found(space: &Space) {
    space.write("big", vec![b'x'; 300_000]);
    let text = "FROM tools\nCOPY big /big\nRUN chmod 600 /big\nRUN rm /big\n";
    space.write("Dockerfile", text);
    let tools = format!("tools=host-tools:{}", crate::support::space::TOOLS);
    let found = compared(space, &["--no-times", "--", "--build-context", &tools]);
    let classes = &found["variants"][0]["classes"];
    assert_eq!(classes["rewritten"], 300_000, "{classes}");
    assert_eq!(classes["deleted"], 300_000, "{classes}");
    let lines: Vec<&Value> = found["variants"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["line"])
        .collect();
    assert_eq!(lines.last().unwrap().as_u64(), Some(4), "{found}");
}

/// Debian's browser, if it is there.
fn browser() -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin/chromium");
    path.exists().then_some(path)
}

/// The page after its script ran, as Debian's chromium sees it.
fn drawn(browser: &std::path::Path, page: &std::path::Path, profile: &std::path::Path) -> String {
    let ran = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--dump-dom",
        ])
        .arg("--window-size=1280,900")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn the_page_draws_itself_in_a_browser() {
    let space = Space::new(Mode::Caller).unwrap();
    let Some(browser) = browser() else {
        return skip(
            "compare: the page in a browser",
            Mode::Caller,
            "there is no chromium",
        );
    };
    prepare(&space);
    space.write(
        "<b>x</b>.docker",
        "FROM scratch\nCOPY big /deep/<i>er/\nCOPY word /deep/\n",
    );
    let page = space.own().join("page.html");
    let arguments = [
        "compare",
        "-q",
        "Dockerfile.fat",
        "<b>x</b>.docker",
        "--format",
        "html",
        "-o",
    ];
    space
        .kiln(arguments)
        .arg(&page)
        .arg("--context")
        .arg(space.context())
        .ok();
    assert!(std::fs::metadata(&page).unwrap().len() < 2_000_000);
    let dom = drawn(&browser, &page, &space.own().join("profile"));
    assert!(dom.contains("data-drawn=\"yes\""), "{dom}");
    assert_eq!(dom.matches("<article>").count(), 2, "{dom}");
    // the names are there, as text
    assert!(
        dom.contains("<h2>&lt;b&gt;x&lt;/b&gt;.docker</h2>"),
        "{dom}"
    );
    assert!(dom.contains("class=\"overwritten\""), "{dom}");
    assert!(dom.contains("<td>COPY word /big</td>"), "{dom}");
    // somebody walks into a folder by keyboard and out again, and nothing is wider than its place
    let text = std::fs::read_to_string(&page).unwrap();
    let walking = text.replace("</body>", &format!("<script>{WALK}</script></body>"));
    let walked = space.own().join("walked.html");
    std::fs::write(&walked, walking).unwrap();
    let dom = drawn(&browser, &walked, &space.own().join("profile"));
    let dom = dom.replace("&lt;", "<").replace("&gt;", ">");
    assert!(dom.contains("data-inside=\"<i>er 200kB\""), "{dom}");
    assert!(dom.contains("data-outside=\"deep 200kB\""), "{dom}");
    assert!(dom.contains("data-fits=\"true\""), "{dom}");
}

/// What a user does, and what the page is like then, as attributes of its root.
const WALK: &str = "
const told = document.documentElement.dataset;
const map = document.querySelectorAll('.map')[1];
const within = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
  && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
map.firstChild.click();
told.inside = map.firstChild.title;
told.fits = document.body.scrollWidth <= window.innerWidth
  && [...map.children].every(child => within(child.getBoundingClientRect(), map.getBoundingClientRect()));
document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Backspace', bubbles: true }));
told.outside = document.activeElement.title;
";
