//! Mistakes that people make in Dockerfiles, and what is said of each: what is wrong, where, and what to do. One table, one golden file; what a
//! command printed is left out, as shells differ.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Finished, Space, golden, plain_cases};

plain_cases! {
    what_is_said_of_mistakes_in_builds,
    a_cache_of_another_user_is_named,
    a_folder_that_a_link_gives_away_is_named,
    what_is_said_of_commands_that_are_none,
    help_and_version_have_words_of_their_own,
    a_dockerfile_may_be_a_descriptor,
    flags_before_a_command_are_dockers,
    flags_that_are_wrong_say_what_was_meant,
}

/// A build that goes well, with a warning: what is before it is not looked at.
const WARNED: &str = "--progress=plain";

/// Name, Dockerfile, flags.
const MISTAKES: [(&str, &str, &[&str]); 61] = [
    (
        "a source with a letter too many",
        "FROM tools\nCOPY srcs /\n",
        &[],
    ),
    (
        "a file with swapped letters",
        "FROM tools\nCOPY src/mian.rs /\n",
        &[],
    ),
    (
        "a file in other case",
        "FROM tools\nCOPY readme.md /\n",
        &[],
    ),
    (
        "a file of a stage",
        "FROM tools AS builder\nRUN echo 1 > /app.bin\nFROM tools\nCOPY --from=builder /app.bim /x\n",
        &[],
    ),
    (
        "a file that is nowhere",
        "FROM tools\nCOPY something /\n",
        &[],
    ),
    (
        "a stage in --from",
        "FROM tools AS builder\nRUN true\nFROM tools\nCOPY --from=biulder /bin/sh /x\n",
        &[],
    ),
    (
        "a stage in --target",
        "FROM tools AS builder\nRUN true\n",
        &["--target", "biulder"],
    ),
    ("a tag", "FROM base:v2\nRUN true\n", &[]),
    ("an image", "FROM bases:v1\nRUN true\n", &[]),
    ("an ignored file", "FROM tools\nCOPY logs/x.log /\n", &[]),
    (
        "a file outside of the context",
        "FROM tools\nCOPY ../other/src /\n",
        &[],
    ),
    (
        "a script with line ends of Windows",
        "FROM tools\nCOPY crlf.sh /\nRUN /crlf.sh\n",
        &[],
    ),
    (
        "the same in the exec form",
        "FROM tools\nCOPY crlf.sh /\nRUN [\"/crlf.sh\"]\n",
        &[],
    ),
    (
        "a script without an x bit",
        "FROM tools\nCOPY plain.sh /\nRUN /plain.sh\n",
        &[],
    ),
    (
        "the same in the exec form",
        "FROM tools\nCOPY plain.sh /\nRUN [\"/plain.sh\"]\n",
        &[],
    ),
    (
        "a script without its interpreter",
        "FROM tools\nCOPY python.sh /\nRUN [\"/python.sh\"]\n",
        &[],
    ),
    (
        "a program for another processor",
        "FROM tools\nCOPY foreign /\nRUN [\"/foreign\"]\n",
        &[],
    ),
    (
        "text as a program",
        "FROM tools\nCOPY --chmod=755 README.md /\nRUN [\"/README.md\"]\n",
        &[],
    ),
    (
        "no shell",
        "FROM scratch\nCOPY README.md /\nRUN echo hi\n",
        &[],
    ),
    ("a command", "FROM tools\nRUN slep 1\n", &[]),
    (
        "the same in the exec form",
        "FROM tools\nRUN [\"slep\", \"1\"]\n",
        &[],
    ),
    (
        "a command that is not there",
        "FROM tools\nRUN frobnicate\n",
        &[],
    ),
    ("JSON with single quotes", "FROM tools\nRUN ['ls']\n", &[]),
    (
        "JSON without a comma",
        "FROM tools\nRUN [\"ls\" \"-l\"]\n",
        &[],
    ),
    (
        "COPY without a comma",
        "FROM tools\nCOPY [\"src\" \"/x\"]\n",
        &[],
    ),
    (
        "a secret that is required",
        "FROM tools\nRUN --mount=type=secret,id=token,required cat /run/secrets/token\n",
        &[],
    ),
    (
        "a secret that is not",
        "FROM tools\nRUN --mount=type=secret,id=token cat /run/secrets/token\n",
        &[],
    ),
    ("a tag without a value", "ARG VER\nFROM base:${VER}\n", &[]),
    ("a name without a value", "ARG BASE\nFROM $BASE\n", &[]),
    (
        "no package lists",
        "FROM tools\nRUN echo 'E: Unable to locate package curl'; exit 100\n",
        &[],
    ),
    (
        "a full disk",
        "FROM tools\nRUN echo 'tar: x: Cannot write: No space left on device'; exit 2\n",
        &[],
    ),
    (
        "no network",
        "FROM tools\nRUN --network=none echo 'curl: (6) Could not resolve host: example.org'; exit 6\n",
        &[],
    ),
    (
        "a language that is not kiln's",
        "# syntax=example.org/other:1\nFROM tools\nBUILD x\n",
        &[],
    ),
    (
        "CMD with single quotes",
        "FROM scratch\nCMD ['nginx', '-g']\n",
        &[WARNED],
    ),
    (
        "ENTRYPOINT without a comma",
        "FROM scratch\nENTRYPOINT [\"nginx\" \"-g\"]\n",
        &[WARNED],
    ),
    (
        "CMD with the quotes of a word processor",
        "FROM scratch\nCMD [“nginx”, “-g”]\n",
        &[WARNED],
    ),
    (
        "HEALTHCHECK with a comma too many",
        "FROM scratch\nHEALTHCHECK CMD [\"curl\", \"localhost\",]\n",
        &[WARNED],
    ),
    (
        "VOLUME with single quotes",
        "FROM scratch\nVOLUME ['/data', '/logs']\n",
        &[WARNED],
    ),
    (
        "SHELL without quotes",
        "FROM tools\nSHELL [/bin/bash, -c]\n",
        &[],
    ),
    (
        "ADD without the end of its list",
        "FROM tools\nADD [\"src\", \"/x\"\n",
        &[],
    ),
    (
        "a flag with swapped letters",
        "FROM tools AS builder\nFROM tools\nCOPY --form=builder /bin/sh /x\n",
        &[],
    ),
    (
        "a type of mount",
        "FROM tools\nRUN --mount=type=cahce,target=/c true\n",
        &[],
    ),
    (
        "a mount without a target",
        "FROM tools\nRUN --mount=type=cache true\n",
        &[],
    ),
    ("an instruction", "FROM tools\nRNU true\n", &[]),
    ("a file of comments", "# nothing yet\n", &[]),
    ("no FROM", "RUN true\n", &[]),
    ("COPY without a destination", "FROM tools\nCOPY src\n", &[]),
    ("ENV without a value", "FROM tools\nENV HOME\n", &[]),
    ("a port that is a name", "FROM tools\nEXPOSE http\n", &[]),
    (
        "a heredoc without its end",
        "FROM tools\nRUN <<EOF\necho hi\n",
        &[],
    ),
    (
        "a user that the image lacks",
        "FROM tools\nUSER app\nRUN true\n",
        &[],
    ),
    (
        "an agent that is required",
        "FROM tools\nRUN --mount=type=ssh,required true\n",
        &[],
    ),
    (
        "a shell that the image lacks",
        "FROM tools\nSHELL [\"/bin/zsh\", \"-c\"]\nRUN true\n",
        &[],
    ),
    (
        "the same in the exec form",
        "FROM tools\nRUN [\"zsh\", \"-c\", \"true\"]\n",
        &[],
    ),
    ("sudo", "FROM tools\nRUN sudo ls\n", &[]),
    (
        "the package manager of another distribution",
        "FROM tools\nRUN apt-get install -y curl\n",
        &[],
    ),
    (
        "a stage in --target that is near none",
        "FROM tools AS builder\nFROM tools\n",
        &["--target", "production"],
    ),
    (
        "the number of a stage",
        "FROM tools\nCOPY --from=3 /bin/sh /x\n",
        &[],
    ),
    ("an image with a capital letter", "FROM Base:v1\n", &[]),
    (
        "a mode that is none",
        "FROM tools\nCOPY --chmod=rwx src /\n",
        &[],
    ),
    (
        "a file where a folder is wanted",
        "FROM tools\nCOPY README.md /x\nCOPY src/main.rs /x/\n",
        &[],
    ),
];

fn fill(space: &Space) {
    space.write("src/main.rs", "a");
    space.write("README.md", "text\n");
    space.write("logs/x.log", "a line");
    space.write(".dockerignore", "# what is not sent\n*.tmp\nlogs\n");
    let script = |name: &str, text: &[u8], mode: u32| {
        space.write(name, text);
        let path = space.context().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    script("crlf.sh", b"#!/bin/sh\r\necho hi\r\n", 0o755);
    script("plain.sh", b"#!/bin/sh\necho hi\n", 0o644);
    script("python.sh", b"#!/usr/bin/python9\n", 0o755);
    // for a processor that neither this machine is nor emulators are for
    let mut elf = b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16".to_vec();
    elf.resize(100, 0);
    script("foreign", &elf, 0o755);
}

/// This machine's processor by Go's name.
fn host() -> String {
    kiln_oci::Platform::host().architecture
}

/// What is said, without what a command printed.
fn said(space: &Space, finished: &Finished) -> String {
    let mut text = String::new();
    let mut is_output = false;
    let stderr = match finished.stderr.find("warning[") {
        Some(at) if finished.status.success() => &finished.stderr[at..],
        _ => &finished.stderr,
    };
    for line in stderr.lines() {
        is_output = (is_output || line.starts_with("last output")) && !line.is_empty();
        if !is_output && !line.is_empty() {
            writeln!(text, "{line}").unwrap();
        }
    }
    let platform = format!("linux/{}", host());
    let text = text.replace(space.context().to_str().unwrap(), "CONTEXT");
    let text = text.replace(&platform, "linux/HOST");
    text.replace(&format!("the one for {}", host()), "the one for HOST")
}

fn what_is_said_of_mistakes_in_builds(space: &Space) {
    fill(space);
    space
        .build("FROM scratch\nLABEL a=b\n")
        .args(["-t", "base:v1"])
        .ok();
    let mut text = String::new();
    for (name, dockerfile, flags) in MISTAKES {
        let quiet = (!flags.contains(&WARNED)).then_some("-q");
        let build = space
            .build(dockerfile)
            .arg("--offline")
            .args(quiet)
            .args(flags);
        let finished = build.run();
        writeln!(text, "== {name}\n{}", said(space, &finished)).unwrap();
    }
    golden::matches("mistakes.txt", &text);
    for rust in [
        "Error(", "Some(", "None", "Os {", "kind:", "unwrap", "os error",
    ] {
        assert!(!text.contains(rust), "{rust}");
    }
}

fn a_cache_of_another_user_is_named(space: &Space) {
    if space.mode.has_one_id() {
        return;
    }
    let text = "FROM tools\nUSER 1234:5\nRUN --mount=type=cache,target=/c echo 1 > /c/x\n";
    let failed = space.build(text).exits(1);
    failed.says(&[
        "belongs to user 0",
        "--mount=type=cache,target=/c,uid=1234,gid=5",
    ]);
    let open = "FROM tools\nUSER 1234:5\nRUN --mount=type=cache,target=/d,mode=0777 echo 1 > /d/x && exit 7\n";
    space.build(open).exits(1).never_says(&["belongs to"]);
}

fn a_folder_that_a_link_gives_away_is_named(space: &Space) {
    space.write("file", "text");
    let warned = |copy: &str| {
        let built = space
            .build(&format!("FROM scratch\n{copy}\n"))
            .arg("--no-cache")
            .ok();
        built
            .stderr
            .contains("with --link, /var belongs to 7:8 too")
    };
    assert!(warned("COPY --link --chown=7:8 file /var/lib/x"));
    for copy in [
        "COPY --link --chown=7:8 file /x",
        "COPY --link file /var/x",
        "COPY --chown=7:8 file /var/x",
    ] {
        assert!(!warned(copy), "{copy}");
    }
}

fn what_is_said_of_commands_that_are_none(space: &Space) {
    let verbs = [
        ("attach", "kiln logs -f"),
        ("pause", "kiln ps"),
        ("compose", "kiln save"),
        ("manifest", "kiln builder imagetools"),
        ("volume", "kiln df"),
        ("biuld", "did you mean build?"),
        ("prunee", "kiln --help"),
        ("secret", "kiln build --secret"),
        ("dive", "kiln explore"),
        ("podman", "leave the word out"),
    ];
    for (verb, instead) in verbs {
        let failed = space.kiln([verb]).exits(2);
        failed
            .says(&["kiln has no command", instead])
            .never_says(&["prune?", "rmi?"]);
    }
}

fn help_and_version_have_words_of_their_own(space: &Space) {
    let stdout = |words: &[&str]| space.kiln(words).ok().stdout;
    assert_eq!(stdout(&["help", "build"]), stdout(&["build", "--help"]));
    assert_eq!(
        stdout(&["help", "image", "ls"]),
        stdout(&["image", "ls", "--help"])
    );
    assert_eq!(stdout(&["help"]), stdout(&["--help"]));
    assert!(stdout(&["version"]).starts_with("kiln "));
}

fn a_dockerfile_may_be_a_descriptor(space: &Space) {
    let script = "printf 'FROM scratch\\nLABEL a=b\\n' | kiln build -q -f /dev/fd/0 \"$CONTEXT\"";
    let built = space.shell(script).env("CONTEXT", space.context()).ok();
    assert!(built.stdout.starts_with("sha256:"));
}

fn flags_before_a_command_are_dockers(space: &Space) {
    let config = space.own_folder("own/docker");
    std::fs::write(config.join("config.json"), "{\"auths\":{\"r.example\":{}}}").unwrap();
    let quiet = space.kiln([
        "--config",
        config.to_str().unwrap(),
        "--log-level",
        "info",
        "images",
    ]);
    assert!(quiet.ok().stderr.is_empty());
    let remote = space.kiln(["-H", "tcp://10.0.0.1:2375", "images"]).ok();
    remote.says(&["the daemon tcp://10.0.0.1:2375 only gets what --load=docker loads"]);
    assert!(
        space
            .kiln(["--context", "default", "images"])
            .ok()
            .stderr
            .is_empty()
    );
    space
        .kiln(["-l", "loud", "images"])
        .exits(2)
        .says(&["docker has no such level", "warn"]);
    // debugging says more, and changes no result
    let said = |words: &[&str]| space.kiln(words).ok();
    assert_eq!(said(&["-D", "images"]).stdout, said(&["images"]).stdout);
    said(&["system", "info"]);
    said(&["system", "prune", "--volumes", "-f"]).says(&["keeps no volumes"]);
    // two builders are one
    said(&["buildx", "create", "--use"]).says(&["kiln needs no builder instance"]);
}

fn flags_that_are_wrong_say_what_was_meant(space: &Space) {
    space.write(
        "Dockerfile.prod",
        "FROM scratch\nARG VERSION\nLABEL v=$VERSION\n",
    );
    let build = |flags: &[&str]| space.kiln(["build"]).args(flags).arg(space.context());
    build(&["-f", "Dockerfile.prd"])
        .exits(2)
        .says(&["there is no Dockerfile", "did you mean Dockerfile.prod?"]);
    let file = ["-f", "Dockerfile.prod"];
    build(&[&file[..], &["--build-arg", "VERSOIN=1"]].concat())
        .ok()
        .says(&["VERSOIN was not consumed by any ARG: did you mean VERSION?"]);
    build(&[&file[..], &["--platform", "linux/amd46"]].concat())
        .ok()
        .says(&["did you mean amd64?"]);
    build(&[&file[..], &["-t", "App"]].concat())
        .exits(2)
        .says(&["--tag App: ", "did you mean"]);
    build(&[&file[..], &["--secret", "id=x,src=nowhere"]].concat())
        .exits(2)
        .says(&["No such file"])
        .never_says(&["os error"]);
}
