//! Several platforms in one build: what is equal is done once, the name means an index, foreign processors are explained.

use std::path::Path;

use crate::support::mode::skip;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    several_platforms_make_an_index,
    one_platform_may_make_an_index_too,
    bases_are_taken_for_the_platform,
    a_step_for_another_processor_is_explained,
    a_base_for_another_platform_is_used_and_told,
    what_the_user_names_is_what_the_image_says,
    a_command_for_another_processor_is_another_step,
}

/// The architectures that nobody's machine has here.
const FOREIGN: &str = "linux/s390x";

fn several_platforms_make_an_index(space: &Space) {
    space.write("s390x.txt", "big");
    space.write("riscv64.txt", "free");
    space.write("both.txt", "both");
    let dockerfile = "FROM scratch AS shared\nCOPY both.txt /\nFROM shared\nARG TARGETPLATFORM TARGETARCH\nCOPY $TARGETARCH.txt /own\nLABEL for=$TARGETPLATFORM\n";
    let built = space
        .build_json(dockerfile)
        .args(["--platform", "linux/s390x,linux/riscv64"])
        .ok();
    let copied = built
        .events()
        .all
        .iter()
        .filter(|event| event["event"] == "started")
        .count();
    assert_eq!(copied, 3, "the shared COPY runs once");
    built.says(&["linux/s390x shared", "linux/riscv64 stage-1"]);
    for (platform, text) in [("linux/s390x", "big"), ("linux/riscv64", "free")] {
        space.write(
            "child/Dockerfile",
            "FROM app\nARG TARGETPLATFORM\nLABEL child=$TARGETPLATFORM\n",
        );
        space
            .kiln(["build", "-t", "child", "--platform", platform])
            .arg(space.context().join("child"))
            .ok();
        let child = space.image("child");
        assert_eq!(child.text("own"), text);
        assert_eq!(child.setting("Labels")["for"], platform);
        assert_eq!(child.setting("Labels")["child"], platform);
    }
    let again = space
        .build_json(dockerfile)
        .args(["--platform", "linux/s390x", "--platform", "linux/riscv64"])
        .ok();
    assert!(
        again
            .events()
            .all
            .iter()
            .all(|event| event["event"] != "started")
    );
    space.kiln(["prune"]).ok();
    space.kiln(["fsck"]).ok();
    space.kiln(["rmi", "child", "app"]).run();
}

fn one_platform_may_make_an_index_too(space: &Space) {
    let id = |arguments: &[&str]| {
        let built = space
            .build("FROM scratch\nLABEL a=b\n")
            .env("SOURCE_DATE_EPOCH", "1") // an index and an image are remembered apart, with times of their own
            .arg("-q")
            .args(arguments)
            .ok();
        built.stdout.trim().to_owned()
    };
    let plain = id(&[]);
    let index = id(&["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"]);
    assert_ne!(plain, index);
    assert_eq!(space.id("app"), plain, "the only image of the index");
    assert_eq!(id(&["--platform", "local"]), plain);
}

fn bases_are_taken_for_the_platform(space: &Space) {
    space
        .build("FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\n")
        .args(["--platform", "linux/s390x,linux/riscv64"])
        .ok();
    space
        .build("FROM app\n")
        .args(["-t", "other", "--platform", "linux/arm64"])
        .exits(1)
        .says(&["app", "linux/arm64", "linux/s390x, linux/riscv64"]);
}

fn a_step_for_another_processor_is_explained(space: &Space) {
    if Path::new("/proc/sys/fs/binfmt_misc/qemu-s390x").exists() {
        skip("foreign steps", space.mode, "this machine emulates s390x");
        return;
    }
    // A program for another processor: an ELF header is all that the kernel looks at.
    let mut program = b"\x7fELF\x02\x02\x01".to_vec();
    program.resize(16, 0);
    program.extend([0, 2, 0, 22, 0, 0, 0, 1]);
    program.resize(64, 0);
    space.write("program", program);
    space
        .build("FROM scratch\nCOPY --chmod=755 program /program\nRUN [\"/program\"]\n")
        .args(["--platform", FOREIGN])
        .run()
        .says(&[FOREIGN, "qemu-user-static"]);
    // The same where only the base is for it.
    space
        .build("FROM scratch\nCOPY --chmod=755 program /program\n")
        .args(["-t", "base", "--platform", FOREIGN])
        .ok();
    let child = offline(space, "FROM base\nRUN [\"/program\"]\n");
    child.exits(1).says(&[FOREIGN, "qemu-s390x"]);
}

/// A build that asks no registry for what might fit better.
fn offline(space: &Space, dockerfile: &str) -> Kiln {
    space.build(dockerfile).env("KILN_OFFLINE", "1")
}

/// A processor that nobody emulates.
const NOWHERE: &str = "linux/sparc64";

fn a_base_for_another_platform_is_used_and_told(space: &Space) {
    space.write("file", "x");
    offline(space, "FROM scratch\nCOPY file /\nENV A=1\n")
        .args(["-t", "base", "--platform", NOWHERE])
        .ok();
    let rule = "InvalidBaseImagePlatform";
    let told = format!("Base image base was pulled with platform \"{NOWHERE}\", expected \"linux/");
    let child = "FROM base\nCOPY file /own$A\n";
    let platform = || {
        let image = space.image("app");
        format!("linux/{}", image.config["architecture"].as_str().unwrap())
    };
    // as made here, and as it comes from an archive
    let other = space.own().join("other");
    space.kiln(["save", "-o", "base.tar", "base"]).ok();
    space
        .kiln(["load", "-i", "base.tar"])
        .env("KILN_STORE", &other)
        .ok();
    for build in [
        offline(space, child),
        offline(space, child).env("KILN_STORE", &other),
    ] {
        build.ok().says(&[rule, &told, "Dockerfile:1"]);
    }
    assert_eq!(space.image("app").text("own1"), "x");
    assert_eq!(platform(), NOWHERE, "nobody named another");
    offline(space, child)
        .args(["--platform", "linux/s390x"])
        .ok()
        .says(&[rule, "expected \"linux/s390x\""]);
    assert_eq!(platform(), "linux/s390x");
    // asked for by name there is nothing to tell
    let named = format!("FROM --platform={NOWHERE} base AS sparc64\nCOPY file /\n");
    offline(space, &named).ok().never_says(&[rule]);
    offline(space, &format!("# check=error=true\n{child}"))
        .exits(1)
        .says(&[rule]);
    offline(space, &format!("# check=skip={rule}\n{child}"))
        .ok()
        .never_says(&[rule]);
    // files may come from anywhere
    offline(space, "FROM scratch\nCOPY --from=base /file /\n")
        .ok()
        .never_says(&[rule]);
}

fn what_the_user_names_is_what_the_image_says(space: &Space) {
    space.write("file", "x");
    let text = "FROM --platform=linux/riscv64 scratch AS first\nCOPY file /\nFROM base\n";
    offline(space, "FROM scratch\nCOPY file /\n")
        .args(["-t", "base", "--platform", "linux/arm/v6"])
        .ok();
    let described = |arguments: &[&str]| {
        offline(space, text).args(arguments).ok();
        let config = space.image("app").config;
        let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("architecture"), text("variant"))
    };
    assert_eq!(described(&[]), "arm/v6");
    assert_eq!(described(&["--platform", "linux/arm/v7"]), "arm/v7");
    assert_eq!(described(&["--platform", "linux/s390x"]), "s390x/");
}

/// The files below are the same, but a command may see what processor it runs on; COPY does not.
fn a_command_for_another_processor_is_another_step(space: &Space) {
    space.write("file", "text");
    let text = "FROM tools\nCOPY file /\nRUN echo made > /made\n";
    let ran = |platform: &str| {
        let built = space.build_json(text).args(["--platform", platform]).ok();
        built.events().ran()
    };
    assert_eq!(ran("linux/amd64").len(), 2);
    assert_eq!(ran("linux/arm64"), ["RUN echo made > /made"]);
    assert_eq!(ran("linux/amd64"), [""; 0]);
}
