//! Rules and their order; what becomes of images, files and repositories.

use super::*;
use kiln_parser::graph::GitSource;

fn policy(rules: &str) -> Policy {
    Policy::parse("p.json", &format!("{{\"version\":1,\"rules\":[{rules}]}}")).unwrap()
}

fn rule(action: &str, identifier: &str, more: &str) -> String {
    format!("{{\"action\":\"{action}\",\"selector\":{{\"identifier\":\"{identifier}\"{more}}}}}")
}

fn convert(identifier: &str, kind: &str, after: &str) -> String {
    format!(
        "{{\"action\":\"CONVERT\",\"selector\":{{\"identifier\":\"{identifier}\",\"matchType\":\"{kind}\"}},\
         \"updates\":{{\"identifier\":\"{after}\"}}}}"
    )
}

fn image(rules: &[String], name: &str) -> Result<String, String> {
    let source = Source::image(name);
    let converted = evaluate(&[policy(&rules.join(","))], &source);
    let converted = converted.map_err(|refusal| refusal.to_string())?;
    Ok(converted
        .map_or(source, |converted| converted.source)
        .identifier)
}

#[test]
fn the_last_of_allow_and_deny_decides() {
    let (all, alpine) = (
        "docker-image://*",
        "docker-image://docker.io/library/alpine:*",
    );
    let rules = [rule("DENY", all, ""), rule("ALLOW", alpine, "")];
    assert_eq!(
        image(&rules, "alpine").unwrap(),
        "docker-image://docker.io/library/alpine:latest"
    );
    let refused = image(&rules, "example.org/x").unwrap_err();
    assert_eq!(
        refused,
        "docker-image://example.org/x:latest is denied by rule 1 of p.json (DENY docker-image://*)"
    );
    let rules = [rule("ALLOW", alpine, ""), rule("DENY", all, "")];
    assert!(
        image(&rules, "alpine")
            .unwrap_err()
            .contains("rule 2 of p.json")
    );
    assert_eq!(
        image(&[], "a").unwrap(),
        "docker-image://docker.io/library/a:latest"
    );
}

#[test]
fn converting_starts_again() {
    let name = |name: &str| format!("docker-image://docker.io/library/{name}");
    let chain = [
        convert(&name("a:latest"), "EXACT", &name("b:1")),
        convert(&name("b:*"), "WILDCARD", &name("c:${1}")),
        rule("DENY", &name("a:latest"), ""),
    ];
    assert_eq!(image(&chain, "a").unwrap(), name("c:1"));
    let denied = [
        rule("DENY", &name("b:*"), ""),
        convert(&name("a:latest"), "EXACT", &name("b:1")),
    ];
    assert!(
        image(&denied, "a")
            .unwrap_err()
            .contains("library/b:1 is denied by rule 1")
    );
    let circle = [
        convert(&name("a:latest"), "EXACT", &name("b:latest")),
        convert(&name("b:latest"), "EXACT", &name("a:latest")),
    ];
    assert!(image(&circle, "a").unwrap_err().contains("again and again"));
    // what stays the same goes on to the next rule
    let same = [
        convert(&name("a:*"), "WILDCARD", &name("a:${1}")),
        rule("DENY", &name("a:*"), ""),
    ];
    assert!(image(&same, "a").unwrap_err().contains("rule 2"));
}

#[test]
fn wildcards_and_expressions_lend_their_parts() {
    let mirror = convert(
        "docker-image://docker.io/*/*",
        "WILDCARD",
        "docker-image://m.example/${1}-${2}",
    );
    assert_eq!(
        image(&[mirror], "alpine:3").unwrap(),
        "docker-image://m.example/library-alpine:3"
    );
    let regex = convert("docker\\\\.io/(\\\\w+)/a", "REGEX", "m.example/$1/b");
    assert_eq!(
        image(&[regex], "a:1").unwrap(),
        "docker-image://m.example/library/b:1"
    );
    let exact = rule(
        "DENY",
        "docker-image://docker.io/library/*",
        ",\"matchType\":\"EXACT\"",
    );
    assert!(image(&[exact], "a").is_ok());
}

#[test]
fn several_policies_have_to_agree() {
    let all = "docker-image://*";
    let policies = [
        policy(&rule("DENY", all, "")),
        policy(&rule("ALLOW", all, "")),
    ];
    assert!(evaluate(&policies, &Source::image("a")).is_err());
}

#[test]
fn attributes_are_compared_and_set() {
    let url = "https://example.com/a";
    let checksum = "{\"action\":2,\"selector\":{\"identifier\":\"https://example.com/*\",\"match_type\":0,\"constraints\":\
        [{\"key\":\"http.checksum\",\"condition\":\"EQUAL\"},{\"key\":\"x\",\"value\":\"y\",\"condition\":\"NOTEQUAL\"},\
        {\"key\":\"x\",\"value\":\"^$\",\"condition\":2}]},\"updates\":{\"attrs\":{\"http.checksum\":\"sha256:ab\"}}}";
    let made = |given: Option<&str>| {
        let found = evaluate(
            &[policy(checksum)],
            &Source::file("https://me:pw@example.com/a", given).unwrap(),
        );
        found.unwrap().map(|made| made.source)
    };
    let after = made(None).unwrap();
    assert_eq!(
        after.clone().into_file(url),
        Ok((url.to_owned(), Some("sha256:ab".to_owned())))
    );
    // the address with its password is still the one that was asked for
    let secret = "https://me:pw@example.com/a";
    assert_eq!(after.into_file(secret).unwrap().0, secret);
    assert!(made(Some("sha256:cd")).is_none());
}

#[test]
fn sources_keep_their_kind() {
    let other = |identifier: &str| Source {
        identifier: identifier.to_owned(),
        attributes: BTreeMap::new(),
    };
    assert_eq!(
        other("docker-image://b").into_image().unwrap(),
        "docker.io/library/b:latest"
    );
    assert!(other("https://b").into_image().is_err());
    assert!(other("docker-image://B").into_image().is_err());
    assert!(other("docker-image://b").into_file("https://a").is_err());
    let mut unknown = Source::image("b");
    unknown.attributes.insert("x".to_owned(), String::new());
    assert!(unknown.into_image().unwrap_err().contains("attribute x"));
}

#[test]
fn repositories_go_elsewhere() {
    let git = |address: &str| GitSource::parse(address).unwrap().unwrap();
    let moved = |address: &str, after: &str| {
        let before = git(address);
        let identifier = Source::git(&before).identifier;
        let rules = policy(&convert(&identifier, "EXACT", after));
        let converted = evaluate(&[rules], &Source::git(&before)).unwrap().unwrap();
        (identifier, converted.source.into_git(&before))
    };
    let (identifier, made) = moved("https://me:pw@h/a.git#v1:docs", "git://m/b.git#v2");
    assert_eq!(identifier, "git://h/a.git#v1:docs");
    let made = made.unwrap();
    assert_eq!(
        (made.remote.as_str(), made.reference.as_deref(), made.subdir),
        ("https://m/b.git", Some("v2"), None)
    );
    let (identifier, made) = moved("git@h:a/b", "git://m/c/d");
    assert_eq!(
        (identifier.as_str(), made.unwrap().remote.as_str()),
        ("git://h/a/b", "git@m:c/d")
    );
    let (_, made) = moved("ssh://git@h:22/a", "git://m/a");
    assert_eq!(made.unwrap().remote, "ssh://git@m/a");
    assert!(moved("https://h/a.git", "https://m/a").1.is_err());
    // one spelling of hosts and ports
    let (identifier, _) = moved("ssh://git@H:22/a", "git://m/a");
    assert_eq!(identifier, "git://h/a");
    // another commit of the same repository keeps its password
    let (_, made) = moved("https://me:pw@h/a.git", "git://h/a.git#v1");
    assert_eq!(made.unwrap().remote, "https://me:pw@h/a.git");
}

#[test]
fn what_is_unknown_is_an_error() {
    let wrong = |text: &str, why: &str| {
        let error = Policy::parse("p", text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    wrong("{", "line 1 column");
    wrong("{\"version\":2}", "version 2");
    wrong(
        "{\"rules\":[{\"selector\":{\"identifier\":\"a\"},\n\"action\":\"BAN\"}]}",
        "unknown action \"BAN\", expected one of ALLOW, DENY, CONVERT at line 2",
    );
    wrong(
        "{\"rules\":[{\"action\":3,\"selector\":{\"identifier\":\"a\"}}]}",
        "expected one of ALLOW",
    );
    wrong(
        "{\"rules\":[{\"selector\":{\"identifier\":\"a\",\"matchType\":\"GLOB\"}}]}",
        "unknown match type \"GLOB\"",
    );
    wrong(
        "{\"rules\":[{\"selecter\":{}}]}",
        "unknown field `selecter`",
    );
    wrong(
        "{\"rules\":[{\"selector\":{\"identifier\":\"\"}}]}",
        "rule 1: its selector",
    );
    wrong(
        "{\"rules\":[{\"selector\":{\"identifier\":\"a**\"}}]}",
        "rule 1: \"a**\" holds **",
    );
    wrong(
        "{\"rules\":[{\"selector\":{\"identifier\":\"(\",\"matchType\":\"REGEX\"}}]}",
        "rule 1: \"(\" is no regular expression",
    );
    wrong(
        &format!("{{\"rules\":[{}]}}", rule("CONVERT", "a", "")),
        "rule 1: CONVERT needs updates",
    );
    wrong("[1,[]]", "a policy has to be an object");
    wrong(
        "{\"rules\":[[\"DENY\",{\"identifier\":\"a\"},null]]}",
        "a rule has",
    );
    wrong(
        "{\"rules\":[{\"selector\":[\"a\",0,[]]}]}",
        "a selector has",
    );
    for updates in ["{}", "{\"attrs\":{}}"] {
        let text = format!(
            "{{\"rules\":[{{\"action\":\"CONVERT\",\"updates\":{updates},\"selector\":{{\"identifier\":\"a\"}}}}]}}"
        );
        wrong(&text, "an identifier or attrs");
    }
    assert!(Policy::parse("p", "{\"rules\":null}").is_ok());
}
