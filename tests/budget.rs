//! A store keeps to what it may hold: beside builds, before their end is told nothing goes, and nothing that is needed goes at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::process::Running;
use crate::support::registry::{Guard, Registry};
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    builds_side_by_side_keep_to_a_budget,
    what_is_needed_stays_whatever_the_budget,
    builds_that_fail_and_other_commands_keep_to_it_too,
    a_dry_run_tells_what_a_prune_removes,
    filters_choose_what_goes,
    sizes_may_leave_something,
    an_output_leaves_no_image,
}

const MB: u64 = 1_000_000;

/// The files of the store that hold something, with their sizes: neither the database, nor the room that it keeps for a full disk, nor
/// the trash, which any command empties.
fn held(space: &Space) -> Vec<(PathBuf, u64)> {
    let folders = ["blobs", "layers", "views", "mounts", "contexts"];
    let mut found = Vec::new();
    for folder in folders {
        collect(&space.store().join(folder), &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, u64)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(stat) = entry.path().symlink_metadata() else {
            continue;
        };
        match stat.is_dir() {
            true => collect(&entry.path(), found),
            // the name of a cache mount
            false if entry.path().extension().is_some_and(|end| end == "lock") => {}
            false => found.push((entry.path(), stat.len())),
        }
    }
}

fn size(space: &Space) -> u64 {
    held(space).iter().map(|(_, size)| size).sum()
}

/// A build of 3 MB that nothing has in common with another one but its base.
fn different(space: &Space, number: usize) -> Kiln {
    let text = "FROM base\nARG N\nRUN --mount=type=bind,source=big,target=/in cat /in > /big && echo $N >> /big\n";
    space
        .build(text)
        .args(["--build-arg", &format!("N={number}")])
}

fn base(space: &Space) {
    space.write("big", vec![7; 3_000_000]);
    let build = space.build("FROM tools\nRUN echo base > /base\n");
    build.args(["-t", "base"]).ok();
}

fn builds_side_by_side_keep_to_a_budget(space: &Space) {
    base(space);
    let needed = 2 * 3 * MB;
    let budget = size(space) + 20 * MB;
    let build = |number| {
        let build = different(space, number).env("KILN_MIN_FREE_SPACE", "0");
        build.env("KILN_MAX_STORE_SIZE", budget.to_string()).spawn()
    };
    let mut largest = 0;
    for pair in 0..8 {
        let running = [build(2 * pair), build(2 * pair + 1)];
        for ended in running.map(Running::wait) {
            assert!(ended.status.success(), "{ended}");
        }
        largest = largest.max(size(space));
    }
    assert!(largest <= budget + 2 * needed, "{largest} of {budget}");
    assert!(
        largest > budget / 2,
        "{largest} of {budget}: what could stay went"
    );
    build(16).wait();
    assert!(size(space) <= budget, "{} of {budget}", size(space));
    let again = space.build_json("FROM tools\nRUN echo base > /base\n").ok();
    assert_eq!(again.events().ran(), Vec::<String>::new());
    space.is_clean();
}

fn what_is_needed_stays_whatever_the_budget(space: &Space) {
    base(space);
    let build = || {
        let build = space.build_json("FROM base\nRUN echo x > /x\n");
        build.env("KILN_MAX_STORE_SIZE", "1kB")
    };
    build().ok();
    let image = space.image("app").without_times();
    assert_eq!(build().ok().events().ran(), Vec::<String>::new());
    assert_eq!(space.image("app").without_times(), image);
    space.is_clean();
    let wrong = space
        .build("FROM scratch\n")
        .env("KILN_MAX_STORE_SIZE", "much");
    wrong.exits(2).says(&["KILN_MAX_STORE_SIZE", "much"]);
}

/// What is told, without the words that say whether it was done.
fn builds_that_fail_and_other_commands_keep_to_it_too(space: &Space) {
    base(space);
    let junk = || {
        (0..3).for_each(|number| drop(different(space, number).ok()));
        size(space)
    };
    junk();
    space.kiln(["save", "-o", "app.tar", "app"]).ok();
    let root = space.own_folder("root");
    fs::write(root.join("file"), "text").unwrap();
    let limited = |kiln: Kiln| {
        let kiln = kiln.env("KILN_MIN_FREE_SPACE", "0");
        kiln.env("KILN_MAX_STORE_SIZE", "1MB")
            .env("KILN_RESERVED_SPACE", "0")
    };
    let before = junk();
    limited(space.build("FROM base\nRUN exit 1\n")).exits(1);
    assert!(size(space) < before - 5 * MB, "a build that failed");
    let root = root.display().to_string();
    let registry = Registry::start(Guard::Open);
    let pulled = format!("{}/base:1", registry.host);
    space.kiln(["tag", "base", &pulled]).ok();
    space.kiln(["push", "-q", &pulled]).ok();
    for words in [
        ["load", "-i", "app.tar"],
        ["import", &root, "root:1"],
        ["pull", "-q", &pulled],
    ] {
        let before = junk();
        limited(space.kiln(words)).ok();
        assert!(size(space) < before - 5 * MB, "{words:?}");
    }
}

fn told(pruned: &Finished) -> String {
    let told = pruned.stdout.lines().last().unwrap().to_owned();
    let done = [
        ("would remove", "removed"),
        ("would free", "freed"),
        ("and hold", "the store holds"),
    ];
    done.iter()
        .fold(told, |told, (would, does)| told.replace(would, does))
}

fn a_dry_run_tells_what_a_prune_removes(space: &Space) {
    for number in 0..3 {
        let tag = format!("app:{number}");
        space
            .build(&format!(
                "FROM tools\nRUN cat /bin/sh > /x && echo {number} >> /x\n"
            ))
            .args(["-t", &tag])
            .ok();
    }
    space
        .build("FROM tools\nRUN --mount=type=cache,target=/c cat /bin/sh > /c/x\n")
        .ok();
    space.kiln(["rmi", "app:1"]).ok();
    for arguments in [
        &["builder", "prune", "--filter", "type=exec.cachemount"][..],
        &["prune", "--max-size", "3MB"],
        &["prune"],
        &["prune", "-a"],
        &["prune", "-a"],
    ] {
        let before = held(space);
        let dry = space.kiln(arguments).arg("--dry-run").ok();
        assert_eq!(held(space), before, "{dry}");
        let real = space.kiln(arguments).ok();
        assert_eq!(told(&dry), told(&real), "{arguments:?}");
    }
    let images = space.kiln(["images", "-aq"]).ok().stdout;
    assert_eq!((images.as_str(), size(space)), ("", 0));
}

fn filters_choose_what_goes(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=cache,target=/c cat /bin/sh > /c/x\n";
    space.build(text).ok();
    space.kiln(["rmi", "app"]).ok();
    let prune = |filter: &str| space.kiln(["builder", "prune", "--filter", filter]);
    let left = || -> BTreeSet<String> {
        let files = held(space).into_iter();
        let first = |path: PathBuf| {
            let path = path.strip_prefix(space.store()).unwrap().to_owned();
            path.iter().next().unwrap().display().to_string()
        };
        files
            .filter(|(_, size)| *size > 0)
            .map(|(path, _)| first(path))
            .collect()
    };
    prune("until=1h").ok().says(&[]);
    prune("id=0123456789abcdef").ok();
    assert!(left().contains("mounts") && left().contains("blobs"));
    prune("type=exec.cachemount").ok();
    assert!(
        !left().contains("mounts") && left().contains("blobs"),
        "{:?}",
        left()
    );
    prune("inuse=false").ok();
    assert!(!left().contains("blobs"), "{:?}", left());
    prune("inuse=true").exits(2).says(&["in use"]);
    prune("type=frontend").exits(2).says(&["no frontends"]);
    prune("type=regula").exits(2).says(&["regular"]);
    prune("shared=true")
        .exits(2)
        .says(&["there is no filter shared"]);
    space
        .kiln(["image", "prune", "--filter", "type=regular"])
        .exits(2);
}

fn sizes_may_leave_something(space: &Space) {
    base(space);
    for number in 0..4 {
        different(space, number).ok();
    }
    space.kiln(["rmi", "app"]).ok();
    let full = size(space);
    // the disk has that much: only the documents of the image that was removed go
    space.kiln(["prune", "--min-free-space", "1MB"]).ok();
    assert!(full - size(space) < 10_000);
    space.kiln(["prune", "--keep-storage", "8MB"]).ok();
    let left = size(space);
    assert!(left < full && left > 3 * MB, "{left} of {full}");
    space
        .kiln([
            "prune",
            "--max-used-space",
            "0%",
            "--reserved-space",
            "100%",
        ])
        .ok();
    assert_eq!(size(space), left);
    space
        .kiln(["prune", "--max-used-space", "101%"])
        .exits(2)
        .says(&["101%"]);
}

fn an_output_leaves_no_image(space: &Space) {
    space.write("Dockerfile", "FROM scratch\nCOPY text /a/text\n");
    space.write("text", "text");
    let out = space.own_folder("out");
    let build = || {
        space
            .kiln(["build", "--progress", "json"])
            .arg(space.context())
    };
    let unnamed = |output: &str| build().args(["-o", output]);
    for output in [
        format!("type=local,dest={}/folder", out.display()),
        format!("type=tar,dest={}/files.tar", out.display()),
        format!("type=oci,dest={}/image.tar", out.display()),
        "type=cacheonly".to_owned(),
    ] {
        unnamed(&output).ok();
        assert_eq!(space.kiln(["images", "-aq"]).ok().stdout, "", "{output}");
        let documents = held(space).into_iter().filter(|(path, _)| is_json(path));
        assert_eq!(documents.count(), 0, "{output}");
    }
    let again = unnamed("type=cacheonly").ok();
    assert_eq!(again.events().ran(), Vec::<String>::new());
    // who has built it for the store keeps it
    build().ok();
    let images = space.kiln(["images", "-aq"]).ok().stdout;
    assert_eq!(images.lines().count(), 1, "{images}");
    unnamed("type=cacheonly").ok();
    assert_eq!(space.kiln(["images", "-aq"]).ok().stdout, images);
    space.is_clean();
}

fn is_json(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.first() == Some(&b'{'))
}
