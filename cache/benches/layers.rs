//! Layers: decoding an index, reading and writing tars, packing and unpacking directories.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should stop"
)]

mod support;

use divan::Bencher;
use kiln_cache::{Chain, CommitOptions, Layer, Meta, Store, index_tar};
use support::store;

fn main() {
    divan::main();
}

/// Files of 4 KiB in directories of 200.
fn write(store: &Store, files: usize) -> Layer {
    let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
    let meta = Meta::root(0o644, 1_700_000_000);
    for number in 0..files {
        let path = format!(
            "usr/share/d{:05}/file-{:03}.txt",
            number / 200,
            number % 200
        );
        let content = [number as u8; 4096];
        writer
            .file(path.as_bytes(), &meta, 4096, &mut &content[..])
            .unwrap();
    }
    writer.finish().unwrap().unwrap()
}

#[divan::bench(sample_count = 10)]
fn open_store(bencher: Bencher) {
    let dir = tempfile::tempdir().unwrap();
    drop(store(dir.path()));
    bencher.bench(|| store(dir.path()));
}

#[divan::bench(sample_count = 10)]
fn decode_index_of_100k(bencher: Bencher) {
    let dir = tempfile::tempdir().unwrap();
    let layer = write(&store(dir.path()), 100_000);
    bencher
        .with_inputs(|| store(dir.path()))
        .bench_values(|store| store.layers().index(&layer.diff_id()).unwrap());
}

#[divan::bench(sample_count = 3)]
fn write_100k_of_4_kib(bencher: Bencher) {
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        (dir, store)
    };
    bencher
        .with_inputs(fresh)
        .bench_refs(|(_, store)| write(store, 100_000));
}

#[divan::bench(sample_count = 3)]
fn write_1_gib(bencher: Bencher) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    std::fs::write(&source, vec![7; 1 << 30]).unwrap();
    let store = store(dir.path());
    bencher.bench_local(|| {
        let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
        let mut file = std::fs::File::open(&source).unwrap();
        writer
            .file(b"big", &Meta::root(0o644, 0), 1 << 30, &mut file)
            .unwrap();
        writer.finish().unwrap()
    });
}

#[divan::bench(sample_count = 3)]
fn index_tar_of_100k(bencher: Bencher) {
    let dir = tempfile::tempdir().unwrap();
    let layer = write(&store(dir.path()), 100_000);
    bencher.bench(|| index_tar(std::fs::File::open(layer.tar.path()).unwrap()).unwrap());
}

#[divan::bench(sample_count = 3)]
fn unpack_10k(bencher: Bencher) {
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let layer = write(&store, 10_000);
        (dir, store, layer)
    };
    bencher
        .with_inputs(fresh)
        .bench_refs(|(_, store, layer)| store.views().get(&[layer.diff_id()]).unwrap());
}

#[divan::bench(sample_count = 3)]
fn commit_50k(bencher: Bencher) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let layer = write(&store, 50_000);
    let view = store.views().get(&[layer.diff_id()]).unwrap();
    bencher.bench(|| {
        store
            .layers()
            .commit_upper(
                view.lowers[0].path(),
                &Chain::new(Vec::new()),
                &CommitOptions::default(),
            )
            .unwrap()
    });
}
