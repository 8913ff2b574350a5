//! Scanning contexts: 100,000 files of 4 KiB.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should stop"
)]

mod support;

use std::path::Path;
use std::time::SystemTime;

use divan::Bencher;
use kiln_cache::context::scan;
use kiln_cache::{ContextTree, Decision, ScanOptions, Store};
use support::store;

const FILES: usize = 100_000;

fn main() {
    divan::main();
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let folder = dir.path().join(format!("src/d{:05}", number / 200));
        if number % 200 == 0 {
            std::fs::create_dir_all(&folder).unwrap();
        }
        std::fs::write(
            folder.join(format!("file-{:03}.txt", number % 200)),
            [number as u8; 4096],
        )
        .unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    dir
}

fn keep(_: &[u8], _: bool) -> Decision {
    Decision::Keep
}

fn scanned(root: &Path, store: Option<&Store>) -> ContextTree {
    scan(
        root,
        &keep,
        &ScanOptions {
            store,
            now: SystemTime::now(),
        },
    )
    .unwrap()
}

#[divan::bench(sample_count = 5)]
fn first_scan(bencher: Bencher) {
    let dir = folder();
    bencher.bench(|| scanned(dir.path(), None));
}

#[divan::bench(sample_count = 10)]
fn unchanged(bencher: Bencher) {
    let (dir, store_dir) = (folder(), tempfile::tempdir().unwrap());
    let store = store(store_dir.path());
    scanned(dir.path(), Some(&store));
    bencher.bench(|| {
        let context = scanned(dir.path(), Some(&store));
        assert_eq!(context.digested, 0);
        context
    });
}

#[divan::bench(sample_count = 3)]
fn copy_into_a_layer(bencher: Bencher) {
    let (dir, store_dir) = (folder(), tempfile::tempdir().unwrap());
    let store = store(store_dir.path());
    let context = scanned(dir.path(), Some(&store));
    bencher.bench(|| {
        let mut writer = store
            .layers()
            .writer(&kiln_cache::Chain::new(Vec::new()))
            .unwrap();
        for found in context.chain.walk(b"").iter().skip(1) {
            writer
                .copy(
                    &found.entry.path,
                    &found.entry.meta(),
                    &context.chain,
                    found,
                )
                .unwrap();
        }
        writer.finish().unwrap()
    });
}
