//! A store that fails is no store that lacks an image: nothing is asked of the network, and the Dockerfile is not to blame.

use std::fs;

use crate::support::registry::{Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_malformed_database_is_no_missing_image,
    a_check_tells_of_a_malformed_database,
}

/// What a page of SQLite's has at least.
const PAGE: usize = 4096;

/// A store with an image, and with nonsense in its tables.
fn damage(space: &Space) {
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    let path = space.store().join("kiln.db");
    let mut bytes = fs::read(&path).unwrap();
    // the first page says what tables there are, the others what is in them
    bytes[PAGE..].fill(0xab);
    fs::write(&path, bytes).unwrap();
}

fn a_malformed_database_is_no_missing_image(space: &Space) {
    let registry = Registry::start(Guard::Open);
    damage(space);
    let text = format!("FROM {}/base:1\nCOPY Dockerfile /\n", registry.host);
    let failed = space.build(&text).exits(3);
    failed.says(&["the store's database"]);
    failed.never_says(&["Dockerfile:1", "cannot be pulled"]);
    assert!(registry.seen().is_empty());
}

fn a_check_tells_of_a_malformed_database(space: &Space) {
    damage(space);
    for question in ["--check", "--call=outline"] {
        let failed = space.build("FROM app\nLABEL a=b\n").arg(question).exits(3);
        failed.says(&["the store's database"]);
        assert_eq!(failed.stdout, "");
    }
}
