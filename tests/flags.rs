//! The command line by pflag's rules, as docker, buildah and kaniko read it; and flags of theirs that say in other words what kiln does.

use crate::support::golden::repository;
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    switches_take_true_and_false,
    every_switch_of_build_may_be_off,
    of_repeated_flags_the_last_counts,
    empty_values_are_none,
    empty_names_are_mistakes,
    a_file_may_be_the_null_device,
    short_flags_may_stand_together,
    registries_are_asked_as_the_policy_says,
    what_is_here_will_do_unless_it_must_be_new,
    all_layers_become_one,
    no_registry_has_to_show_a_certificate,
    networks_of_other_engines_are_the_machines,
    the_host_has_a_name,
    rights_of_bake_are_not_needed,
    labels_of_selinux_are_left_alone,
    attestations_may_be_switched_off,
}

const TEXT: &str = "FROM scratch AS first\nLABEL stage=first\nFROM scratch\nLABEL stage=last\n";

const TRUE: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "false", "FALSE", "False"];

/// The label of the stage that was built.
fn stage(space: &Space) -> String {
    let image = space.image("app");
    image.setting("Labels")["stage"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn switches_take_true_and_false(space: &Space) {
    let text = "FROM tools\nRUN echo ran\n";
    space.build(text).ok();
    let built = |flag: String| space.build(text).arg(flag).ok();
    for value in TRUE {
        assert_eq!(built(format!("--no-cache={value}")).output(), ["ran"]);
        let quiet = built(format!("--quiet={value}"));
        assert_eq!(quiet.stdout, format!("{}\n", space.id("app")));
    }
    for value in FALSE {
        assert_eq!(built(format!("--no-cache={value}")).output(), [""; 0]);
        assert_eq!(built(format!("--quiet={value}")).stdout, "");
    }
    assert!(built("-q=true".to_owned()).stderr.is_empty());
    let script = [
        "--push=false",
        "--no-cache=false",
        "--load=true",
        "--pull=false",
    ];
    assert_eq!(space.build(text).args(script).ok().output(), [""; 0]);
    let other = [
        ("images", "--all"),
        ("images", "--no-trunc"),
        ("df", "--verbose"),
        ("history", "--human"),
        ("load", "--quiet"),
        ("prune", "--force"),
        ("pull", "--all-tags"),
        ("push", "--force-compression"),
        ("rmi", "--no-prune"),
        ("fsck", "--repair"),
        ("login", "--password-stdin"),
        ("verify", "--json"),
    ];
    for (command, flag) in other {
        let wrong = space.kiln([command, &format!("{flag}=maybe")]).exits(2);
        wrong.says(&[flag, "\"maybe\"", "neither true nor false"]);
    }
    for ids in [["-q=1", "--no-trunc=t"], ["--quiet=T", "--no-trunc=True"]] {
        let listed = space.kiln(["images"]).args(ids).arg("--all=false").ok();
        assert!(listed.stdout.contains(&space.id("app")), "{listed}");
    }
    // What the environment switches on, the command line switches off.
    let online = space.kiln(["images", "--offline=false"]);
    online.env("KILN_OFFLINE", "1").ok();
    space.kiln(["images", "--offline=maybe"]).exits(2);
}

/// The switches of the reference: flags without a value, and switches of other engines.
fn switches() -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/build-flags.md")).unwrap();
    let spelled = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let long = spelled.filter_map(|spelled| spelled.rsplit(", ").next());
    let bare = long.filter(|long| long.starts_with("--") && !long.contains([' ', '[']));
    bare.map(str::to_owned).collect()
}

fn every_switch_of_build_may_be_off(space: &Space) {
    let switches = switches();
    assert!(switches.len() > 45, "{switches:?}");
    for switch in &switches {
        let built = space.build(TEXT).arg(format!("{switch}=maybe")).exits(2);
        built.says(&[switch, "\"maybe\" is neither true nor false"]);
    }
    let off = switches.iter().map(|switch| format!("{switch}=false"));
    space.build(TEXT).args(off).ok();
}

fn of_repeated_flags_the_last_counts(space: &Space) {
    space.write("Other", "FROM scratch\nLABEL stage=other\n");
    let built = |flags: &[&str]| {
        space.build(TEXT).args(flags).ok();
        stage(space)
    };
    assert_eq!(built(&["--target", "first", "--target=1"]), "last");
    assert_eq!(built(&["--target=1", "--target", "first"]), "first");
    assert_eq!(built(&["-f", "nowhere", "--file", "Other"]), "other");
    assert_eq!(built(&["--dockerfile=Other", "-f=Dockerfile"]), "last");
    let quiet = space
        .build(TEXT)
        .args(["--progress", "plain", "--progress", "quiet"]);
    assert_eq!(quiet.ok().stderr, "");
    let (one, two) = (space.own_folder("ids").join("one"), space.path("ids/two"));
    let ids = space.build(TEXT).arg("--iidfile").arg(&one);
    ids.arg("--iidfile").arg(&two).ok();
    assert!(!one.exists() && two.exists());
    let text = "FROM tools\nRUN echo ran\n";
    space.build(text).ok();
    let ran = |flags: &[&str]| space.build(text).args(flags).ok();
    assert_eq!(ran(&["--no-cache", "--no-cache=false"]).output(), [""; 0]);
    assert_eq!(ran(&["--no-cache=false", "--no-cache"]).output(), ["ran"]);
    assert_eq!(
        ran(&["--network=none", "--network=default"]).output(),
        [""; 0]
    );
    // Before and behind the name of the command.
    let store = space.own().join("other");
    let both = space.kiln(["--store=/nowhere", "images", "--store"]);
    both.arg(&store).ok();
}

/// Flags of which docker, buildah or kaniko take an empty value for none.
const MAY_BE_EMPTY: [&str; 36] = [
    "target",
    "file",
    "iidfile",
    "metadata-file",
    "network",
    "progress",
    "shm-size",
    "cgroup-parent",
    "output",
    "cache-from",
    "cache-to",
    "secret",
    "ssh",
    "allow",
    "add-host",
    "annotation",
    "build-context",
    "call",
    "provenance",
    "sbom",
    "memory",
    "cpuset-cpus",
    "isolation",
    "builder",
    "from",
    "ignorefile",
    "logfile",
    "manifest",
    "digest-file",
    "arch",
    "cache-ttl",
    "retry-delay",
    "no-cache-filter",
    "security-opt",
    "creds",
    "cap-add",
];

fn empty_values_are_none(space: &Space) {
    space.build(TEXT).ok();
    let id = space.id("app");
    for flag in MAY_BE_EMPTY {
        space.build(TEXT).args([&format!("--{flag}"), ""]).ok();
        space.build(TEXT).arg(format!("--{flag}=")).ok();
        assert_eq!(space.id("app"), id, "{flag}");
    }
    // It takes back what was said before.
    space
        .build(TEXT)
        .args(["--target=nowhere", "--target", ""])
        .ok();
    space.kiln(["images", "--format", "", "--filter", ""]).ok();
    space
        .kiln(["inspect", "--format=", "--platform=", "--type=", "app"])
        .ok();
    let saved = space.kiln([
        "save",
        "--platform=",
        "--format=",
        "--layer-compression=",
        "--output",
    ]);
    saved.arg(space.own().join("app.tar")).arg("app").ok();
}

fn empty_names_are_mistakes(space: &Space) {
    for flag in ["tag", "build-arg", "label", "platform", "ulimit", "jobs"] {
        let wrong = space.build(TEXT).arg(format!("--{flag}=")).exits(2);
        assert!(!wrong.stderr.is_empty());
    }
    for switch in ["--push=", "--no-cache=", "-q="] {
        let wrong = space.build(TEXT).arg(switch).exits(2);
        wrong.says(&["neither true nor false"]);
    }
}

/// `--ignorefile /dev/null` is how scripts leave `.dockerignore` out.
fn a_file_may_be_the_null_device(space: &Space) {
    space.write("file", "text");
    space.write(".dockerignore", "file\n");
    let build = space.build("FROM scratch\nCOPY . /\n");
    build.args(["--ignorefile", "/dev/null"]).ok();
    assert_eq!(space.image("app").text("file"), "text");
    let empty = space.build("FROM scratch\n").args(["-f", "/dev/null"]);
    empty.exits(1).never_says(&["regular file"]);
}

fn short_flags_may_stand_together(space: &Space) {
    space.write("Other", "FROM scratch\nLABEL stage=other\n");
    for flags in [
        &["-qf", "Other"][..],
        &["-qfOther"],
        &["-qf=Other"],
        &["-q=false", "-fOther"],
    ] {
        space.build(TEXT).args(flags).ok();
        assert_eq!(stage(space), "other", "{flags:?}");
    }
    // A value may look like a flag.
    space.build(TEXT).args(["--label", "--push=x"]).ok();
    assert_eq!(space.image("app").setting("Labels")["--push"], "x");
    let unknown = space.build(TEXT).arg("-qY").exits(2);
    unknown.says(&["-Y"]);
    let missing = space.build(TEXT).arg("--target").exits(2);
    missing.says(&["--target"]);
}

/// Pushes a base with this label, from another store.
fn publish(space: &Space, name: &str, label: &str) {
    let other = space.own().join("elsewhere");
    let text = format!("FROM scratch\nLABEL base={label}\n");
    let built = space.build(&text).args(["-t", name]);
    built.env("KILN_STORE", &other).ok();
    let pushed = space.kiln(["push", "-q", name]);
    pushed.env("KILN_STORE", &other).ok();
}

fn registries_are_asked_as_the_policy_says(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/base:1", registry.host);
    let text = format!("FROM {name}\n");
    let is = |flag: &str, label: &str| {
        space.build(&text).arg(flag).ok();
        let image = space.image("app");
        assert_eq!(image.setting("Labels")["base"], label, "{flag}");
    };
    publish(space, &name, "one");
    let missing = space.build(&text).arg("--pull=never").exits(1);
    missing.says(&["--pull=never asks no registry", "kiln pull"]);
    space.build(&text).arg("--pull-never").exits(1);
    for flag in ["missing", "false", "ifmissing"] {
        is(&format!("--pull={flag}"), "one");
        publish(space, &name, "two");
    }
    is("--pull-always=false", "one");
    let asking = ["--pull", "--pull-always", "--pull=true", "--pull=always"];
    for (number, flag) in asking.into_iter().chain(["--pull=Newer"]).enumerate() {
        let label = format!("label{number}");
        publish(space, &name, &label);
        is(flag, &label);
    }
}

fn what_is_here_will_do_unless_it_must_be_new(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/base:1", registry.host);
    publish(space, &name, "one");
    let text = format!("FROM {name}\n");
    let build = |flags: &[&str]| space.build(&text).arg("--retry=0").args(flags);
    build(&[]).ok();
    for method in ["GET", "HEAD"] {
        let down = Fault::Answer(503, Vec::new(), Vec::new());
        registry.fault(method, "/manifests/", 1000, down);
    }
    build(&["--pull=always"]).exits(1);
    let built = build(&["--pull=newer"]).ok();
    built.says(&["warning", "what the store has is used"]);
    for flags in [&["--pull=never"][..], &["--pull", "--pull=never"]] {
        build(flags).ok().never_says(&["what the store has"]);
    }
    let both = build(&["--pull=never", "--pull-always"]).exits(2);
    both.says(&["contradict"]);
    let unknown = build(&["--pull=sometimes"]).exits(2);
    unknown.says(&["--pull=sometimes", "newer"]);
}

fn all_layers_become_one(space: &Space) {
    space.write("word", "word");
    let base = "FROM scratch\nCOPY word /base/kept\nCOPY word /base/gone\n";
    space.build(base).args(["-t", "base"]).ok();
    let text = "FROM base\nCOPY word /one\nCOPY word /two\n";
    let build = |flags: &[&str]| {
        space.build(text).args(flags).ok();
        space.image("app")
    };
    let (plain, added, all) = (build(&[]), build(&["--squash"]), build(&["--squash-all"]));
    let layers = [plain.layers.len(), added.layers.len(), all.layers.len()];
    assert_eq!(layers, [4, 3, 1]);
    assert_eq!(all.without_times(), plain.without_times());
    assert_eq!(build(&["--squash", "--squash-all=true"]).layers.len(), 1);
    assert_eq!(build(&["--squash-all=false"]).layers.len(), 4);
    // A second one comes from the memo.
    assert_eq!(build(&["--squash-all"]).layers.len(), 1);
    space.build("FROM scratch\n").arg("--squash-all").ok();
}

fn no_registry_has_to_show_a_certificate(space: &Space) {
    let registry = Registry::start(Guard::Open);
    // By this address it is this machine, and kiln does not know it.
    let host = registry.host.replace("127.0.0.1", "0.0.0.0");
    let name = format!("{host}/app:v1");
    space.build(TEXT).args(["-t", &name]).ok();
    let push = |flag: &str| space.kiln(["push", flag, &name]);
    push("--tls-verify=true").exits(1);
    push("--tls-verify=false").ok();
    space.kiln(["rmi", &name]).ok();
    let text = format!("FROM {name}\n");
    let build = |flag: &str| space.build(&text).args(["--retry=0", flag]);
    build("--tls-verify").exits(1);
    build("--tls-verify=false").ok();
    space.kiln(["pull", "--tls-verify=0", &name]).ok();
}

fn networks_of_other_engines_are_the_machines(space: &Space) {
    let text = "FROM tools\nRUN echo ran\n";
    space.build(text).ok();
    for network in ["bridge", "private", "slirp4netns", "pasta:--ipv4-only"] {
        let built = space.build(text).args(["--network", network]).ok();
        assert_eq!(built.output(), [""; 0]);
    }
    let built = space.build(text).arg("--network=bridge").ok();
    built.says(&[
        "warning",
        "--network bridge has no effect: ",
        "--network private",
    ]);
    space.build(text).arg("--net=host").ok();
    for network in ["ns:/run/x", "container:x", "mine"] {
        let refused = space.build(text).args(["--network", network]).exits(2);
        refused.says(&["--network", network, "default, none, host or private"]);
    }
}

fn the_host_has_a_name(space: &Space) {
    let text = "FROM tools\nRUN cat /etc/hosts\n";
    let built = |flags: &[&str]| space.build(text).args(flags).ok();
    built(&["--add-host", "outside:host-gateway"]).says(&["| 127.0.0.1\toutside\n"]);
    built(&["--add-host=a:10.0.0.1,b=10.0.0.2"]).says(&["| 10.0.0.1\ta\n", "| 10.0.0.2\tb\n"]);
    built(&["--add-host=\"two=10.0.0.3,[::4]\""]).says(&["| 10.0.0.3\ttwo\n", "| ::4\ttwo\n"]);
    for wrong in ["name", "name:", ":10.0.0.1", "name=gateway"] {
        let refused = space.build(text).args(["--add-host", wrong]).exits(2);
        refused.says(&["--add-host", wrong]);
    }
}

fn rights_of_bake_are_not_needed(space: &Space) {
    for right in [
        "fs.read=/src",
        "fs.write=/out",
        "fs=*",
        "ssh",
        "image.push=x",
        "fs.read=a,b",
    ] {
        let built = space.build(TEXT).args(["--allow", right]).ok();
        built.says(&["warning", &format!("--allow {right} has no effect: ")]);
    }
    space.build(TEXT).arg("--allow=network.host,device=x").ok();
    let refused = space.build(TEXT).arg("--allow=fs.execute=/").exits(2);
    refused.says(&["no such right"]);
}

fn labels_of_selinux_are_left_alone(space: &Space) {
    space.write("word", "word");
    for mount in [
        "type=bind,source=word,target=/m,z",
        "target=/m,source=word,Z",
        "source=word,target=/m,relabel=private",
    ] {
        let text = format!("FROM tools\nRUN --mount={mount} cat /m\n");
        let built = space.build(&text).arg("--no-cache").ok();
        built.says(&["warning", "does not change SELinux labels"]);
        assert_eq!(built.output(), ["word"]);
    }
    // It breaks no rule.
    let text = "# check=error=true\nFROM tools\nRUN --mount=type=cache,target=/c,z echo ran\n";
    assert_eq!(space.build(text).ok().output(), ["ran"]);
    let wrong = "FROM tools\nRUN --mount=type=tmpfs,target=/c,z echo ran\n";
    space.build(wrong).exits(1).says(&["unexpected key 'z'"]);
    let folder = space.own_folder("volume").display().to_string();
    for option in ["z", "ro,Z"] {
        let volume = format!("{folder}:/v:{option}");
        let built = space
            .build("FROM tools\nRUN ls /v\n")
            .args(["-v", &volume])
            .ok();
        built.says(&["warning", "has no effect"]);
    }
}

fn attestations_may_be_switched_off(space: &Space) {
    let off = [
        &["--provenance", "false"][..],
        &["--sbom", "0"],
        &["--provenance=F"],
        &["--provenance=true", "--provenance", ""],
        &["--attest=type=sbom,disabled=1"],
    ];
    for flags in off {
        space
            .build(TEXT)
            .args(flags)
            .ok()
            .never_says(&["has no effect", "not supported"]);
    }
    for flags in [
        &["--sbom=true"][..],
        &["--provenance=false", "--provenance=1"],
        &["--provenance=mode=min", "--sbom=1", "--attest=type=sbom"],
    ] {
        let built = space.build(TEXT).args(flags).ok();
        let warnings = built.stderr.matches("no attestations are attached").count();
        assert_eq!(warnings, 1, "{built}");
    }
    for flags in [
        &["--provenance", "mode=max"],
        &["--attest", "type=provenance,mode=max"],
    ] {
        let refused = space.build(TEXT).args(flags).exits(2);
        refused.says(&["is not supported"]);
    }
}
