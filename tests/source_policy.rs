//! `--source-policy-file`: what a build may take from outside, and what it takes instead. The rules are BuildKit's.

use std::path::PathBuf;
use std::process::Command;

use kiln_oci::Digest;
use serde_json::{Value, json};

use crate::support::http::{Answer, Server};
use crate::support::repository::{Repository, git};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    a_denied_image_shows_its_line,
    images_are_replaced_wherever_they_are_named,
    addresses_are_denied_moved_and_checked,
    spellings_are_no_way_round,
    backslashes_are_refused,
    redirects_are_judged,
    repositories_are_denied_and_moved,
    contexts_from_outside_count,
    the_variable_counts_too,
    wrong_policies_are_refused,
}

fn policy(space: &Space, rules: &[Value]) -> PathBuf {
    let text = json!({"version": 1, "rules": rules}).to_string();
    space.write_in("own", "policy.json", text)
}

fn rule(action: &str, identifier: &str) -> Value {
    json!({"action": action, "selector": {"identifier": identifier}})
}

fn convert(identifier: &str, after: &str) -> Value {
    json!({"action": "CONVERT", "selector": {"identifier": identifier}, "updates": {"identifier": after}})
}

/// A build of this text under these rules.
fn build(space: &Space, text: &str, rules: &[Value]) -> Kiln {
    policy(space, rules);
    space
        .build(text)
        .args(["--source-policy-file", "policy.json"])
}

/// Makes an image with one file that holds the image's name.
fn image(space: &Space, name: &str) {
    space.write("name", name);
    space
        .build("FROM scratch\nCOPY name /name\n")
        .args(["-t", name])
        .ok();
}

const ALL: &str = "docker-image://*";

fn a_denied_image_shows_its_line(space: &Space) {
    image(space, "one:1");
    let text = "FROM scratch AS first\nCOPY --from=one:1 /name /\nFROM one:1\nCOPY --from=first /name /x\n";
    let denied = build(space, text, &[rule("DENY", ALL)]).exits(1);
    denied.says(&[
        "docker-image://docker.io/library/one:1 is denied by rule 1 of policy.json (DENY docker-image://*)",
        "Dockerfile:2:6",
        "^",
        "the source policy denies",
    ]);
    // The last rule that matches decides.
    let one = "docker-image://docker.io/library/one:*";
    build(space, text, &[rule("DENY", ALL), rule("ALLOW", one)]).ok();
    build(space, text, &[rule("ALLOW", one), rule("DENY", ALL)]).exits(1);
    // What only lends files is asked about too, and an ID is no way round.
    let lent = "FROM scratch\nCOPY --from=one:1 /name /\n";
    build(space, lent, &[rule("DENY", one)])
        .exits(1)
        .says(&["Dockerfile:2"]);
    let by_id = format!("FROM {}\n", space.id("one:1"));
    build(space, &by_id, &[rule("DENY", ALL)])
        .exits(1)
        .says(&["is denied by rule 1"]);
    // Nor is the start of one, which looks like a name of docker.io, or an ID where the name is denied.
    let (id, library) = (space.id("one:1"), "docker-image://docker.io/library/*");
    let short = id.trim_start_matches("sha256:")[..12].to_owned();
    let by_start = format!("FROM {short}\n");
    let rules = [rule("DENY", ALL), rule("ALLOW", library)];
    let denied = build(space, &by_start, &rules).exits(1);
    denied.says(&[&format!("docker-image://{id} is denied by rule 1")]);
    let denied = build(space, &by_start, &[rule("DENY", one)]).exits(1);
    denied.says(&["library/one:1 is denied by rule 1"]);
    build(space, &by_start, &[rule("DENY", "docker-image://x/*")]).ok();
    // scratch and the host's programs come from nowhere.
    build(space, "FROM tools\nRUN echo ran\n", &[rule("DENY", "*")]).ok();
}

fn images_are_replaced_wherever_they_are_named(space: &Space) {
    image(space, "one:1");
    image(space, "two:1");
    image(space, "mirror.invalid/library/two:1");
    let text = "FROM one:1\nCOPY --from=one:1 /name /copied\nCOPY --from=named /name /named\n";
    let files = |rules: &[Value]| {
        let named = ["--build-context", "named=docker-image://one:1"];
        build(space, text, rules).args(named).ok();
        let image = space.image("app");
        ["name", "copied", "named"].map(|file| image.text(file))
    };
    assert_eq!(files(&[]), ["one:1"; 3]);
    let to_two = convert(
        "docker-image://docker.io/library/one:*",
        "docker-image://docker.io/library/two:${1}",
    );
    // Nothing of what was built without the rule is taken for it.
    assert_eq!(files(std::slice::from_ref(&to_two)), ["two:1"; 3]);
    let mirrored = convert(
        "docker-image://docker.io/*",
        "docker-image://mirror.invalid/${1}",
    );
    assert_eq!(
        files(&[to_two.clone(), mirrored]),
        ["mirror.invalid/library/two:1"; 3]
    );
    assert_eq!(files(&[]), ["one:1"; 3]);
    // What it becomes is judged like everything else.
    let denied = rule("DENY", "docker-image://docker.io/library/two:*");
    build(space, text, &[to_two, denied])
        .exits(1)
        .says(&["two:1 is denied by rule 2"]);
    let circle = [
        convert(
            "docker-image://docker.io/library/one:1",
            "docker-image://docker.io/library/two:1",
        ),
        convert(
            "docker-image://docker.io/library/two:1",
            "docker-image://docker.io/library/one:1",
        ),
    ];
    build(space, text, &circle)
        .exits(1)
        .says(&["again and again"]);
    let gone = convert(
        "docker-image://docker.io/library/one:1",
        "docker-image://gone.invalid/x",
    );
    let missing = build(space, text, &[gone]).arg("--offline");
    let named = missing.args(["--build-context", "named=docker-image://two:1"]);
    named.exits(1).says(&[
        "gone.invalid/x:latest",
        "a source policy puts it in the place of one:1",
    ]);
    let other = convert(
        "docker-image://docker.io/library/one:1",
        "https://example.com/",
    );
    build(space, text, &[other])
        .exits(1)
        .says(&["an image stays an image"]);
}

fn addresses_are_denied_moved_and_checked(space: &Space) {
    let server = Server::start();
    server.set("/one", Answer::file("one"));
    server.set("/two", Answer::file("two"));
    let (one, two) = (server.url("/one"), server.url("/two"));
    let text = format!("FROM scratch\nADD {one} /\n");
    let denied = build(space, &text, &[rule("DENY", "http://*")]).exits(1);
    denied.says(&["/one is denied by rule 1", "Dockerfile:2", "^"]);
    assert!(server.asked().is_empty());
    let added = |rules: &[Value]| {
        build(space, &text, rules).ok();
        space.image("app").text("one")
    };
    assert_eq!(added(&[]), "one");
    assert_eq!(added(&[convert(&one, &two)]), "two");
    let checked = |checksum: &str| {
        let attributes = json!({"attrs": {"http.checksum": checksum}});
        json!({"action": "CONVERT", "selector": {"identifier": "http://*"}, "updates": attributes})
    };
    assert_eq!(added(&[checked(&Digest::of(b"one").to_string())]), "one");
    let wrong = checked(&Digest::of(b"other").to_string());
    build(space, &text, &[wrong])
        .exits(1)
        .says(&["Dockerfile:2", "sha256:"]);
    let unknown = json!({"action": "CONVERT", "selector": {"identifier": "http://*"},
        "updates": {"attrs": {"http.perm": "7"}}});
    build(space, &text, &[unknown])
        .exits(1)
        .says(&["attribute http.perm"]);
    // A password is no part of what rules see, and no way round them.
    let secret = text.replace("http://", "http://me:secret@");
    let denied = build(space, &secret, &[rule("DENY", &one)]).exits(1);
    denied
        .says(&["is denied by rule 1"])
        .never_says(&["denied by secret", "me:secret@127.0.0.1 is"]);
}

fn spellings_are_no_way_round(space: &Space) {
    let server = Server::start();
    server.set("/secret", Answer::file("secret"));
    let allowed = server.url("/ok/*");
    let rules = [rule("DENY", "*"), rule("ALLOW", &allowed)];
    for path in ["/ok/../secret", "/ok/%2e%2e/secret"] {
        let url = server.url(path);
        let text = format!("FROM scratch\nADD {url} /x\n");
        let denied = build(space, &text, &rules).exits(1);
        denied.says(&[&server.url("/secret"), "is denied by rule 1"]);
        let upper = url.replace("http:", "HTTP:").replace("/ok/../", "/");
        let text = format!("FROM scratch\nADD {upper} /x\n");
        let denied = [rule("DENY", &server.url("/secret"))];
        build(space, &text, &denied).exits(1);
    }
    for path in ["/ok/..%2fsecret", "/ok/%2e%2e/git/one.git"] {
        let text = format!("FROM scratch\nADD {} /x\n", server.url(path));
        build(space, &text, &rules).exits(1);
    }
    assert!(server.asked().is_empty());
}

fn redirects_are_judged(space: &Space) {
    let server = Server::start();
    server.set("/secret", Answer::file("secret"));
    let secret = server.url("/secret");
    let redirect = Answer::status("302 Found").header("Location", &secret);
    server.set("/ok", redirect);
    let text = format!("FROM scratch\nADD {} /x\n", server.url("/ok"));
    let denied = build(space, &text, &[rule("DENY", &secret)]).exits(1);
    denied.says(&["Dockerfile:2", "/secret is denied by rule 1"]);
    assert_eq!(server.asked().len(), 1);
    build(space, &text, &[rule("ALLOW", &secret)]).ok();
}

/// The client takes them for the end of the host, and others do not.
fn backslashes_are_refused(space: &Space) {
    let (server, other) = (Server::start(), Server::start());
    server.set("/", Answer::file("FROM scratch\n"));
    let host = |server: &Server| server.url("").replace("http://", "");
    let url = format!("http://{}\\@{}/ok/o.txt", host(&server), host(&other));
    let context = space.context().display().to_string();
    space.write("Dockerfile", "FROM scratch\nCOPY --from=x context /\n");
    let named = format!("x={url}");
    for rules in [vec![], vec![rule("DENY", &server.url("/*"))]] {
        for text in [
            format!("FROM scratch\nARG U={url}\nADD $U /\n").replace('\\', "\\\\"),
            format!(
                "FROM scratch\nADD [\"{}\", \"/\"]\n",
                url.replace('\\', "\\\\\\\\")
            ),
        ] {
            let refused = build(space, &text, &rules).exits(1);
            refused.says(&["an address holds no backslash"]);
        }
        space.write("Dockerfile", "FROM scratch\nCOPY --from=x context /\n");
        for arguments in [
            vec![url.as_str()],
            vec!["-f", &url, &context],
            vec!["--build-context", &named, &context],
        ] {
            policy(space, &rules);
            let build = space.kiln(["build", "--source-policy-file", "policy.json"]);
            let refused = build.args(&arguments).exits(1);
            refused.says(&["an address holds no backslash"]);
        }
    }
    assert!(server.asked().is_empty() && other.asked().is_empty());
}

fn repositories_are_denied_and_moved(space: &Space) {
    for name in ["one", "two"] {
        let repository = Repository::new(space, name);
        repository.write("name", name);
        git(&repository.work(), &["add", "-A"]);
        git(&repository.work(), &["commit", "-q", "-m", name]);
        repository.publish();
    }
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let text = format!("FROM scratch\nADD {} /\n", server.url("/git/one.git"));
    let identifier = |name: &str| {
        server
            .url(&format!("/git/{name}.git"))
            .replace("http:", "git:")
    };
    let denied = build(space, &text, &[rule("DENY", "git://*")]).exits(1);
    denied.says(&[&identifier("one"), "is denied by rule 1", "Dockerfile:2"]);
    build(space, &text, &[rule("DENY", "http://*")]).ok();
    assert_eq!(space.image("app").text("name"), "one");
    build(
        space,
        &text,
        &[convert(&identifier("one"), &identifier("two"))],
    )
    .ok();
    assert_eq!(space.image("app").text("name"), "two");
}

fn contexts_from_outside_count(space: &Space) {
    let server = Server::start();
    server.set(
        "/Dockerfile",
        Answer::file("FROM scratch\nLABEL which=one\n"),
    );
    server.set("/other", Answer::file("FROM scratch\nLABEL which=two\n"));
    let url = server.url("/Dockerfile");
    let run = |rules: &[Value], arguments: &[&str]| {
        policy(space, rules);
        let build = space.kiln(["build", "-t", "app", "--source-policy-file", "policy.json"]);
        build.args(arguments)
    };
    let denied = [rule("DENY", &url)];
    run(&denied, &[&url])
        .exits(1)
        .says(&["/Dockerfile is denied by rule 1"]);
    let context = space.context().display().to_string();
    run(&denied, &["-f", &url, &context])
        .exits(1)
        .says(&["is denied by rule 1"]);
    let named = format!("x={url}");
    let with_name = [
        "--build-context",
        named.as_str(),
        "-f",
        "Dockerfile",
        context.as_str(),
    ];
    space.write("Dockerfile", "FROM scratch\nCOPY --from=x context /\n");
    run(&denied, &with_name)
        .exits(1)
        .says(&["is denied by rule 1"]);
    let which = || space.image("app").setting("Labels")["which"].clone();
    let moved = [convert(&url, &server.url("/other"))];
    for arguments in [vec![url.as_str()], vec!["-f", &url, &context]] {
        run(&[], &arguments).ok();
        assert_eq!(which(), "one");
        run(&moved, &arguments).ok();
        assert_eq!(which(), "two");
    }
}

fn the_variable_counts_too(space: &Space) {
    image(space, "one:1");
    policy(space, &[rule("DENY", ALL)]);
    space.write_in(
        "own",
        "allow.json",
        json!({"rules": [rule("ALLOW", ALL)]}).to_string(),
    );
    let build = || {
        let build = space.build("FROM one:1\n");
        build.env("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", "policy.json")
    };
    build().exits(1).says(&["denied by rule 1 of policy.json"]);
    // The command line takes nothing back.
    build()
        .args(["--source-policy-file", "allow.json"])
        .exits(1);
    space
        .build("FROM one:1\n")
        .env("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", "")
        .ok();
}

fn wrong_policies_are_refused(space: &Space) {
    let refused = |text: &str, why: &[&str]| {
        space.write_in("own", "policy.json", text);
        let build = space.build("FROM scratch\n");
        let refused = build.args(["--source-policy-file", "policy.json"]).exits(2);
        refused
            .says(&["--source-policy-file policy.json: "])
            .says(why);
    };
    refused("{", &["line 1"]);
    refused(
        "{\"rules\":[\n{\"action\":\"BAN\",\"selector\":{\"identifier\":\"*\"}}]}",
        &["unknown action \"BAN\"", "ALLOW, DENY, CONVERT", "line 2"],
    );
    refused(
        "{\"rules\":[{\"selector\":{\"identifier\":\"*\",\"matchType\":\"GLOB\"}}]}",
        &["unknown match type \"GLOB\""],
    );
    refused(
        "{\"rules\":[{\"selector\":{\"identifier\":\"*\"}},{\"selector\":{\"identifier\":\"(\",\"matchType\":\"REGEX\"}}]}",
        &["rule 2: "],
    );
    refused("[1,[]]", &["a policy has to be an object"]);
    // A pipe is read as a file is.
    let piped = space.build("FROM scratch\nADD http://127.0.0.1:1/a /\n");
    let piped = piped.args(["--source-policy-file", "pipe"]);
    let deny = json!({"rules": [rule("DENY", "*")]}).to_string();
    let pipe = space
        .write_in("own", "deny.json", "")
        .with_file_name("pipe");
    let made = Command::new("mkfifo")
        .args(["-m", "666"])
        .arg(&pipe)
        .status();
    assert!(made.unwrap().success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, deny));
    piped.exits(1).says(&["rule 1 of pipe"]);
    writer.join().unwrap().unwrap();
    let missing = space
        .build("FROM scratch\n")
        .args(["--source-policy-file", "nowhere.json"]);
    missing
        .exits(2)
        .says(&["--source-policy-file", "nowhere.json"]);
}
