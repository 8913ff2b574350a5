//! Folders that kiln writes into: a symbolic link in one, whoever put it there, never decides what is written or deleted elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::machines::{folder, on, to_folder};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    a_cache_folder_is_written_through_no_link,
    a_folder_that_the_user_names_may_be_a_link,
    outputs_stay_where_they_belong,
    a_store_is_written_through_no_link,
    folders_within_a_store_are_no_links_either,
}

const TEXT: &str = "FROM scratch\nCOPY word /\n";

/// Every file below a folder, with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else {
                found.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
            }
        }
    }
    found
}

/// A part of a folder moves to `outside`, and a link takes its place.
fn lead_outside(space: &Space, part: &Path) -> PathBuf {
    let outside = space.own().join("outside");
    fs::create_dir(&outside).unwrap();
    let target = outside.join("target");
    if part.symlink_metadata().is_ok() {
        fs::rename(part, &target).unwrap();
    } else {
        fs::write(&target, "of somebody").unwrap();
    }
    symlink(&target, part).unwrap();
    // what looks as if a killed writer had left it
    if target.is_dir() {
        fs::write(target.join(".kiln-cacheX"), "of somebody").unwrap();
    }
    for path in [&outside, &target] {
        space.give(path);
    }
    outside
}

fn a_cache_folder_is_written_through_no_link(space: &Space) {
    for part in [
        "blobs",
        "blobs/sha256",
        "index.json",
        "oci-layout",
        ".kiln-unpublished",
    ] {
        space.write("word", "first");
        on(space, "one", TEXT, &to_folder(space, "")).ok();
        let outside = lead_outside(space, &folder(space).join(part));
        let before = files(&outside);
        space.write("word", "second");
        let refused = on(space, "one", TEXT, &to_folder(space, "")).exits(3);
        refused.says(&[part, "is a symbolic link", "hint: "]);
        assert_eq!(files(&outside), before, "{part}");
        fs::remove_dir_all(folder(space)).unwrap();
        fs::remove_dir_all(outside).unwrap();
    }
}

fn a_folder_that_the_user_names_may_be_a_link(space: &Space) {
    let real = space.own_folder("own/real");
    symlink(&real, folder(space)).unwrap();
    space.write("word", "word");
    on(space, "one", TEXT, &to_folder(space, "")).ok();
    assert!(real.join("index.json").is_file());
    // what is wrong below a blob's name is replaced, not followed
    let store = space.own().join("linked-store");
    symlink(space.own_folder("own/real-store"), &store).unwrap();
    on(space, "linked-store", TEXT, &[]).ok();
}

fn outputs_stay_where_they_belong(space: &Space) {
    space.write("word", "word");
    let text = "FROM scratch\nCOPY word /blobs/word\n";
    let build = |output: &str| space.build(text).args(["-o", output]).ok();
    for (output, part) in [
        ("type=oci,tar=false,dest=layout", "layout/blobs"),
        ("type=oci,tar=false,dest=layout", "layout/blobs/sha256"),
        ("type=local,dest=files", "files/blobs"),
        ("type=local,dest=files", "files/blobs/word"),
    ] {
        build(output);
        let outside = lead_outside(space, &space.own().join(part));
        let before = files(&outside);
        build(output);
        assert_eq!(files(&outside), before, "{part}");
        let written = space.own().join(part).symlink_metadata().unwrap();
        assert!(!written.is_symlink(), "{part}");
        fs::remove_dir_all(outside).unwrap();
    }
}

fn a_store_is_written_through_no_link(space: &Space) {
    space.write("word", "word");
    for part in [
        "blobs",
        "blobs/sha256",
        "layers",
        "views",
        "contexts",
        "mounts",
        "locks",
        "leases",
        "trash",
        "kiln.db",
        "parts",
    ] {
        space.build(TEXT).ok();
        let outside = lead_outside(space, &space.store().join(part));
        let before = files(&outside);
        for command in [vec!["prune", "--all"], vec!["fsck", "--repair"]] {
            let refused = space.kiln(command).exits(3);
            refused.says(&[part, "is a symbolic link", "hint: "]);
        }
        space.build(TEXT).arg("--no-cache").exits(3);
        assert_eq!(files(&outside), before, "{part}");
        space.remove_store();
        fs::remove_dir_all(outside).unwrap();
    }
}

#[track_caller]
fn is_refused(kiln: Kiln) {
    let refused = kiln.run();
    assert!(!refused.status.success(), "{refused}");
    refused.says(&["is a symbolic link"]);
}

fn folders_within_a_store_are_no_links_either(space: &Space) {
    space.write("word", "word");
    // the same bytes, and so the same folders, each time
    let build = || space.build(TEXT).env("SOURCE_DATE_EPOCH", "1");
    build().ok();
    let shards = fs::read_dir(space.store().join("blobs/sha256")).unwrap();
    let shards: Vec<PathBuf> = shards.map(|entry| entry.unwrap().path()).collect();
    for shard in shards {
        let outside = lead_outside(space, &shard);
        let before = files(&outside);
        build().arg("--no-cache").run();
        assert_eq!(files(&outside), before, "a build");
        space.kiln(["rmi", "app"]).run();
        space.kiln(["prune", "--all"]).run();
        build().run();
        space.kiln(["fsck", "--repair"]).run();
        assert_eq!(files(&outside), before, "what removes");
        // whatever became of the link
        let _ = fs::remove_file(&shard);
        fs::remove_dir_all(outside).unwrap();
        build().ok();
    }
    // a lock, where a link would make a file
    let text = "FROM tools\nRUN --mount=type=cache,target=/kept echo more >> /kept/file\n";
    space.build(text).ok();
    let id_maps = fs::read_dir(space.store().join("mounts")).unwrap();
    let id_map = id_maps.map(|entry| entry.unwrap().path()).next().unwrap();
    let caches = fs::read_dir(&id_map).unwrap();
    let caches = caches.map(|entry| entry.unwrap().path());
    let cache = caches.into_iter().find(|path| path.is_dir()).unwrap();
    let outside = lead_outside(space, &cache);
    let before = files(&outside);
    space.build(text).arg("--no-cache").ok();
    assert_eq!(files(&outside), before, "a cache mount");
    fs::remove_dir_all(&outside).unwrap();
    let outside = lead_outside(space, &id_map);
    let before = files(&outside);
    is_refused(space.build(text).arg("--no-cache"));
    assert_eq!(files(&outside), before, "the folder of cache mounts");
}
