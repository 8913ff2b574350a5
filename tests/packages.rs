//! What a release has: `builder/package/release` with the binary under test. `tests/interop/packages` starts the images in containers.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::binary::program;
use crate::support::golden::repository;
use crate::support::{Mode, Space, mode, plain_cases};

plain_cases! {
    a_release_is_whole_and_repeats_itself,
}

/// The files of a folder, sorted.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn a_release_is_whole_and_repeats_itself(space: &Space) {
    let tools = [
        "bash",
        "tar",
        "gzip",
        "install",
        "md5sum",
        "sha256sum",
        "realpath",
    ];
    if let Some(missing) = tools.iter().find(|tool| !is_there(tool)) {
        return mode::skip(
            "the release",
            Mode::Caller,
            &format!("there is no {missing}"),
        );
    }
    let release = |out: &str| {
        let script = "exec bash repository/builder/package/release --binary binary out";
        let told = space
            .shell(script)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .run();
        assert!(told.status.success(), "{told}");
        fs::rename(space.own().join("out"), space.own().join(out)).unwrap();
        told.stdout
    };
    prepare(space);
    let told = release("first");
    let first = space.own().join("first");
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    release("second");
    assert_eq!(
        fs::read_to_string(space.own().join("second/SHA256SUMS")).unwrap(),
        sums
    );
    let files = names(&first);
    let arch = std::env::consts::ARCH;
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        files.contains(&format!("kiln-{version}-{arch}-linux.tar.gz")),
        "{files:?}"
    );
    images(space, &first, &told);
    debian(space, &first);
}

/// What the script reads of the repository, which may be closed to the user that runs kiln, and a binary.
fn prepare(space: &Space) {
    fs::create_dir_all(space.own().join("repository/builder")).unwrap();
    space.copy_of(
        &repository().join("builder/package"),
        "own/repository/builder/package",
    );
    for name in ["Cargo.toml", "LICENSE", "README.md", "CHANGELOG.md"] {
        space.write_in(
            "own/repository",
            name,
            fs::read(repository().join(name)).unwrap(),
        );
    }
    // the binary of the tests has debug information, which would be packed for seconds
    let binary = space.write_in(
        "own",
        "binary",
        format!("#!/bin/sh\nexec '{}' \"$@\"\n", program().display()),
    );
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What cannot be made here is told.
fn images(space: &Space, folder: &Path, told: &str) {
    let version = env!("CARGO_PKG_VERSION");
    let image = |kind: &str| {
        folder.join(format!(
            "kiln-{version}{kind}-{}-image.tar",
            std::env::consts::ARCH
        ))
    };
    if told.contains("skipped: images") {
        return mode::skip(
            "the images of a release",
            Mode::Caller,
            "there are no certificate authorities",
        );
    }
    space.kiln(["load", "-q", "-i"]).arg(image("")).ok();
    let name = format!("kiln:{version}");
    let told_by = space
        .kiln([
            "inspect",
            "-f",
            "{{json .Config.Entrypoint}} {{json .Config.Volumes}}",
            &name,
        ])
        .ok();
    assert_eq!(
        told_by.stdout,
        "[\"/usr/bin/kiln\"] {\"/var/lib/kiln\":{}}\n"
    );
    let paths = space.image(&name);
    for (path, mode) in [
        ("usr/bin/kiln", 0o755),
        ("tmp", 0o1777),
        ("etc/ssl/certs", 0o755),
    ] {
        assert_eq!(paths.entry(path).mode & 0o7777, mode, "{path}");
    }
    assert!(
        paths
            .text("etc/ssl/certs/ca-certificates.crt")
            .contains("BEGIN CERTIFICATE")
    );
    if told.contains("skipped: kiln:debug") {
        return mode::skip("the image kiln:debug", Mode::Caller, "there is no busybox");
    }
    space.kiln(["load", "-q", "-i"]).arg(image("-debug")).ok();
    let debug = space.image(&format!("{name}-debug"));
    assert!(
        debug.files.keys().any(|path| path.ends_with("bin/sh")),
        "there is no shell"
    );
}

fn debian(space: &Space, folder: &Path) {
    let package: PathBuf = names(folder)
        .iter()
        .find(|name| name.ends_with(".deb"))
        .map(|name| folder.join(name))
        .unwrap();
    if !is_there("dpkg-deb") {
        return mode::skip(
            "the package for Debian",
            Mode::Caller,
            "there is no dpkg-deb",
        );
    }
    let shown = |flag: &str| {
        space
            .shell("exec dpkg-deb \"$0\" \"$1\"")
            .arg(flag)
            .arg(&package)
            .ok()
            .stdout
    };
    let fields = shown("--info");
    assert!(
        fields.contains("Package: kiln\n")
            && fields.contains("Recommends: ca-certificates, uidmap\n"),
        "{fields}"
    );
    let files = shown("--contents");
    for path in [
        "./usr/bin/kiln",
        "./usr/share/man/man1/kiln-build.1.gz",
        "./usr/share/bash-completion/completions/kiln",
        "./usr/share/zsh/vendor-completions/_kiln",
        "./usr/share/fish/vendor_completions.d/kiln.fish",
        "./usr/share/doc/kiln/copyright",
    ] {
        assert!(
            files.lines().any(|line| line.ends_with(path)),
            "{path}: {files}"
        );
    }
    assert!(
        files.lines().all(|line| line.contains("root/root")),
        "{files}"
    );
}
