//! `prune`, `df`, `fsck`, `doctor`, `completions` and the help: the store over time, and the binary about itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Space, cases, golden, plain_cases, user_cases};

cases! {
    doctor_tells_what_there_is,
}

user_cases! {
    prune_removes_what_no_name_needs,
    fsck_finds_and_repairs_damage,
    a_folder_of_somebody_is_no_store,
}

plain_cases! {
    prune_keeps_to_a_size,
    df_counts_by_class,
    a_damaged_index_is_made_again,
    another_version_of_the_store_is_refused,
    completions_and_help,
}

const TEXT: &str = "FROM tools\nRUN echo x > /x\nRUN cat /x > /y\n";

fn prune_removes_what_no_name_needs(space: &Space) {
    space.build(TEXT).ok();
    let id = space.id("app");
    let kept = space.kiln(["prune"]).ok().stdout;
    assert!(kept.contains("the store holds"), "{kept}");
    let files = space.image("app").without_times();
    assert_eq!(files, space.image("app").without_times());
    assert!(
        space.build_json(TEXT).ok().events().ran().is_empty(),
        "prune took the steps of a named image"
    );
    space.kiln(["rmi", "app"]).ok();
    let removed = space.kiln(["prune"]).ok().stdout;
    assert!(removed.contains("layer"), "{removed}");
    assert_eq!(space.build_json(TEXT).ok().events().ran().len(), 2);
    assert_eq!(space.image("app").without_times(), files);
    assert_ne!(id, "");
    let blobs = tars(&space.store());
    assert!(blobs.len() < 10, "{blobs:?}");
    space.is_clean();
}

fn prune_keeps_to_a_size(space: &Space) {
    for number in 0..4 {
        space.build(&format!("FROM tools\nRUN echo {number} > /number && cat /bin/* > /big 2> /dev/null || true\n")).ok();
    }
    // the room that it keeps for a full disk is not what it holds
    let is_held = |path: &&PathBuf| !path.ends_with("ballast");
    let size = || -> u64 {
        files(&space.store())
            .iter()
            .filter(is_held)
            .filter_map(|path| path.symlink_metadata().ok())
            .map(|meta| meta.len())
            .sum()
    };
    let (before, limit) = (size(), 20_000_000);
    assert!(before > limit);
    space.kiln(["prune", "--max-size", "20MB"]).ok();
    assert!(size() <= limit + limit / 10, "{} bytes are left", size());
    space
        .kiln(["prune", "--max-size", "many"])
        .exits(2)
        .says(&["many"]);
    space.is_clean();
    space.build(TEXT).ok();
}

fn df_counts_by_class(space: &Space) {
    let empty = space.kiln(["df"]).ok().stdout;
    assert!(empty.starts_with("TYPE"), "{empty}");
    space.build(TEXT).ok();
    let shown = space.kiln(["df"]).ok().stdout;
    let count = |class: &str| {
        shown.lines().find_map(|line| {
            line.strip_prefix(class)?
                .split_whitespace()
                .next()?
                .parse::<u32>()
                .ok()
        })
    };
    assert_eq!(
        (count("layers"), count("images")),
        (Some(3), Some(1)),
        "{shown}"
    );
    assert!(
        count("records").unwrap() >= 2 && shown.lines().last().unwrap().starts_with("all"),
        "{shown}"
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The blobs that are layers: they begin with a tar header.
fn tars(store: &Path) -> Vec<PathBuf> {
    let is_tar =
        |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.get(257..262) == Some(b"ustar"));
    files(&store.join("blobs"))
        .into_iter()
        .filter(is_tar)
        .collect()
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let last = bytes.len() - 1030;
    bytes[last] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn fsck_finds_and_repairs_damage(space: &Space) {
    let file = |word: &str| format!("FROM tools\nRUN echo {word} > /word\n");
    space.build(&file("one")).ok();
    let before = tars(&space.store());
    space.build(&file("two")).ok();
    let files = space.image("app").without_times();
    let new: Vec<PathBuf> = tars(&space.store())
        .into_iter()
        .filter(|path| !before.contains(path))
        .collect();
    damage(&new[0]);
    space.give(&new[0]);
    let found = space.kiln(["fsck"]).exits(3);
    assert!(
        found
            .stdout
            .contains(new[0].file_name().unwrap().to_str().unwrap()),
        "{found}"
    );
    found.says(&["fsck --repair"]);
    let repaired = space.kiln(["fsck", "--repair"]).ok();
    assert!(repaired.stdout.contains("repaired"), "{repaired}");
    space.is_clean();
    assert_eq!(
        space.build_json(&file("one")).ok().events().ran().len(),
        0,
        "what was whole is gone"
    );
    assert_eq!(space.build_json(&file("two")).ok().events().ran().len(), 1);
    assert_eq!(space.image("app").without_times(), files);
}

fn a_damaged_index_is_made_again(space: &Space) {
    space.build(TEXT).ok();
    let files = space.image("app").without_times();
    for index in self::files(&space.store().join("layers")) {
        fs::write(&index, "not an index").unwrap();
    }
    space
        .build("FROM app\nRUN cat /y > /z\n")
        .args(["-t", "child"])
        .ok();
    let mut child = space.image("child").without_times();
    assert!(child.remove("z").is_some());
    assert_eq!(child, files);
    space.is_clean();
}

fn another_version_of_the_store_is_refused(space: &Space) {
    space.build("FROM scratch\nLABEL a=b\n").ok();
    fs::write(space.store().join("version"), "kiln store 999\n").unwrap();
    let refused = space.kiln(["images"]).exits(3);
    refused.says(&["999", "--store"]);
}

fn a_folder_of_somebody_is_no_store(space: &Space) {
    let folder = space.own_folder("own/home");
    fs::write(folder.join("precious"), "data").unwrap();
    space
        .kiln(["images", "--store"])
        .arg(&folder)
        .exits(3)
        .says(&["own/home", "--store"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    if let (true, Some(_)) = (space.mode.is_rootless(), space.account()) {
        let foreign = space.path("foreign");
        fs::create_dir(&foreign).unwrap();
        space
            .kiln(["images", "--store"])
            .arg(&foreign)
            .exits(3)
            .says(&["foreign"]);
    }
}

fn doctor_tells_what_there_is(space: &Space) {
    let told = space.kiln(["doctor"]).ok();
    golden::matches("doctor.txt", &golden::shape(&told.stdout));
    let fallback = space.mode.disable();
    if !["", "idrange", "sysfs"].contains(&fallback) {
        assert!(
            told.stdout.contains(": disabled: "),
            "{fallback} is not off: {told}"
        );
    }
    if space.mode.has_one_id() {
        assert!(told.stdout.contains("weak"), "{told}");
    }
    if space.mode.is_rootless() {
        let without = space
            .kiln(["doctor"])
            .env("KILN_DISABLE", "userns")
            .exits(3);
        assert!(without.stdout.contains("missing"), "{without}");
        without.says(&["RUN does not work here"]);
    }
    space
        .kiln(["doctor"])
        .env("KILN_DISABLE", "magic")
        .exits(2)
        .says(&["magic"]);
}

fn completions_and_help(space: &Space) {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = space.kiln(["completions", shell]).ok().stdout;
        assert!(script.contains("kiln"), "{shell}: {script}");
    }
    let help = space.kiln(["--help"]).ok().stdout;
    for command in [
        "build",
        "images",
        "inspect",
        "history",
        "tag",
        "rmi",
        "save",
        "load",
        "import",
        "prune",
        "df",
        "image",
        "builder",
        "system",
        "fsck",
        "doctor",
        "completions",
    ] {
        assert!(help.contains(command), "{command} is not in the help");
        let own = space.kiln([command, "--help"]).ok().stdout;
        assert!(own.contains("Usage: kiln"), "{own}");
    }
    assert!(space.kiln(["--version"]).ok().stdout.starts_with("kiln 0."));
    space.kiln(["biuld"]).exits(2).says(&["biuld", "build"]);
    space.kiln([""; 0]).exits(2);
}
