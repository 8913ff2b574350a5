//! `--output`: the same result as a folder, a tar, an archive; what is refused; what stays untouched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::support::archive::{described, listed};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_folder_holds_the_files,
    a_folder_is_never_left_by_a_link,
    a_tar_goes_to_standard_output,
    archives_are_loaded_again,
    several_platforms_have_folders_of_their_own,
    what_means_nothing_is_a_usage_error,
    one_file_may_tell_what_was_made,
    squashed_layers_hold_the_same,
    annotations_are_where_they_should_be,
    archives_may_have_dockers_media_types,
    an_output_may_say_the_time,
}

const DOCKERFILE: &str =
    "FROM scratch\nCOPY --chown=7:8 --chmod=4750 tool /bin/tool\nCOPY text /a/text\n";

fn prepare(space: &Space) -> std::path::PathBuf {
    space.write("tool", "tool");
    space.write("text", "text");
    space.own_folder("out")
}

fn a_folder_holds_the_files(space: &Space) {
    let out = prepare(space).join("result");
    space.build(DOCKERFILE).arg("-o").arg(&out).ok();
    assert_eq!(fs::read_to_string(out.join("a/text")).unwrap(), "text");
    let tool = fs::metadata(out.join("bin/tool")).unwrap();
    assert_eq!(tool.permissions().mode() & 0o7777, 0o750);
    assert_eq!(tool.uid(), fs::metadata(&out).unwrap().uid());
    // again, over files that are there, and others that stay
    fs::write(out.join("a/other"), "other").unwrap();
    space
        .build(DOCKERFILE)
        .arg("--output")
        .arg(format!("type=local,dest={}", out.display()))
        .ok();
    let mut names: Vec<_> = fs::read_dir(out.join("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["other", "text"]);
}

fn a_folder_is_never_left_by_a_link(space: &Space) {
    let out = prepare(space);
    let outside = space.own_folder("outside");
    symlink(&outside, out.join("a")).unwrap();
    symlink(outside.join("tool"), out.join("bin")).unwrap();
    space.build(DOCKERFILE).arg("-o").arg(&out).ok();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(out.join("a/text")).unwrap(), "text");
    assert!(fs::symlink_metadata(out.join("bin")).unwrap().is_dir());
}

fn a_tar_goes_to_standard_output(space: &Space) {
    let out = prepare(space).join("result.tar");
    let made = space.build(DOCKERFILE).args(["-o", "-"]).ok();
    let to_file = format!("type=tar,dest={}", out.display());
    space.build(DOCKERFILE).args(["-o", &to_file]).ok();
    let tar = fs::read(&out).unwrap();
    assert_eq!(made.stdout.len(), tar.len());
    for name in ["bin/tool", "a/text"] {
        assert!(
            tar.windows(name.len())
                .any(|window| window == name.as_bytes())
        );
    }
}

fn archives_are_loaded_again(space: &Space) {
    let out = prepare(space);
    for (kind, compression) in [("oci", "gzip"), ("docker", "zstd"), ("oci", "uncompressed")] {
        let file = out.join(format!("{kind}-{compression}.tar"));
        let output = format!(
            "type={kind},dest={},compression={compression},name=example.org/{kind}:{compression}",
            file.display()
        );
        space.build(DOCKERFILE).args(["-o", &output]).ok();
        let loaded = space.kiln(["load", "-i"]).arg(&file).ok();
        let name = format!("example.org/{kind}:{compression}");
        assert!(loaded.stdout.contains(&name), "{loaded}");
        assert_eq!(
            space.id(&format!("example.org/{kind}:{compression}")),
            space.id("app")
        );
    }
    let folder = out.join("layout");
    let output = format!("type=oci,tar=false,\"dest={}\"", folder.display());
    space.build(DOCKERFILE).args(["-o", &output]).ok();
    assert!(folder.join("oci-layout").is_file() && folder.join("index.json").is_file());
    // a layout is replaced by the next, also behind a link; what else is there is nobody's to replace
    let verified = || space.kiln(["verify"]).arg(&folder).ok().stdout;
    let link = out.join("link");
    symlink(&folder, &link).unwrap();
    for (label, to) in [("n=1", &folder), ("n=2", &link)] {
        let build = space.build(DOCKERFILE).args(["--label", label]);
        build.arg("--oci-layout-path").arg(to).ok();
        assert!(verified().contains(&space.id("app")), "{}", verified());
        assert_eq!(
            fs::read_dir(folder.join("blobs/sha256")).unwrap().count(),
            4
        );
    }
    assert!(link.is_symlink());
    fs::write(folder.join("mine"), "mine").unwrap();
    let refused = space.build(DOCKERFILE).args(["-o", &output]).exits(3);
    refused.says(&["layout is not empty and no OCI layout"]);
    assert!(folder.join("oci-layout").is_file() && folder.join("mine").is_file());
    fs::remove_file(folder.join("oci-layout")).unwrap();
    fs::remove_file(folder.join("mine")).unwrap();
    let refused = space.build(DOCKERFILE).args(["-o", &output]).exits(3);
    refused.says(&["no OCI layout"]);
    assert!(fs::read_dir(&out).unwrap().all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".kiln")
    }));
}

fn several_platforms_have_folders_of_their_own(space: &Space) {
    let out = prepare(space);
    let dockerfile = "FROM scratch\nARG TARGETARCH\nCOPY text /$TARGETARCH\n";
    let build = || {
        space
            .build(dockerfile)
            .args(["--platform", "linux/s390x,linux/arm/v7"])
    };
    build().arg("-o").arg(&out).ok();
    assert!(out.join("linux_s390x/s390x").is_file() && out.join("linux_arm_v7/arm").is_file());
    let file = out.join("both.tar");
    build()
        .args(["-o", &format!("type=oci,dest={}", file.display())])
        .ok();
    let archive = fs::read(&file).unwrap();
    for platform in ["s390x", "\"variant\":\"v7\""] {
        assert!(
            archive
                .windows(platform.len())
                .any(|window| window == platform.as_bytes())
        );
    }
}

fn what_means_nothing_is_a_usage_error(space: &Space) {
    prepare(space);
    for (output, says) in [
        ("type=lokal", "local"),
        ("type=oci,dest=x,compresion=gzip", "compression"),
        (
            "type=oci,dest=x,compression=gzip,compression-level=99",
            "99",
        ),
        ("type=local", "dest"),
        ("type=local,dest=-", "tar"),
        ("dest=x", "type"),
    ] {
        space
            .build(DOCKERFILE)
            .args(["-o", output])
            .exits(2)
            .says(&[says]);
    }
}

fn one_file_may_tell_what_was_made(space: &Space) {
    let file = prepare(space).join("made.json");
    space
        .build(DOCKERFILE)
        .arg("--metadata-file")
        .arg(&file)
        .ok();
    let made: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(made["containerimage.config.digest"], space.id("app"));
    assert_eq!(made["image.name"], "docker.io/library/app:latest");
    assert_eq!(
        made["containerimage.descriptor"]["digest"],
        made["containerimage.digest"]
    );
    // without a name of its own, that of the output
    let build = space.kiln([
        "build",
        "-o",
        "type=image,name=example.org/one:1,push=false",
    ]);
    let archive = format!("type=oci,dest={}", file.with_extension("tar").display());
    let build = build.args(["-o", &format!("{archive},name=example.org/two")]);
    build
        .arg("--metadata-file")
        .arg(&file)
        .arg(space.context())
        .ok();
    let made: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        made["image.name"],
        "example.org/one:1,example.org/two:latest"
    );
}

fn squashed_layers_hold_the_same(space: &Space) {
    prepare(space);
    space.write("d/x", "x");
    space.write("d/y", "y");
    space
        .build("FROM scratch\nCOPY d /d\nCOPY text /gone/text\nCOPY text /kind\n")
        .args(["-t", "base"])
        .ok();
    let dockerfile = "FROM base\nCOPY --from=tools / /\nRUN rm -r /gone /kind /d/x && mkdir /kind && echo new > /kind/new && ln /kind/new /kind/same\n\
                      COPY text /d/text\nRUN rm /d/text && echo z > /d/z\nLABEL a=b\n";
    let build = |arguments: &[&str]| {
        space.build(dockerfile).args(arguments).ok();
        space.image("app")
    };
    let (plain, squashed) = (build(&[]), build(&["--squash"]));
    assert_eq!(squashed.layers.len(), space.image("base").layers.len() + 1);
    assert_eq!(plain.without_times(), squashed.without_times());
    assert!(!squashed.has("gone") && !squashed.has("d/x") && squashed.has("d/z"));
    let count =
        |image: &crate::support::image::Image| image.config["history"].as_array().unwrap().len();
    assert_eq!(count(&plain) + 1, count(&squashed));
}

fn annotations_are_where_they_should_be(space: &Space) {
    prepare(space);
    let annotations = [
        "--annotation",
        "org.opencontainers.image.title=a",
        "--annotation",
        "manifest[linux/s390x]:b=c",
    ];
    space.build(DOCKERFILE).args(annotations).ok();
    assert_eq!(
        space.image("app").manifest["annotations"]["org.opencontainers.image.title"],
        "a"
    );
    assert!(space.image("app").manifest["annotations"]["b"].is_null());
    space
        .build(DOCKERFILE)
        .args(["--annotation", "index:a=b"])
        .exits(2)
        .says(&["index"]);
}

fn archives_may_have_dockers_media_types(space: &Space) {
    let out = prepare(space);
    let build = |kind: &str, more: &str, flags: &[&str]| {
        let path = out.join(kind.replace(',', "-"));
        let output = format!(
            "type={kind},dest={},oci-mediatypes=false{more}",
            path.display()
        );
        space
            .build(DOCKERFILE)
            .args(["-o", &output])
            .args(flags)
            .ok();
        let kept = fs::read(&path).unwrap();
        space.load_in("second", &path);
        kept
    };
    for kind in ["oci", "docker"] {
        let archive = build(kind, ",compression=gzip", &[]);
        let manifest = &listed(&archive)[0];
        assert_eq!(
            manifest["mediaType"],
            "application/vnd.docker.distribution.manifest.v2+json"
        );
        let manifest = described(&archive, manifest);
        assert_eq!(
            manifest["config"]["mediaType"],
            "application/vnd.docker.container.image.v1+json"
        );
        let layer = &manifest["layers"][0]["mediaType"];
        assert_eq!(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    }
    let archive = build("oci", "", &["--platform=linux/amd64,linux/arm64"]);
    let list = &listed(&archive)[0];
    assert_eq!(
        list["mediaType"],
        "application/vnd.docker.distribution.manifest.list.v2+json"
    );
    let list = described(&archive, list);
    for manifest in list["manifests"].as_array().unwrap() {
        assert_eq!(
            manifest["mediaType"],
            "application/vnd.docker.distribution.manifest.v2+json"
        );
        assert_eq!(
            described(&archive, manifest)["mediaType"],
            manifest["mediaType"]
        );
    }
    for lack in ["compression=zstd", "annotation.a=b"] {
        let output = format!("type=oci,dest=x,oci-mediatypes=false,{lack}");
        space
            .build(DOCKERFILE)
            .args(["-o", &output])
            .exits(2)
            .says(&["oci-mediatypes=false: docker"]);
    }
}

/// The time of the image, and in a folder or a tar of all files, those of the base too.
fn an_output_may_say_the_time(space: &Space) {
    let out = prepare(space).join("result");
    space
        .build("FROM scratch\nCOPY tool /tool\n")
        .args(["-t", "base"])
        .ok();
    let text = "FROM base\nCOPY text /a/text\n";
    let output = |output: &str| space.build(text).args(["-o", output]);
    let local = format!("type=local,dest={}", out.display());
    output(&format!("{local},source-date-epoch=1600000000")).ok();
    for file in ["tool", "a", "a/text"] {
        let found = fs::symlink_metadata(out.join(file)).unwrap();
        assert_eq!(found.mtime(), 1_600_000_000, "{file}");
    }
    assert_eq!(space.image("app").config["created"], "2020-09-13T12:26:40Z");
    let tar = space.own().join("out.tar");
    let to_tar = format!("type=tar,dest={},source-date-epoch=7", tar.display());
    output(&to_tar).ok();
    let mut archive = tar::Archive::new(fs::File::open(&tar).unwrap());
    let times = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().header().mtime().unwrap());
    assert_eq!(times.collect::<Vec<_>>(), [7; 3]);
    // Whoever says it, and to each output alike.
    output(&local).env("SOURCE_DATE_EPOCH", "9").ok();
    assert_eq!(fs::symlink_metadata(out.join("tool")).unwrap().mtime(), 9);
    output("type=cacheonly,source-date-epoch=").ok();
    output("type=image,source-date-epoch=7").ok();
    assert_eq!(space.image("app").config["created"], "1970-01-01T00:00:07Z");
    let refused = output(&to_tar)
        .args(["-o", "type=image,source-date-epoch=8"])
        .exits(2);
    refused.says(&["both set the time"]);
    output(&to_tar).env("SOURCE_DATE_EPOCH", "8").exits(2);
    output("type=image,source-date-epoch=soon")
        .exits(2)
        .says(&["soon"]);
}
