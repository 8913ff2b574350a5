//! Dockerfiles whose name ends in `.in`: the host's C preprocessor reads them first, as in buildah.

use std::process::Command;

use crate::support::http::{Answer, Server};
use crate::support::mode::skip;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    the_preprocessor_reads_it_first,
    what_is_wrong_is_said,
    without_a_preprocessor_it_is_refused,
}

const TEXT: &str = "# A comment of a Dockerfile isn't a directive
#include \"base.txt\"
#ifdef DEBUG
LABEL debug=DEBUG
#endif
";

/// A build of `Dockerfile.in`.
fn build(space: &Space, text: &str) -> Kiln {
    space.write("Dockerfile.in", text);
    let build = space.kiln(["build", "-t", "app", "-f", "Dockerfile.in"]);
    build.arg(space.context())
}

fn lacks_cpp(space: &Space) -> bool {
    let is_missing = Command::new("cpp").arg("--version").output().is_err();
    if is_missing {
        skip("preprocessed", space.mode, "there is no cpp");
    }
    is_missing
}

fn the_preprocessor_reads_it_first(space: &Space) {
    if lacks_cpp(space) {
        return;
    }
    space.write("base.txt", "FROM scratch\nLABEL base=1\n");
    let labels = |kiln: Kiln| {
        kiln.ok();
        space.image("app").setting("Labels").to_string()
    };
    assert_eq!(labels(build(space, TEXT)), r#"{"base":"1"}"#);
    let flag = build(space, TEXT).arg("--cpp-flag=-DDEBUG=flag");
    assert_eq!(labels(flag), r#"{"base":"1","debug":"flag"}"#);
    let variable = build(space, TEXT).env("BUILDAH_CPPFLAGS", "-DDEBUG='variable'");
    assert_eq!(labels(variable), r#"{"base":"1","debug":"variable"}"#);
    let both = build(space, TEXT)
        .env("BUILDAH_CPPFLAGS", "-DDEBUG")
        .args(["--cpp-flag", "-UDEBUG"]);
    assert_eq!(labels(both), r#"{"base":"1"}"#);
    // Also what comes from outside, where there are no files to include.
    let server = Server::start();
    server.set(
        "/Dockerfile.in",
        Answer::file("#define NAME scratch\nFROM NAME\nLABEL from=outside\n"),
    );
    let fetched = space.kiln(["build", "-t", "app", "-f", &server.url("/Dockerfile.in")]);
    assert_eq!(
        labels(fetched.arg(space.context())),
        r#"{"from":"outside"}"#
    );
    // Others stay as they are.
    let plain = space
        .build("FROM scratch\n#define LABEL nothing\nLABEL a=1\n")
        .arg("--cpp-flag=-DX");
    plain.ok().says(&["warning", "--cpp-flag has no effect"]);
    assert_eq!(
        space.image("app").setting("Labels").to_string(),
        r#"{"a":"1"}"#
    );
}

fn what_is_wrong_is_said(space: &Space) {
    if lacks_cpp(space) {
        return;
    }
    // Lines are those of the text that came out.
    let wrong = build(space, "#ifndef X\nFROM scratch\nBROKEN it\n#endif\n").exits(1);
    wrong.says(&["Dockerfile.in (preprocessed):", "BROKEN it", "^"]);
    for (text, why) in [
        ("#include \"no-such-file\"\nFROM scratch\n", "no-such-file"),
        ("#error not so\nFROM scratch\n", "not so"),
    ] {
        let refused = build(space, text).exits(1);
        refused.says(&["Dockerfile.in: preprocessing failed", why]);
    }
    let flags = build(space, "FROM scratch\n")
        .env("BUILDAH_CPPFLAGS", "'-DX")
        .exits(2);
    flags.says(&["BUILDAH_CPPFLAGS: "]);
}

fn without_a_preprocessor_it_is_refused(space: &Space) {
    let refused = build(space, "FROM scratch\n")
        .env("PATH", space.own())
        .exits(3);
    refused.says(&[
        "Dockerfile.in: cannot start cpp",
        "hint",
        "install the package cpp",
    ]);
}
