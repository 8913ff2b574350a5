//! kaniko's own names for what other flags do: where the context is, where the image goes, how registries are reached.

use std::path::Path;

use crate::support::registry::{Guard, Registry};
use crate::support::tar::Tar;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    destinations_are_pushed_to,
    archives_and_layouts_are_written,
    one_snapshot_is_one_layer,
    contexts_are_written_in_kanikos_way,
    registries_may_be_insecure,
    mirrors_are_asked_first,
}

/// A build of the context without a name.
fn build(space: &Space) -> Kiln {
    space.write("word", "word");
    space.write("Dockerfile", "FROM scratch\nCOPY word /\n");
    space.kiln(["build", "--context"]).arg(space.context())
}

fn destinations_are_pushed_to(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let (one, two) = (
        format!("{}/one:v1", registry.host),
        format!("{}/two", registry.host),
    );
    let built = build(space).args(["-d", &one, "--destination", &two]).ok();
    built.says(&[&format!("built {one}, {two}:latest")]);
    let sent = registry.manifest_of("one/manifests/v1");
    assert_eq!(sent, registry.manifest_of("two/manifests/latest"));
    // A name of -t is only a name.
    let count = std::cell::Cell::new(0);
    let pushes = |flags: &[&str]| {
        // What a registry has is not sent again.
        count.set(count.get() + 1);
        let before = registry.count("PUT", "/manifests/");
        let label = format!("--label=n={}", count.get());
        build(space).arg(label).args(flags).ok();
        registry.count("PUT", "/manifests/") - before
    };
    assert_eq!(pushes(&["-d", &one, "-t", &two]), 1);
    assert_eq!(pushes(&["-d", &one, "--no-push"]), 0);
    assert_eq!(pushes(&["-d", &one, "--no-push=false"]), 1);
    let archive = space.own().join("image.tar").display().to_string();
    assert_eq!(pushes(&["-d", &one, "--tar-path", &archive]), 1);
    assert!(Path::new(&archive).is_file());
    let alone = ["-d", &one, "--tar-path", &archive, "--no-push"];
    assert_eq!(pushes(&alone), 0);
    // Once is enough, however often it is said.
    let told = |flags: &[&str]| {
        let built = build(space).args(["-d", &one]).args(flags).ok();
        let pushed = |line: &&str| line.contains("/one:v1 is sha256:");
        built.stderr.lines().filter(pushed).count()
    };
    assert_eq!(told(&["-d", &one]), 1);
    assert_eq!(told(&["--push"]), 1);
    assert_eq!(told(&["-o", &format!("type=registry,name={one}")]), 1);
    let nothing = build(space).arg("--no-push").ok();
    nothing.says(&["warning", "--no-push has no effect"]);
    let both = build(space).args(["--no-push", "--push"]).exits(2);
    both.says(&["--no-push", "cannot be used with", "--push"]);
    build(space).args(["-d", "A:B:C"]).exits(2).says(&["A:B:C"]);
}

fn archives_and_layouts_are_written(space: &Space) {
    let (archive, layout) = (space.own().join("image.tar"), space.own().join("layout"));
    let built = build(space)
        .args(["-d", "example.org/app:v1", "--no-push"])
        .arg("--tar-path")
        .arg(&archive);
    built.arg("--oci-layout-path").arg(&layout).ok();
    let id = space.id("example.org/app:v1");
    let told = |path: &Path| space.kiln(["verify"]).arg(path).ok().stdout;
    let text = told(&archive);
    assert!(
        text.contains("example.org/app:v1") && text.contains(&id),
        "{text}"
    );
    assert!(layout.join("oci-layout").is_file());
    let text = told(&layout);
    assert!(text.contains(&id), "{text}");
    // Standard output is for one, whatever flag wants it.
    for other in ["--output=-", "--tag=oci-archive:-"] {
        let both = build(space).args(["--tar-path", "-", other]).exits(2);
        both.says(&["only one output can go to standard output"]);
    }
    let nowhere = build(space).args(["--tar-path", "no/such/folder/image.tar"]);
    nowhere.exits(3).says(&["no/such/folder"]);
}

fn one_snapshot_is_one_layer(space: &Space) {
    space.write("word", "word");
    space
        .build("FROM scratch\nCOPY word /base\n")
        .args(["-t", "base"])
        .ok();
    let text = "FROM base\nCOPY word /one\nCOPY word /two\n";
    let layers = |flags: &[&str]| {
        space.build(text).args(flags).ok();
        space.image("app").layers.len()
    };
    assert_eq!(layers(&["--single-snapshot"]), 2);
    assert_eq!(layers(&["--single-snapshot=false"]), 3);
    assert_eq!(layers(&["--squash"]), 2);
}

fn contexts_are_written_in_kanikos_way(space: &Space) {
    build(space).args(["-t", "plain"]).ok();
    let id = space.id("plain");
    let folder = space.context().display().to_string();
    let run = |context: &str| space.kiln(["build", "-t", "app", "--context", context]);
    run(&format!("dir://{folder}")).ok();
    assert_eq!(space.image("app").text("word"), "word");
    space.write("Other", "FROM scratch\nCOPY word /other\n");
    run(&folder).args(["--dockerfile", "Other"]).ok();
    assert_eq!(space.image("app").text("other"), "word");
    let dockerfile = "FROM scratch\nCOPY . /all/\n";
    let tar = Tar::default()
        .file("Dockerfile", dockerfile)
        .file("sub/word", "inside")
        .end();
    let path = space
        .write_in("own", "context.tar", &tar)
        .display()
        .to_string();
    let archive = format!("tar://{path}");
    run(&archive).ok();
    assert_eq!(space.image("app").text("all/sub/word"), "inside");
    run(&archive).arg("--no-cache").ok();
    run("tar://stdin").stdin(tar).ok();
    assert_eq!(space.image("app").text("all/sub/word"), "inside");
    run("tar://stdin")
        .arg("--stdin")
        .exits(2)
        .says(&["standard input already gives"]);
    // What is in none of these forms is a context like the argument.
    run("-").stdin("FROM scratch\nLABEL a=b\n").ok();
    assert!(id.starts_with("sha256:"));
    for (context, why) in [
        ("tar:///no/such.tar", "there is no archive /no/such.tar"),
        ("dir:///no/such", "/no/such"),
        ("gs://bucket/context.tar.gz", "kiln does not read buckets"),
    ] {
        run(context).exits(2).says(&[why]);
    }
    let text = space
        .write_in("own", "no.tar", "no archive")
        .display()
        .to_string();
    run(&format!("tar://{text}"))
        .exits(1)
        .says(&["no.tar", "is no archive"]);
    run(&folder)
        .arg(&folder)
        .exits(2)
        .says(&["--context", "cannot be used with"]);
    space.kiln(["build"]).exits(2).says(&["CONTEXT"]);
}

fn registries_may_be_insecure(space: &Space) {
    let registry = Registry::start(Guard::Open);
    // By this address it is this machine, and kiln does not know it.
    let host = registry.host.replace("127.0.0.1", "0.0.0.0");
    let name = format!("{host}/app:v1");
    let push = |flags: &[&str]| build(space).args(["-d", &name, "--retry=0"]).args(flags);
    push(&[]).exits(3);
    push(&["--insecure-pull"]).exits(3);
    for flag in ["--insecure", "--skip-tls-verify", "--skip-tls-verify=true"] {
        push(&[flag]).ok();
    }
    push(&["--skip-tls-verify-registry", &host]).ok();
    // Also where only an output or a cache names it.
    for (flag, value) in [
        (
            "--output",
            format!("type=image,push=true,name={host}/output"),
        ),
        (
            "--output",
            format!("type=registry,name={host}/digest,push-by-digest=true"),
        ),
        ("--cache-to", format!("type=registry,ref={host}/cache")),
        ("--cache-repo", format!("{host}/repo")),
    ] {
        let named = || build(space).args([flag, &value, "--retry=0"]);
        named().exits(3);
        named().arg("--insecure").ok();
    }
    let from = ["--cache-from", &format!("{host}/cache"), "--retry=0"];
    let fresh = space.own().join("fresh");
    let found = build(space).args(from).arg("--insecure");
    let found = found.env("KILN_STORE", fresh).ok();
    found.says(&["has 1 result"]);
    space.kiln(["rmi", &name]).ok();
    let text = format!("FROM scratch\nCOPY --from={name} /word /copied\n");
    let pull = |flags: &[&str]| space.build(&text).arg("--retry=0").args(flags);
    pull(&[]).exits(1);
    pull(&["--insecure"]).exits(1);
    pull(&["--insecure-pull"]).ok();
    assert_eq!(space.image("app").text("copied"), "word");
    for flag in ["--skip-tls-verify-pull", "--skip-tls-verify-pull=true"] {
        pull(&["--pull", flag]).ok();
    }
}

fn mirrors_are_asked_first(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let host = &registry.host;
    let names = [
        format!("{host}/library/mirrored:1"),
        format!("{host}/team/mirrored:1"),
    ];
    for name in &names {
        build(space).args(["-d", name]).ok();
    }
    for name in &names {
        space.kiln(["rmi", name]).ok();
    }
    let from = |name: &str, flags: &[&str]| {
        let build = space
            .build(&format!("FROM scratch\nCOPY --from={name} /word /copied\n"))
            .arg("--retry=0");
        build.args(flags).ok();
        assert_eq!(space.image("app").text("copied"), "word");
        space.kiln(["rmi", name]).ok();
    };
    from("mirrored:1", &["--registry-mirror", host]);
    from(
        "nowhere.invalid/team/mirrored:1",
        &[
            "--registry-map",
            &format!("x.invalid=y.invalid;nowhere.invalid={host}"),
        ],
    );
    from(
        "mirrored:1",
        &["--registry-map", &format!("index.docker.io={host}")],
    );
    let wrong = |flag: &str, why: &str| {
        let refused = space.build("FROM scratch\n").arg(flag).exits(2);
        refused.says(&[why]);
    };
    wrong(
        "--registry-map=nothing",
        "--registry-map nothing: expected REGISTRY=MIRROR",
    );
    wrong("--registry-mirror=http://plain.invalid", "plain http");
}
