//! The disk becomes full at every moment of a build: it says so, the store stays whole, and with more space the same build
//! succeeds. Needs root for the small file system.

use std::path::Path;

use crate::support::disk::Disk;
use crate::support::mode::skip;
use crate::support::{Finished, Kiln, Space, cases};

cases! {
    a_full_disk_is_said_and_survived,
    a_disk_without_any_space,
    a_full_disk_is_read_and_pruned,
    a_build_makes_room_for_itself,
}

const TEXT: &str = "FROM tools
COPY big /big
RUN cat /big /big > /bigger && echo x > /x
RUN rm /bigger && cat /big > /again
";

const MIB: u64 = 1 << 20;

/// A disk in memory, unless there can be none.
fn disk(space: &Space) -> Option<Disk> {
    let disk = space.small_disk(256 * MIB);
    disk.map_err(|reason| skip("disk_full", space.mode, &reason))
        .ok()
}

fn build(space: &Space, store: &Path) -> Kiln {
    let built = space.build_json(TEXT).env("KILN_STORE", store);
    built.env("SOURCE_DATE_EPOCH", "1600000000")
}

/// A failure that says what it is; a command in a RUN that finds no space fails by itself, all else is the machine's fault.
fn is_explained(built: &Finished) {
    let said = built.stderr.to_lowercase();
    assert!(matches!(built.status.code(), Some(1 | 3)), "{built}");
    assert!(
        said.contains("no space left") && !said.contains("panicked"),
        "{built}"
    );
}

fn is_clean(space: &Space, store: &Path) {
    if store.join("version").exists() {
        let checked = space.kiln(["fsck"]).env("KILN_STORE", store).ok();
        assert_eq!(checked.stdout, "clean\n", "{checked}");
    }
}

fn a_full_disk_is_said_and_survived(space: &Space) {
    space.write("big", vec![7; 3 << 20]);
    let expected = build(space, &space.store()).ok().events().id();
    let Some(disk) = disk(space) else { return };
    let store = space.path("disk/store");
    let mut failures = 0;
    for quarters in [0, 1, 2, 3, 4, 8, 16, 24, 32, 48, 64, 80, 96, 128] {
        disk.leave(quarters * MIB / 4 + 32 * 1024);
        let built = build(space, &store).run();
        if !built.status.success() {
            failures += 1;
            is_explained(&built);
        }
        disk.free();
        is_clean(space, &store);
        if built.status.success() {
            std::fs::remove_dir_all(&store).unwrap();
        }
    }
    assert!(failures >= 5, "only {failures} builds met a full disk");
    assert_eq!(build(space, &store).ok().events().id(), expected);
}

/// Commands on a store whose disk has nothing left: those that only look still work, and the store is as before afterwards.
fn a_disk_without_any_space(space: &Space) {
    space.write("big", vec![7; 1 << 20]);
    let Some(disk) = disk(space) else { return };
    let store = space.path("disk/store");
    let id = build(space, &store).ok().events().id();
    disk.leave(0);
    let on_disk = |arguments: &[&str]| space.kiln(arguments).env("KILN_STORE", &store);
    for command in [
        ["images", "-q"],
        ["inspect", "app"],
        ["history", "app"],
        ["rmi", "app"],
    ] {
        let ended = on_disk(&command).run();
        if !ended.status.success() {
            is_explained(&ended);
        }
    }
    // With a little space the way out that the hint names is open.
    disk.free();
    disk.leave(MIB / 2);
    on_disk(&["rmi", "--force", &id]).run();
    on_disk(&["prune"]).ok();
    disk.free();
    disk.leave(0);
    std::fs::write(space.context().join("big"), vec![8; 1 << 20]).unwrap();
    is_explained(&build(space, &store).run());
    disk.free();
    is_clean(space, &store);
    std::fs::write(space.context().join("big"), vec![7; 1 << 20]).unwrap();
    assert_eq!(build(space, &store).ok().events().id(), id);
}

/// Nothing is free, and what only looks or makes room works.
fn a_full_disk_is_read_and_pruned(space: &Space) {
    space.write("big", vec![7; 1 << 20]);
    let disk = space.small_disk(96 * MIB);
    let Ok(disk) = disk.map_err(|reason| skip("disk_full", space.mode, &reason)) else {
        return;
    };
    let store = space.path("disk/store");
    let id = build(space, &store).ok().events().id();
    let on_disk = |arguments: &[&str]| space.kiln(arguments).env("KILN_STORE", &store);
    disk.leave(0);
    let archive = space.own().join("archive.tar").display().to_string();
    let listed = on_disk(&["images", "-q", "--no-trunc"]).ok();
    assert_eq!(listed.stdout.trim(), id);
    on_disk(&["inspect", "app"]).ok();
    on_disk(&["history", "app"]).ok();
    on_disk(&["save", "app", "-o", &archive]).ok();
    on_disk(&["export", "app", "-o", &archive]).ok();
    is_explained(&build(space, &store).arg("--no-cache").run());
    on_disk(&["rmi", "app"]).ok();
    on_disk(&["prune"]).ok().never_says(&["no space"]);
    assert_eq!(build(space, &store).ok().events().id(), id);
    is_clean(space, &store);
}

/// What no image needs goes when a build finds no room: for what kiln writes, and for what a command does.
fn a_build_makes_room_for_itself(space: &Space) {
    space.write("big", vec![7; 24 << 20]);
    let Some(disk) = disk(space) else { return };
    let store = space.path("disk/store");
    let build = |text: &str, most: &str| {
        let built = space.build(text).env("KILN_STORE", &store);
        let built = built.env("KILN_MIN_FREE_SPACE", "0");
        built.env("KILN_MAX_STORE_SIZE", most)
    };
    for text in [
        "FROM tools\nCOPY big /new\n",
        "FROM tools\nCOPY big /3\nRUN cat /3 > /bigger\n",
    ] {
        // nothing is cut back before
        for number in 0..4 {
            let old = format!("FROM tools\nCOPY big /{number}\n");
            build(&old, "100%").ok();
        }
        disk.leave(10 * MIB);
        let built = build(text, "20%").ok();
        built.says(&["the disk is full", "that no build needs are removed"]);
        disk.free();
        is_clean(space, &store);
    }
}
