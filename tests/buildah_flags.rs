//! Small flags of buildah: parts of a platform, variables from the command line, an index that several builds fill, `/etc/hosts`.

use serde_json::Value;

use crate::support::{Space, cases, plain_cases};

plain_cases! {
    a_platform_may_come_in_parts,
    variables_may_come_from_outside,
    builds_fill_one_index,
    builds_at_once_fill_one_index,
}

cases! {
    commands_may_see_the_images_hosts,
}

fn a_platform_may_come_in_parts(space: &Space) {
    let text = "FROM scratch\nARG TARGETPLATFORM\nLABEL for=$TARGETPLATFORM\n";
    let built_for = |flags: &[&str]| {
        space.build(text).args(flags).ok();
        let image = space.image("app");
        let field = |name: &str| image.config[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(field("os"), "linux");
        (
            image.setting("Labels")["for"].as_str().unwrap().to_owned(),
            field("architecture"),
            field("variant"),
        )
    };
    let expected = |label: &str, architecture: &str, variant: &str| {
        (
            label.to_owned(),
            architecture.to_owned(),
            variant.to_owned(),
        )
    };
    assert_eq!(
        built_for(&["--arch", "arm64"]),
        expected("linux/arm64", "arm64", "")
    );
    assert_eq!(
        built_for(&["--os=linux", "--arch=arm", "--variant=v6"]),
        expected("linux/arm/v6", "arm", "v6")
    );
    assert_eq!(
        built_for(&["--custom-platform=linux/riscv64"]),
        expected("linux/riscv64", "riscv64", "")
    );
    assert_eq!(built_for(&["--os=linux"]), built_for(&["--platform=local"]));
    let both = space
        .build(text)
        .args(["--arch=arm64", "--platform=linux/amd64"]);
    both.exits(2).says(&["--arch", "cannot be used with"]);
    space
        .build(text)
        .arg("--arch=a/b/c")
        .exits(2)
        .says(&["--platform: "]);
}

fn variables_may_come_from_outside(space: &Space) {
    let base = "FROM tools\nENV BASE=base BOTH=base\n";
    space.build(base).args(["-t", "based"]).ok();
    let text = "FROM based AS first\nENV OWN=$GIVEN\nENV LATE=file\nRUN echo $GIVEN $BOTH $LATE > /seen\nFROM first\n";
    let given = [
        "--env",
        "GIVEN=a b",
        "--env=BOTH=flag",
        "--env",
        "LATE=flag",
        "--env=OUTSIDE",
        "--env=NOWHERE",
    ];
    let build = |flags: &[&str]| {
        space.build(text).args(flags).env("OUTSIDE", "outside").ok();
        let image = space.image("app");
        (image.text("seen"), image.setting("Env").clone())
    };
    let (seen, env) = build(&given);
    assert_eq!(seen, "a b flag file\n");
    let has = |env: &Value, entry: &str| env.as_array().unwrap().iter().any(|other| other == entry);
    for entry in [
        "BASE=base",
        "BOTH=flag",
        "OWN=a b",
        "LATE=file",
        "OUTSIDE=outside",
        "GIVEN=a b",
    ] {
        assert!(has(&env, entry), "{entry}: {env}");
    }
    assert!(!env.to_string().contains("NOWHERE"), "{env}");
    // A variable that RUN sees decides about the cache.
    let (seen, env) = build(&["--env=GIVEN=other"]);
    assert_eq!(seen, "other base file\n");
    assert!(has(&env, "BOTH=base"), "{env}");
    let (_, env) = build(&["--env=GIVEN=x", "--unsetenv=GIVEN"]);
    assert!(!has(&env, "GIVEN=x"), "{env}");
    space.build(text).arg("--env==x").exits(2).says(&["--env"]);
}

fn builds_fill_one_index(space: &Space) {
    let text = "FROM scratch\nARG TARGETARCH\nARG WHICH=1\nLABEL for=$TARGETARCH which=$WHICH\n";
    let add = |flags: &[&str]| {
        space.write("Dockerfile", text);
        let build = space.kiln(["build", "--manifest", "list:1"]).args(flags);
        build.arg(space.context()).ok()
    };
    let members = || {
        let all = space
            .kiln(["images", "--no-trunc", "-q", "--filter", "reference=list"])
            .ok();
        assert_eq!(all.stdout.lines().count(), 1, "{all}");
        let path = space.own().join("list");
        space
            .kiln(["save", "--format", "oci-dir", "-o"])
            .arg(&path)
            .arg("list:1")
            .ok();
        let members = index_members(&path);
        std::fs::remove_dir_all(path).unwrap();
        members
    };
    add(&["--arch=arm64"]).says(&["built docker.io/library/list:1"]);
    assert_eq!(members(), ["arm64 1"]);
    add(&["--arch=amd64"]);
    assert_eq!(members(), ["amd64 1", "arm64 1"]);
    // The image of a platform is replaced, also by one that was built before.
    add(&["--arch=arm64", "--build-arg=WHICH=2"]);
    assert_eq!(members(), ["amd64 1", "arm64 2"]);
    add(&["--arch=arm64"]);
    assert_eq!(members(), ["amd64 1", "arm64 1"]);
    add(&[
        "--platform=linux/riscv64,linux/amd64",
        "-t",
        "also",
        "--build-arg=WHICH=3",
    ]);
    assert_eq!(members(), ["amd64 3", "arm64 1", "riscv64 3"]);
    // An index may have annotations of its own.
    add(&["--arch=arm64", "--annotation", "index:a=b"]);
    let wrong = space
        .kiln(["build", "--manifest", "A:B:C"])
        .arg(space.context());
    wrong.exits(2).says(&["A:B:C"]);
}

fn builds_at_once_fill_one_index(space: &Space) {
    let text = "FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH which=1\n";
    space.write("Dockerfile", text);
    let all = ["386", "amd64", "arm64", "ppc64le", "riscv64", "s390x"];
    let build = |arch: &str| {
        let build = space.kiln(["build", "--manifest", "list:1", "--arch", arch]);
        build.arg(space.context()).spawn()
    };
    let running: Vec<_> = all.iter().map(|arch| build(arch)).collect();
    for one in running {
        let built = one.wait();
        assert!(built.status.success(), "{built}");
    }
    let path = space.own().join("list");
    let save = space.kiln(["save", "--format", "oci-dir", "-o"]);
    save.arg(&path).arg("list:1").ok();
    assert_eq!(index_members(&path), all.map(|arch| format!("{arch} 1")));
}

/// Architecture and label of all images of a layout's only index, sorted.
fn index_members(layout: &std::path::Path) -> Vec<String> {
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let blob = |value: &Value| {
        read(&format!(
            "blobs/{}",
            value["digest"].as_str().unwrap().replace(':', "/")
        ))
    };
    let top = read("index.json");
    let index = blob(&top["manifests"][0]);
    let mut members: Vec<String> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            let config = blob(&blob(member)["config"]);
            let which = config["config"]["Labels"]["which"].as_str().unwrap();
            format!(
                "{} {which}",
                member["platform"]["architecture"].as_str().unwrap()
            )
        })
        .collect();
    members.sort();
    members
}

fn commands_may_see_the_images_hosts(space: &Space) {
    let text = "FROM scratch AS files\nCOPY <<EOF /etc/hosts\n10.0.0.1 inside\nEOF\nFROM tools\nCOPY --from=files /etc/hosts /etc/hosts\nRUN cat /etc/hosts\n";
    let lines = |flags: &[&str]| {
        let built = space.build(text).args(flags).ok();
        let lines = built.output().into_iter().map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert!(lines(&[]).iter().any(|line| line.contains("localhost")));
    // What RUN sees decides about the cache.
    assert_eq!(lines(&["--no-hosts"]), ["10.0.0.1 inside"]);
    assert_eq!(lines(&["--no-hosts"]), [""; 0]);
    let both = space
        .build(text)
        .args(["--no-hosts", "--add-host=a:1.2.3.4"]);
    both.exits(2).says(&["contradict"]);
    space
        .build(text)
        .arg("--no-hostname")
        .ok()
        .says(&["--no-hostname has no effect"]);
}
