//! Credentials reach the server that they are for and are nowhere else: not in layers, config, history, names, logs, events, errors,
//! nor in any file of the store. Those of files, repositories and registries, in secrets and in addresses; keys of SSH.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::http::{Answer, Server};
use crate::support::mode::skip;
use crate::support::registry::{Guard, Registry};
use crate::support::repository::Repository;
use crate::support::traces::holders;
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    those_of_files_are_nowhere,
    those_of_repositories_are_nowhere,
    those_of_contexts_are_nowhere,
    those_of_registries_are_nowhere,
    keys_are_nowhere,
}

/// Unlike anything else.
const PASSWORDS: [&str; 3] = [
    "Zq7-in-the-address",
    "Zq8-of-an-argument",
    "Zq9-in-a-secret",
];

/// The passwords as they may be written.
fn forms() -> Vec<String> {
    let encoded = |text: String| STANDARD.encode(text).trim_end_matches('=').to_owned();
    let forms = PASSWORDS.iter().flat_map(|password| {
        [
            (*password).to_owned(),
            encoded(format!("me:{password}")),
            encoded(format!("x-access-token:{password}")),
        ]
    });
    forms.collect()
}

fn said_nothing(finished: &Finished) {
    for form in forms() {
        finished.never_says(&[&form]);
        assert!(!finished.stdout.contains(&form), "{finished}");
    }
}

fn are_nowhere(space: &Space) {
    let forms = forms();
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    assert_eq!(
        holders(&space.store(), &forms),
        [""; 0],
        "a password is there"
    );
    for command in ["inspect", "history"] {
        let shown = space.kiln([command, "app"]).ok();
        said_nothing(&shown);
    }
    space.kiln(["save", "-o", "app.tar", "app"]).ok();
    let found = holders(&space.own(), &forms);
    let found: Vec<&String> = found
        .iter()
        .filter(|found| found.contains("app.tar"))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

/// As much as kiln tells.
fn verbose(kiln: Kiln, style: &str) -> Kiln {
    kiln.env("KILN_LOG", "trace")
        .env("KILN_PROGRESS", style)
        .env("TOKEN", PASSWORDS[2])
}

/// `http://me:PASSWORD@HOST/path`
fn with_password(url: &str, password: &str) -> String {
    url.replacen("http://", &format!("http://me:{password}@"), 1)
}

fn those_of_files_are_nowhere(space: &Space) {
    let server = Server::start();
    for path in ["/address", "/argument", "/secret"] {
        server.set(path, Answer::file("content"));
    }
    let text = format!(
        "FROM tools\nARG URL\nADD {} /a\nADD $URL /b\nADD {} /c\nRUN cat /a\nONBUILD ADD $URL /\n",
        with_password(&server.url("/address"), PASSWORDS[0]),
        server.url("/secret"),
    );
    let argument = format!(
        "URL={}",
        with_password(&server.url("/argument"), PASSWORDS[1])
    );
    for style in ["plain", "json"] {
        let build = |text: &str| {
            verbose(space.build(text), style).args(["--no-cache", "--build-arg", &argument])
        };
        let secret = ["--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN"];
        said_nothing(&build(&text).args(secret).ok());
        let missing = text.replace("$URL", "${URL}missing");
        said_nothing(&build(&missing).args(secret).exits(1));
        said_nothing(&build("FROM scratch\nARG URL\nADD --checksum=sha256:00 $URL /\n").exits(1));
    }
    let sent: Vec<_> = server
        .asked()
        .into_iter()
        .filter_map(|asked| asked.headers.get("authorization").cloned())
        .collect();
    assert!(
        sent.contains(&format!("Bearer {}", PASSWORDS[2])),
        "{sent:?}"
    );
    are_nowhere(space);
}

fn those_of_repositories_are_nowhere(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write("file", "text");
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let url = server.url("/git/app.git");
    let text = format!(
        "FROM scratch\nARG URL\nADD --keep-git-dir=true {} /a\nADD $URL#main /b\nADD {url} /c\n",
        with_password(&url, PASSWORDS[0])
    );
    let argument = format!("URL={}", with_password(&url, PASSWORDS[1]));
    for (style, secret) in [
        ("plain", "GIT_AUTH_TOKEN"),
        ("json", "GIT_AUTH_HEADER.127.0.0.1"),
    ] {
        let secret = format!("id={secret},env=TOKEN");
        let build = |text: &str| {
            verbose(space.build(text), style).args([
                "--no-cache",
                "--build-arg",
                &argument,
                "--secret",
                &secret,
            ])
        };
        said_nothing(&build(&text).ok());
        said_nothing(&build(&text.replace("#main", "#missing")).exits(1));
    }
    are_nowhere(space);
}

fn those_of_contexts_are_nowhere(space: &Space) {
    let repository = Repository::new(space, "app");
    repository.write(
        "Dockerfile",
        "FROM scratch\nCOPY file /\nCOPY --from=more file /more\n",
    );
    repository.write("file", "text");
    repository.commit();
    let server = Server::start();
    server.serve_repositories(&space.path("repositories"));
    let url = |number: usize| with_password(&server.url("/git/app.git"), PASSWORDS[number]);
    for style in ["plain", "json"] {
        let build = |context: String| {
            let more = format!("more={}", url(1));
            let build = space.kiln([
                "build",
                "--no-cache",
                "-t",
                "app",
                "--build-context",
                &more,
                &context,
            ]);
            verbose(build, style).args(["--secret", "id=GIT_AUTH_TOKEN,env=TOKEN"])
        };
        said_nothing(&build(url(0)).ok());
        said_nothing(&build(url(0) + "#missing").exits(1));
    }
    are_nowhere(space);
}

fn those_of_registries_are_nowhere(space: &Space) {
    let registry = Registry::start(Guard::Basic);
    let name = format!("{}/app:v1", registry.host);
    let login = space.kiln(["login", "-u", "user", "--password-stdin", &registry.host]);
    let told = |finished: &Finished| {
        let encoded = STANDARD.encode("user:password");
        finished.never_says(&["user:password", &encoded]);
        assert!(!finished.stdout.contains(&encoded), "{finished}");
    };
    told(&verbose(login.stdin("password\n"), "plain").ok());
    space.write("file", "text");
    let build = |text: &str| verbose(space.build(text), "json");
    told(&build("FROM scratch\nCOPY file /\n").ok());
    space.kiln(["tag", "app", &name]).ok();
    told(&verbose(space.kiln(["push", &name]), "plain").ok());
    space.kiln(["rmi", &name]).ok();
    told(
        &build(&format!("FROM {name}\nCOPY file /more\n"))
            .arg("--pull")
            .ok(),
    );
    told(&verbose(space.kiln(["pull", &name]), "plain").ok());
    let encoded = STANDARD.encode("user:password");
    assert_eq!(
        holders(&space.store(), &["user:password", &encoded]),
        [""; 0]
    );
}

fn keys_are_nowhere(space: &Space) {
    if !Path::new("/usr/bin/ssh-agent").exists() || !Path::new("/usr/bin/ssh-keygen").exists() {
        skip("keys of SSH", space.mode, "there is no openssh-client");
        return;
    }
    let mut keygen = Kiln::of("ssh-keygen", space.account())
        .args(["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
    keygen.command().current_dir(space.own());
    keygen.ok();
    let key = std::fs::read_to_string(space.own().join("key")).unwrap();
    // The lines behind those that all keys share.
    let private: Vec<&str> = key
        .lines()
        .skip(3)
        .filter(|line| !line.starts_with('-'))
        .collect();
    assert!(!private.is_empty());
    let build = space.build("FROM tools\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK\n");
    let built = verbose(build, "plain").args(["--ssh", "default=key"]).ok();
    built.never_says(&private);
    assert_eq!(holders(&space.store(), &private), [""; 0]);
}
