//! Stores of earlier versions, kept in `fixtures/stores/`: what they hold stays usable. Unaware of what has changed since.
//!
//! Each holds `old:v1`: `FROM scratch`, `COPY a /a` (`hello`), `ENV X=1`, `WORKDIR /w`. To add one: make that image with a released kiln, `fsck`
//! it, and pack the folder of the store. With `KILN_OLD_BIN` in the environment, an older binary and this one take turns: what docs/formats.md
//! says of that.

use std::fs::{self, File};
use std::path::Path;

use crate::support::golden::repository;
use crate::support::{Kiln, Mode, Space, mode, plain_cases};

plain_cases! {
    images_of_earlier_versions_stay,
    an_older_kiln_leaves_a_newer_store_alone,
    archives_go_both_ways,
    caches_of_other_versions_are_misses,
}

fn images_of_earlier_versions_stay(space: &Space) {
    let mut stores = 0;
    for entry in fs::read_dir(repository().join("fixtures/stores")).unwrap() {
        let archive = zstd::Decoder::new(File::open(entry.unwrap().path()).unwrap()).unwrap();
        fs::create_dir(space.store()).unwrap();
        tar::Archive::new(archive).unpack(space.store()).unwrap();
        give_all(space, &space.store());
        check(space);
        space.remove_store();
        stores += 1;
    }
    assert!(stores > 0, "there is no store to look at");
}

fn give_all(space: &Space, path: &Path) {
    space.give(path);
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        entries.for_each(|entry| give_all(space, &entry.unwrap().path()));
    }
}

fn check(space: &Space) {
    space.is_clean();
    let listed = space
        .kiln(["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .ok();
    assert_eq!(listed.stdout, "old:v1\n");
    let image = space.image("old:v1");
    assert_eq!(image.text("a"), "hello\n");
    // it is a base, and its steps may be made again
    space.write("a", "hello\n");
    space.build("FROM old:v1\nCOPY a /b\n").ok();
    space
        .build("FROM scratch\nCOPY a /a\nENV X=1\nWORKDIR /w\n")
        .ok();
    assert_eq!(space.image("app").text("a"), "hello\n");
    space.kiln(["rmi", "old:v1", "app"]).ok();
    space.kiln(["prune", "-a", "-f"]).ok();
    space.is_clean();
}

/// The older binary with the store `name`; skips the case where none is given.
fn old(space: &Space, name: &str) -> Option<impl Fn(&[&str]) -> Kiln> {
    let Some(binary) = std::env::var_os("KILN_OLD_BIN") else {
        mode::skip(
            "an older kiln beside this one",
            Mode::Caller,
            "KILN_OLD_BIN names none",
        );
        return None;
    };
    let (store, own, account) = (
        space.own().join(name),
        space.own(),
        space.account().cloned(),
    );
    Some(move |arguments: &[&str]| {
        let kiln = Kiln::of(&binary, account.as_ref()).args(arguments);
        kiln.env("KILN_STORE", &store)
            .env("HOME", &own)
            .current_dir(&own)
    })
}

/// The project of the stores in `fixtures/stores/`.
fn project(space: &Space) -> String {
    space.write("a", "hello\n");
    space.write(
        "Dockerfile",
        "FROM scratch\nCOPY a /a\nENV X=1\nWORKDIR /w\n",
    );
    space.context().display().to_string()
}

fn an_older_kiln_leaves_a_newer_store_alone(space: &Space) {
    let Some(old) = old(space, "store") else {
        return;
    };
    let context = project(space);
    old(&["build", "-q", "-t", "old:v1", &context]).ok();
    assert_eq!(space.image("old:v1").text("a"), "hello\n");
    // the database has the tables of today now, which the older one does not know
    for command in [
        ["images", "-q"],
        ["build", &context],
        ["prune", "-a"],
        ["fsck", "--repair"],
    ] {
        let refused = old(&command).run();
        assert!(!refused.status.success(), "{refused}");
    }
    check(space);
}

fn archives_go_both_ways(space: &Space) {
    let Some(old) = old(space, "of-the-other") else {
        return;
    };
    let context = project(space);
    let id = old(&["build", "-q", "-t", "old:v1", &context])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .ok()
        .stdout;
    old(&["save", "-o", "old.tar", "old:v1"]).ok();
    space.kiln(["load", "-i", "old.tar"]).ok();
    // the same sources give the same image
    let new = space
        .kiln(["build", "-q", "-t", "new:v1", &context])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .ok();
    assert_eq!(new.stdout, id);
    space.kiln(["save", "-o", "new.tar", "new:v1"]).ok();
    old(&["rmi", "old:v1"]).ok();
    old(&["load", "-i", "new.tar"]).ok();
    old(&["inspect", "new:v1"]).ok();
}

fn caches_of_other_versions_are_misses(space: &Space) {
    let Some(old) = old(space, "of-the-other") else {
        return;
    };
    let context = project(space);
    old(&[
        "build",
        "-q",
        "--cache-to",
        "type=local,dest=old-cache",
        &context,
    ])
    .ok();
    let built = space
        .kiln([
            "build",
            "--cache-from",
            "type=local,src=old-cache",
            "--cache-to",
            "type=local,dest=cache",
            &context,
        ])
        .ok();
    built.says(&["old-cache is not used: there is a cache of another version of kiln"]);
    let fresh = space.own().join("fresh");
    let arguments = ["build", "--cache-from", "type=local,src=cache", &context];
    let built = old(&arguments).env("KILN_STORE", fresh).ok();
    built.says(&["cache is not used: there is a cache of another version of kiln"]);
}
