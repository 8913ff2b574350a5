//! Which Dockerfile is read, and what becomes of one that is not UTF-8. Unaware of the language.

use crate::support::http::{Answer, Server};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_lower_case_name_is_found,
    a_lower_case_name_is_found_in_what_is_fetched,
    bytes_that_are_no_utf8_are_replaced,
    what_an_older_build_left_goes,
}

fn labelled(value: &str) -> String {
    format!("FROM scratch\nLABEL from={value}\n")
}

fn a_lower_case_name_is_found(space: &Space) {
    let context = space.context();
    let build = |arguments: &[&str]| {
        let build = space.kiln(["build", "-t", "app"]).args(arguments);
        build.arg(&context)
    };
    let label = |arguments: &[&str]| {
        build(arguments).ok();
        let config = space.image("app").config;
        config["config"]["Labels"]["from"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let file = context.join("Dockerfile");
    let file = file.to_str().unwrap();
    space.write("Containerfile", labelled("Containerfile"));
    assert_eq!(label(&[]), "Containerfile");
    build(&["-f", file]).exits(2).says(&["no Dockerfile"]);
    space.write("dockerfile", labelled("dockerfile"));
    space.write("dockerfile.dockerignore", "*\n");
    space.write("sub/dockerfile", labelled("sub"));
    assert_eq!(label(&[]), "dockerfile");
    assert_eq!(label(&["-f", file]), "dockerfile");
    assert_eq!(label(&["-f", "Dockerfile"]), "dockerfile");
    assert_eq!(label(&["-f", "sub/Dockerfile"]), "sub");
    for other in ["DOCKERFILE", "sub/DockerFile", "Dockerfile.dev"] {
        build(&["-f", other]).exits(2).says(&[other]);
    }
    // Its own .dockerignore counts.
    space.write("dockerfile", "FROM scratch\nCOPY sub/dockerfile /\n");
    build(&[]).exits(1).says(&[".dockerignore leaves it out"]);
    space.write("Dockerfile", labelled("Dockerfile"));
    assert_eq!(label(&[]), "Dockerfile");
    assert_eq!(label(&["-f", file]), "Dockerfile");
}

fn a_lower_case_name_is_found_in_what_is_fetched(space: &Space) {
    let mut tar = tar::Builder::new(Vec::new());
    for path in ["dockerfile", "sub/dockerfile"] {
        let text = labelled(path);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let server = Server::start();
    server.set("/context.tar", Answer::file(tar.clone()));
    for (arguments, label) in [
        (&[][..], "dockerfile"),
        (&["-f", "Dockerfile"], "dockerfile"),
        (&["-f", "sub/Dockerfile"], "sub/dockerfile"),
    ] {
        for context in ["-", &server.url("/context.tar")] {
            let build = space.kiln(["build", "-t", "app", context]).args(arguments);
            build.stdin(tar.clone()).ok();
            let config = space.image("app").config;
            assert_eq!(config["config"]["Labels"]["from"], label);
        }
    }
}

/// As the documents that BuildKit writes have it; said once.
fn bytes_that_are_no_utf8_are_replaced(space: &Space) {
    let text = b"# Gr\xf6\xdfe\nFROM tools\nLABEL a=\xe9\xff b=\xc3\xa9\nRUN echo '\xe9' > /said\n";
    let build = |file: &str| {
        space.write(file, text);
        let build = space.build("FROM scratch\n").arg("-f");
        build.arg(space.context().join(file)).ok()
    };
    build("latin").says(&["latin has bytes that are not UTF-8"]);
    let image = space.image("app");
    assert_eq!(image.config["config"]["Labels"]["a"], "\u{fffd}\u{fffd}");
    assert_eq!(image.config["config"]["Labels"]["b"], "\u{e9}");
    assert_eq!(image.text("said"), "\u{fffd}\n");
    let piped = space.build("FROM scratch\n").args(["-f", "-"]).stdin(text);
    piped.ok().says(&["stdin has bytes"]);
    let only = space
        .kiln(["build", "-"])
        .stdin(b"FROM scratch\nLABEL a=\xe9\n");
    only.ok().says(&["stdin has bytes"]);
    let ignore = space.write(".dockerignore", b"# \xe9\nlatin\n");
    space.build("FROM scratch\nCOPY . /\n").ok();
    assert!(!space.image("app").has("latin"), "{}", ignore.display());
    space.build("FROM scratch\n").ok().never_says(&["UTF-8"]);
}

/// A file that says what was built must not say it of another build.
fn what_an_older_build_left_goes(space: &Space) {
    let flags = ["--iidfile", "--metadata-file", "--digest-file"];
    let build = |text: &str| {
        let named = flags.map(|flag| [flag.to_owned(), flag[2..].to_owned()]);
        space.build(text).args(named.concat())
    };
    let there = || flags.map(|flag| space.own().join(&flag[2..]).exists());
    for (broken, code) in [
        ("FROM tools\nRUN exit 3\n", 1),
        ("FROM scratch\nCOPY none /\n", 1),
        ("FROM\n", 1),
    ] {
        build("FROM scratch\nLABEL a=b\n").ok();
        assert_eq!(there(), [true; 3]);
        build(broken).exits(code);
        assert_eq!(there(), [false; 3], "{broken}");
    }
    build("FROM scratch\nLABEL a=b\n").ok();
    build("FROM scratch\n").args(["-f", "absent"]).exits(2);
    assert_eq!(there(), [false; 3]);
    // What is no file is only written to.
    let written = space.shell("kiln build -q --iidfile /dev/stdout - | cat");
    let written = written.stdin("FROM scratch\nLABEL a=b\n").ok();
    assert_eq!(written.stdout.matches("sha256:").count(), 2);
    space
        .build("FROM scratch\n")
        .args(["--iidfile", "/dev/null"])
        .ok();
}
