//! The store that benchmarks work in.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use kiln_cache::{OpenOptions, Silent, Store};

/// A new store below `root`.
pub fn store(root: &Path) -> Store {
    Store::open(OpenOptions {
        root: root.join("store"),
        id_map_key: "bench".to_owned(),
        rootless: false,
        single_id: false,
        boot_id: "bench".to_owned(),
        read_only: false,
        now: SystemTime::now,
        waiter: Arc::new(Silent),
    })
    .unwrap()
}
