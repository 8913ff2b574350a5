//! Everything that users get wrong: a message that says what, where and what to do; the right exit code; a whole store.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::support::{Space, plain_cases, user_cases};

user_cases! {
    dockerfiles_that_cannot_be_read,
    files_that_cannot_be_read,
    a_machine_without_user_namespaces,
}

plain_cases! {
    contexts_that_are_none,
    dockerfiles_that_cannot_be_understood,
    stages_that_are_not_there,
    options_that_mean_nothing,
    an_unknown_feature_is_no_feature,
    hostile_names_are_shown_harmlessly,
}

fn contexts_that_are_none(space: &Space) {
    space
        .kiln(["build", "/no/such/context"])
        .exits(2)
        .says(&["/no/such/context", "No such file"]);
    let file = space.write("file", "x");
    space
        .kiln(["build"])
        .arg(&file)
        .exits(2)
        .says(&["not a folder"]);
    space
        .kiln(["build"])
        .arg(space.own())
        .exits(2)
        .says(&["Dockerfile", "-f FILE"]);
    space.kiln(["build"]).exits(2).says(&["CONTEXT"]);
    space
        .build("FROM scratch\n")
        .args(["-f", "/no/such/Dockerfile"])
        .exits(2)
        .says(&["/no/such/Dockerfile"]);
}

fn dockerfiles_that_cannot_be_read(space: &Space) {
    let fifo = space.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    space
        .build("FROM scratch\n")
        .arg("-f")
        .arg(&fifo)
        .exits(2)
        .says(&["not a regular file"]);
    space
        .build("FROM scratch\n")
        .arg("-f")
        .arg(space.context())
        .exits(2)
        .says(&["not a regular file"]);
    space
        .build("FROM scratch\n")
        .args(["-f", "/dev/zero"])
        .exits(2)
        .says(&["not a regular file"]);
    let big = space.write("big", vec![b'#'; 17 << 20]);
    space
        .build("FROM scratch\n")
        .arg("-f")
        .arg(&big)
        .exits(2)
        .says(&["big", "more than"]);
    let looped = space.path("loop");
    symlink(&looped, &looped).unwrap();
    space
        .build("FROM scratch\n")
        .arg("-f")
        .arg(&looped)
        .exits(2);
    if space.mode.is_rootless() {
        let closed = space.write("closed", "FROM scratch\n");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
        space
            .build("FROM scratch\n")
            .arg("-f")
            .arg(&closed)
            .exits(2)
            .says(&["closed", "Permission denied"]);
    }
}

fn dockerfiles_that_cannot_be_understood(space: &Space) {
    let says = |text: &str, expected: &[&str]| {
        let failed = space.build(text).exits(1);
        failed.says(expected).never_says(&["panicked"]);
    };
    says(
        "FROM scratch\nRUNN echo\n",
        &["RUNN", "RUN", "Dockerfile:2:1"],
    );
    says(
        "FROM scratch\nCOPY --form=x a b\n",
        &["form", "Dockerfile:2"],
    );
    says("FROM scratch\nCOPY onlyone\n", &["COPY", "Dockerfile:2"]);
    says("RUN echo\n", &["FROM"]);
    says("", &["no instructions"]);
    says("FROM scratch\nENV =x\n", &["ENV", "Dockerfile:2"]);
    says("FROM scratch\nCOPY <<EOF /x\nnever ended\n", &["EOF"]);
    says("FROM scratch\nEXPOSE 99999\n", &["99999"]);
    says("FROM scratch\nLABEL \"a\n", &["Dockerfile:2"]);
    says("FROM ${UNSET}\n", &["UNSET"]);
    says("FROM scratch\nWORKDIR ${A:?is needed}\n", &["is needed"]);
    // All errors are told at once.
    says(
        "FROM scratch\nRUNN a\nCOPI b c\n",
        &["RUNN", "COPI", "2 errors"],
    );
}

fn stages_that_are_not_there(space: &Space) {
    let says = |text: &str, expected: &[&str]| _ = space.build(text).exits(1).says(expected);
    says(
        "FROM scratch\nCOPY --from=absent /a /b\n",
        &["absent", "Dockerfile:2"],
    );
    says("FROM scratch AS self\nCOPY --from=self /a /b\n", &["self"]);
    says(
        "FROM scratch AS first\nCOPY --from=1 /a /b\nFROM scratch AS later\nFROM first\n",
        &["Dockerfile:2"],
    );
    says(
        "FROM scratch AS first\nCOPY --from=later /a /b\nFROM scratch AS later\nFROM first\n",
        &["later"],
    );
    says(
        "FROM no/such:image\n",
        &["no/such:image", "kiln load", "kiln import", "host-tools"],
    );
    says("FROM Not:A:Name\n", &["Dockerfile:1"]);
    space
        .build("FROM scratch AS one\nFROM scratch\n")
        .args(["--target", "2"])
        .exits(1);
}

fn files_that_cannot_be_read(space: &Space) {
    space.write("file", "x");
    let fifo = Command::new("mkfifo")
        .arg(space.context().join("pipe"))
        .status()
        .unwrap();
    assert!(fifo.success());
    let socket = std::os::unix::net::UnixListener::bind(space.context().join("socket")).unwrap();
    space
        .build("FROM scratch\nCOPY . /all/\n")
        .run()
        .never_says(&["panicked"]);
    drop(socket);
    fs::remove_file(space.context().join("socket")).unwrap();
    space.build("FROM scratch\nCOPY . /all/\n").ok();
    assert!(space.image("app").has("all/pipe"));
    space.write("no-archive.tar", "just text");
    space.build("FROM scratch\nADD no-archive.tar /x/\n").ok();
    assert_eq!(space.image("app").text("x/no-archive.tar"), "just text");
    // Whoever owns a file reads it as root of a user namespace, whatever its mode says.
    if space.account().is_some() {
        fs::set_permissions(
            space.context().join("file"),
            fs::Permissions::from_mode(0o0),
        )
        .unwrap();
        space
            .build("FROM scratch\nCOPY file /\n")
            .exits(1)
            .says(&["file", "Permission denied"]);
        space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    }
}

fn options_that_mean_nothing(space: &Space) {
    for (options, said) in [
        (["-t", "Not A Name"], "Not A Name"),
        (["--build-arg", "=x"], "--build-arg"),
        (["--label", "=x"], "--label"),
        (["--jobs", "many"], "many"),
        (["--shm-size", "huge"], "--shm-size"),
        (["--build-context", "a=what://x"], "what://x"),
        (["--no-such-option", "x"], "--no-such-option"),
    ] {
        space
            .build("FROM scratch\n")
            .args(options)
            .exits(2)
            .says(&[said]);
    }
    space
        .build("FROM scratch\nLABEL a=b\n")
        .args(["--iidfile", "/no/such/folder/id"])
        .exits(3)
        .says(&["/no/such/folder/id"]);
}

fn a_machine_without_user_namespaces(space: &Space) {
    let built = space
        .build("FROM tools\nRUN true\n")
        .env("KILN_DISABLE", "userns")
        .run();
    if space.mode.is_rootless() {
        assert_eq!(built.status.code(), Some(3), "{built}");
        built.says(&["user namespaces", "kiln doctor"]);
    } else {
        assert!(built.status.success(), "real root needs none: {built}");
    }
}

fn an_unknown_feature_is_no_feature(space: &Space) {
    space
        .build("FROM scratch\n")
        .env("KILN_DISABLE", "magic")
        .exits(2)
        .says(&["magic", "openat2"]);
}

fn hostile_names_are_shown_harmlessly(space: &Space) {
    let failed = space
        .build("FROM scratch\nCOPY \"\x1b]0;title\x07file\" /\n")
        .exits(1);
    failed.never_says(&["\x1b", "\x07"]);
    let failed = space
        .build("FROM tools\nRUN exit 3 # \x1b[31mred\n")
        .exits(1);
    failed.says(&["exit code 3"]).never_says(&["\x1b"]);
    space.is_clean();
}
