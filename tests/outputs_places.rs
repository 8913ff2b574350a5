//! `--output` without a place, into a folder that is to hold nothing else, for platforms of one name; and the names that it gives.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::archive::listed;
use crate::support::image::members;
use crate::support::{Space, plain_cases};

plain_cases! {
    an_output_names_the_image,
    archives_go_to_standard_output,
    archives_have_dockers_names_and_platforms,
    what_the_result_does_not_have_may_go,
    nothing_is_deleted_elsewhere,
    versions_of_windows_have_folders_of_their_own,
    platforms_overwrite_nothing_of_each_other,
}

const DOCKERFILE: &str = "FROM scratch\nCOPY text /a/text\n";

fn prepare(space: &Space) -> std::path::PathBuf {
    space.write("text", "text");
    space.own_folder("out")
}

/// A build without a name of its own.
fn build(space: &Space, outputs: &[&str]) -> crate::support::Finished {
    space.write("Dockerfile", DOCKERFILE);
    let build = space.kiln(["build"]);
    let outputs = outputs.iter().flat_map(|output| ["-o", output]);
    build.args(outputs).arg(space.context()).ok()
}

fn an_output_names_the_image(space: &Space) {
    let file = prepare(space).join("x.tar");
    let to_file = |kind: &str, names: &str| format!("type={kind},dest={},{names}", file.display());
    for (output, names) in [
        ("type=docker,name=one:1".to_owned(), vec!["one:1"]),
        (
            "type=docker,\"name=two:1,team/two\"".to_owned(),
            vec!["two:1", "team/two:latest"],
        ),
        (to_file("docker", "name=three"), vec!["three:latest"]),
        (
            to_file("oci", "\"name=four:1,four:2\""),
            vec!["four:1", "four:2"],
        ),
        (
            "type=image,\"name=five,example.org/five:1\"".to_owned(),
            vec!["five:latest", "example.org/five:1"],
        ),
    ] {
        let built = build(space, &[&output]);
        for name in names {
            built.says(&[name]);
            assert!(space.image(name).has("a/text"), "{output}");
        }
    }
    build(
        space,
        &[
            "type=docker,name=six",
            "type=cacheonly",
            "type=image,name=seven",
        ],
    );
    assert_eq!(space.id("six"), space.id("seven"));
}

fn archives_go_to_standard_output(space: &Space) {
    let out = prepare(space);
    for (kind, member) in [("tar", "a/text"), ("oci", "oci-layout")] {
        let made = space
            .build(DOCKERFILE)
            .args(["-o", &format!("type={kind}")])
            .stdout();
        assert!(members(&made).contains_key(member), "{kind}");
        let file = out.join(kind);
        let to_file = format!("type={kind},dest={}", file.display());
        space.build(DOCKERFILE).args(["-o", &to_file]).ok();
        assert!(fs::read(&file).unwrap() == made, "{kind}");
    }
    // without dest docker's is in the store, and a folder has no stream
    assert_eq!(
        space.build(DOCKERFILE).args(["-o", "type=docker"]).stdout(),
        b""
    );
    for (outputs, says) in [
        (["type=oci,tar=false", "type=cacheonly"], "dest"),
        (["type=docker,tar=false", "type=cacheonly"], "dest"),
        (["type=local", "type=cacheonly"], "dest"),
        (["type=tar", "type=oci"], "only one output"),
    ] {
        let refused = space
            .build(DOCKERFILE)
            .args(["-o", outputs[0], "-o", outputs[1]]);
        refused.exits(2).says(&[says]);
    }
}

fn archives_have_dockers_names_and_platforms(space: &Space) {
    let out = prepare(space);
    space
        .build(DOCKERFILE)
        .args(["-t", "team/other:1", "-t", "example.org/x:2"])
        .ok();
    let saved =
        fs::read(space.save(&["app", "team/other:1", "example.org/x:2"], "saved.tar")).unwrap();
    let file = out.join("docker.tar");
    let to_file = format!("type=docker,dest={}", file.display());
    let platform = ["--platform", "linux/arm/v7"];
    space
        .build(DOCKERFILE)
        .args(["-o", &to_file])
        .args(platform)
        .ok();
    let exported = fs::read(&file).unwrap();
    for (archive, tags, architecture) in [
        (
            &saved,
            &["app:latest", "team/other:1", "example.org/x:2"][..],
            Value::Null,
        ),
        (&exported, &["app:latest"][..], Value::from("v7")),
    ] {
        let documents = members(archive);
        let manifest: Value = serde_json::from_slice(&documents["manifest.json"]).unwrap();
        let written: Vec<&str> = manifest[0]["RepoTags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag.as_str().unwrap())
            .collect();
        let mut sorted = written.clone();
        sorted.sort_unstable();
        let mut expected = tags.to_vec();
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        let repositories: Value = serde_json::from_slice(&documents["repositories"]).unwrap();
        assert!(repositories["app"]["latest"].is_string());
        for descriptor in listed(archive) {
            assert_eq!(descriptor["platform"]["os"], "linux");
            assert_eq!(
                descriptor["platform"]
                    .get("variant")
                    .cloned()
                    .unwrap_or_default(),
                architecture
            );
            // whoever reads these needs the whole name
            let name = descriptor["annotations"]["io.containerd.image.name"]
                .as_str()
                .unwrap();
            assert!(name.starts_with("docker.io/") || name.starts_with("example.org/"));
        }
    }
    space.load_in("second", &file);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A folder with what a result has, and more.
fn full(out: &Path, outside: &Path) {
    fs::create_dir_all(out.join("a/text/was/a/folder")).unwrap();
    fs::create_dir_all(out.join("old/closed")).unwrap();
    fs::write(out.join("old/closed/file"), "old").unwrap();
    fs::write(out.join("a/old"), "old").unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    std::os::unix::fs::symlink(outside, out.join("link")).unwrap();
    fs::set_permissions(
        out.join("old/closed"),
        std::os::unix::fs::PermissionsExt::from_mode(0o000),
    )
    .unwrap();
}

fn what_the_result_does_not_have_may_go(space: &Space) {
    let own = prepare(space);
    let (out, outside) = (own.join("result"), space.own_folder("outside"));
    full(&out, &outside);
    for path in [
        out.join("a"),
        out.join("a/text"),
        out.clone(),
        outside.join("kept"),
    ] {
        space.give(&path);
    }
    if space.account().is_some() {
        let own_all = std::process::Command::new("chown")
            .arg("-R")
            .arg(format!("--reference={}", own.display()))
            .arg(&out)
            .status();
        assert!(own_all.unwrap().success());
    }
    let delete = |more: &str| {
        let output = format!("type=local,dest=result,mode=delete{more}");
        space
            .build(DOCKERFILE)
            .current_dir(&own)
            .args(["-o", &output])
    };
    delete("").ok();
    assert_eq!(
        (names(&out), names(&out.join("a"))),
        (vec!["a".to_owned()], vec!["text".to_owned()])
    );
    assert_eq!(fs::read_to_string(out.join("a/text")).unwrap(), "text");
    assert_eq!(names(&outside), ["kept"]);
    delete("")
        .args(["--platform=linux/s390x,linux/arm/v6"])
        .ok();
    assert_eq!(names(&out), ["linux_arm_v6", "linux_s390x"]);
    delete(",platform-split=true").ok();
    assert_eq!(names(&out).len(), 1);
    // copying leaves what is there
    let copy = ["-o", "type=local,dest=result,mode=copy"];
    space.build(DOCKERFILE).current_dir(&own).args(copy).ok();
    assert_eq!(names(&out).len(), 2);
    space
        .build(DOCKERFILE)
        .args(["-o", "type=local,dest=x,mode=move"])
        .exits(2)
        .says(&["copy or delete"]);
}

/// buildx's rule: below the current folder, or where it is allowed.
fn nothing_is_deleted_elsewhere(space: &Space) {
    let own = prepare(space);
    let other = space.own_folder("other");
    fs::write(other.join("kept"), "kept").unwrap();
    space.give(&other.join("kept"));
    std::os::unix::fs::symlink(&other, own.join("link")).unwrap();
    let delete = |to: &str| {
        let output = format!("type=local,mode=delete,dest={to}");
        space
            .build(DOCKERFILE)
            .current_dir(&own)
            .args(["-o", &output])
    };
    for to in [".", "..", "link", "new/../..", other.to_str().unwrap()] {
        delete(to)
            .exits(2)
            .says(&["would delete", "--allow buildx.local.delete"]);
    }
    assert_eq!(names(&other), ["kept"]);
    delete("link").args(["--allow", "buildx.local.delete"]).ok();
    assert_eq!(names(&other), ["a"]);
    delete("new/folder").ok();
    assert_eq!(names(&own.join("new/folder")), ["a"]);
}

fn versions_of_windows_have_folders_of_their_own(space: &Space) {
    let out = prepare(space);
    let platforms = "windows(10.0.17763.1)/amd64,windows(10.0.20348.2)/amd64,linux/amd64";
    let text = "FROM scratch\nARG TARGETPLATFORM TARGETOSVERSION\nCOPY text /$TARGETOSVERSION.txt\nLABEL for=$TARGETPLATFORM\n";
    let build = |output: &str| {
        space
            .build(text)
            .args(["--platform", platforms, "-o", output])
    };
    build(&format!("type=local,dest={}", out.display())).ok();
    assert_eq!(
        names(&out),
        [
            "linux_amd64",
            "windows(10.0.17763.1)_amd64",
            "windows(10.0.20348.2)_amd64"
        ]
    );
    assert_eq!(
        names(&out.join("windows(10.0.17763.1)_amd64")),
        ["10.0.17763.1.txt"]
    );
    let tar = members(&build("type=tar").stdout());
    assert!(tar.contains_key("windows(10.0.20348.2)_amd64/10.0.20348.2.txt"));
    let inspect = [
        "inspect",
        "-f",
        "{{index .Config.Labels \"for\"}}",
        "app",
        "--platform",
    ];
    let one = space.kiln(inspect).arg("windows(10.0.20348.2)/amd64").ok();
    assert_eq!(one.stdout, "windows(10.0.20348.2)/amd64\n");
    let missing = space
        .kiln(["inspect", "app", "--platform", "linux/s390x"])
        .exits(1);
    missing.says(&["windows(10.0.17763.1)/amd64"]);
}

fn platforms_overwrite_nothing_of_each_other(space: &Space) {
    let out = prepare(space);
    let together = format!("type=local,platform-split=false,dest={}", out.display());
    let two = ["--platform", "linux/s390x,linux/arm64", "-o", &together];
    let refused = space.build(DOCKERFILE).args(two).exits(3);
    refused.says(&["a/text", "linux/s390x", "linux/arm64"]);
    assert_eq!(names(&out), [""; 0]);
    let apart = "FROM scratch\nARG TARGETARCH\nCOPY text /a/$TARGETARCH\n";
    space.build(apart).args(two).ok();
    assert_eq!(names(&out.join("a")), ["arm64", "s390x"]);
}
