//! `probe`, from a process that has entered already (what it finds inside is then the same again, nested).

use std::fs;

use kiln_sandbox::{Feature, Status, probe};

use crate::harness::{Ground, note, tree};

pub fn tells(ground: &Ground) {
    let store = ground.path("store");
    fs::create_dir(&store).unwrap();
    let checks = probe(&store, ground.disabled.get());
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let known = [
        "kernel",
        "namespace switches",
        "id range",
        "cgroups",
        "store file system",
        "free space",
        "user namespaces",
        "detached mounts",
        "openat2",
        "seccomp",
        "fresh /proc",
        "host name",
        "change of root",
        "overlay",
        "lowerdir+",
        "isolation",
    ];
    assert_eq!(names, known);
    let missing: Vec<_> = checks
        .iter()
        .filter(|check| check.status == Status::Missing)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(tree(&store), [""; 0], "the probe left something");
    let old = [Feature::Openat2, Feature::Procfs, Feature::LowerdirAppend]
        .into_iter()
        .collect();
    let weaker: Vec<_> = probe(&store, old)
        .into_iter()
        .filter(|check| check.status == Status::Warn)
        .map(|check| check.name)
        .collect();
    for name in ["openat2", "fresh /proc", "lowerdir+"] {
        assert!(
            weaker.iter().any(|weak| weak == name),
            "{name} is missing in {weaker:?}"
        );
    }
    tells_of_a_store_on_overlay(ground);
    note(
        &checks
            .iter()
            .map(|check| format!("{}: {}", check.name, check.detail))
            .collect::<Vec<_>>()
            .join("; "),
    );
}

fn tells_of_a_store_on_overlay(ground: &Ground) {
    let mount = ground.root("upper");
    let inside = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&mount))
    );
    rustix::io::fcntl_setfd(&mount, rustix::io::FdFlags::empty()).unwrap();
    let on_overlay = probe(inside.as_ref(), ground.disabled.get());
    let of = |status| {
        on_overlay
            .iter()
            .filter(move |check| check.status == status)
    };
    assert_eq!(of(Status::Missing).count(), 0, "{on_overlay:?}");
    assert!(
        of(Status::Warn).any(|check| check.name == "overlay"),
        "{on_overlay:?}"
    );
}

/// Real root asks as a user that has no range.
pub fn of_an_ordinary_user(ground: &Ground) {
    use std::os::unix::process::CommandExt;
    if ground.entered.rootless {
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command
        .args(["--payload", "probe"])
        .uid(54_321)
        .gid(54_321)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("id range: Warn: /etc/subuid has no line for this user"),
        "{text}"
    );
    assert!(
        text.contains("user namespaces: Warn: only one user id"),
        "{text}"
    );
    assert!(
        text.contains("overlay: Ok: works with userxattr") && text.contains("fresh /proc: Ok"),
        "{text}"
    );
}
