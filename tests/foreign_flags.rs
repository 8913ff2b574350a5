//! Flags of other engines: one that cannot change the image is accepted with a warning, any other is refused with advice.

use crate::support::{Space, plain_cases};

plain_cases! {
    harmless_flags_are_warned_about,
    others_are_refused_with_advice,
    what_switches_off_is_silent,
}

const TEXT: &str = "FROM scratch\nLABEL a=b\n";

fn harmless_flags_are_warned_about(space: &Space) {
    space.build(TEXT).ok();
    let id = space.id("app");
    let flags = [
        "--rm",
        "--rm=false",
        "--force-rm",
        "--compress",
        "--builder=x",
        "-D",
        "--layers=false",
        "--security-opt=seccomp=unconfined",
        "--snapshot-mode=redo",
        "--cache=true",
        "--cache",
        "--no-push",
        "--format=docker",
    ];
    for flag in flags {
        let built = space.build(TEXT).args(flag.split(' ')).ok();
        let name = flag.split([' ', '=']).next().unwrap();
        let name = match name {
            "-D" => "--debug",
            name => name,
        };
        built.says(&["warning", &format!("{name} has no effect: ")]);
        assert_eq!(space.id("app"), id, "{flag}");
    }
}

fn others_are_refused_with_advice(space: &Space) {
    let flags = [
        ("--provenance=mode=max", "equal digests"),
        ("--sbom-output=x", "equal digests"),
        ("--cap-add=ALL", "--security=insecure"),
        ("--dns=1.1.1.1", "--add-host"),
        ("--device=/dev/null", "devices"),
        ("--registry-certificate=x", "SSL_CERT_FILE"),
        ("--policy=x", "policies"),
    ];
    for (flag, advice) in flags {
        let refused = space.build(TEXT).args(flag.split(' ')).exits(2);
        refused.says(&["is not supported", "hint", advice]);
    }
    space.build(TEXT).arg("--no-such-flag").exits(2);
    // None of them crowds the help.
    let help = space.kiln(["build", "--help"]).ok().stdout;
    assert!(
        !help.contains("--snapshot-mode") && help.contains("--ulimit") && help.contains("--ssh"),
        "{help}"
    );
}

fn what_switches_off_is_silent(space: &Space) {
    for flag in [
        "--provenance=false",
        "--sbom=false",
        "--attest=type=provenance,disabled=true",
    ] {
        space
            .build(TEXT)
            .arg(flag)
            .ok()
            .never_says(&["has no effect", "not supported"]);
    }
}
