//! Stores of earlier versions, kept in `fixtures/stores/`: what they hold stays usable. Unaware of what has changed since.
//!
//! Each holds `old:v1`: `FROM scratch`, `COPY a /a` (`hello`), `ENV X=1`, `WORKDIR /w`. To add one: make that image with a released kiln, `fsck`
//! it, and pack the folder of the store.

use std::fs::{self, File};
use std::path::Path;

use crate::support::golden::repository;
use crate::support::{Space, plain_cases};

plain_cases! {
    images_of_earlier_versions_stay,
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
