//! A store that fails is no store that lacks an image: nothing is asked of the network, and the Dockerfile is not to blame.

use std::fs;

use crate::support::registry::{Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_malformed_database_is_no_missing_image,
}

/// What a page of SQLite's has at least.
const PAGE: usize = 4096;

fn a_malformed_database_is_no_missing_image(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    let path = space.store().join("kiln.db");
    let mut bytes = fs::read(&path).unwrap();
    // the first page says what tables there are, the others what is in them
    bytes[PAGE..].fill(0xab);
    fs::write(&path, bytes).unwrap();
    let text = format!("FROM {}/base:1\nCOPY Dockerfile /\n", registry.host);
    let failed = space.build(&text).exits(3);
    failed.says(&["the store's database"]);
    failed.never_says(&["Dockerfile:1", "cannot be pulled"]);
    assert!(registry.seen().is_empty());
}
