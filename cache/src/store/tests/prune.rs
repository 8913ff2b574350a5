//! Prune and df.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiln_oci::{Digest, Reference};

use crate::image::tests::put;
use crate::tests::{NOW, file, options, store, write_layer};
use crate::{CacheSharing, CacheStart, Caches, Chain, Layer, OpenOptions, Record, Store};

pub(super) fn layer(store: &Store, name: &str) -> Layer {
    let content = name.repeat(200_000 / name.len());
    write_layer(
        store,
        &Chain::new(Vec::new()),
        &vec![file(name, &content, 0o644)],
    )
    .unwrap()
}

pub(super) fn reopen(dir: &Path) -> Store {
    Store::open(options(&dir.join("store"))).unwrap()
}

fn record(store: &Store, name: &str, layer: &Layer, cost_ms: u64) -> Digest {
    let key = Digest::of(name.as_bytes());
    let record = Record {
        key,
        definition: key,
        inputs: Vec::new(),
        diff_id: Some(layer.diff_id()),
        tree: layer.tree(),
        created: 1,
        made: 6,
        cost_ms,
        dockerfile_line: 0,
        title: name.to_owned(),
        caches: Caches::default(),
        isolation: crate::Isolation::default(),
    };
    store.records().put(&record).unwrap();
    key
}

#[test]
fn without_a_budget_only_named_images_and_pins_stay() {
    let (dir, store) = store();
    let (tagged, loose, unused) = (
        layer(&store, "tagged"),
        layer(&store, "loose"),
        layer(&store, "unused"),
    );
    let image = put(&store, &[&tagged]);
    store
        .images()
        .tag(&Reference::parse("app:v1").unwrap(), &image)
        .unwrap();
    put(&store, &[&loose]);
    record(&store, "run", &unused, 5);
    store
        .views()
        .get(&[tagged.diff_id(), unused.diff_id()])
        .unwrap();
    drop(store);
    let store = reopen(dir.path());
    let usage = store.garbage().usage().unwrap();
    assert_eq!(
        (
            usage.layers.count,
            usage.views.count,
            usage.images.count,
            usage.records.count
        ),
        (3, 2, 2, 1)
    );
    let report = store.garbage().prune(None).unwrap();
    assert_eq!(
        (report.layers, report.views, report.images, report.records),
        (2, 2, 1, 1)
    );
    assert!(
        store.blobs().has(&tagged.diff_id()).unwrap()
            && !store.blobs().has(&loose.diff_id()).unwrap()
    );
    assert!(store.images().find("app:v1").is_ok());
    assert_eq!(store.fsck(false).unwrap(), []);
    assert!(store.garbage().usage().unwrap().trash.bytes >= 400_000);
    store.settle().unwrap();
    assert_eq!(store.garbage().usage().unwrap().trash.bytes, 0);
    assert!(
        usage.layers.reclaimable > 0 && store.garbage().usage().unwrap().layers.reclaimable == 0
    );
}

#[test]
fn what_a_living_process_uses_stays() {
    let (dir, store) = store();
    let held = layer(&store, "held");
    store.views().get(&[held.diff_id()]).unwrap();
    let other = reopen(dir.path());
    assert_eq!(other.garbage().prune(None).unwrap().layers, 0);
    assert!(store.layers().get(&held.diff_id()).is_ok());
    drop(store);
    let report = other.garbage().prune(None).unwrap();
    assert_eq!((report.layers, report.views, report.kept), (1, 1, 0));
}

#[test]
fn cheap_layers_go_first() {
    let (dir, store) = store();
    let (cheap, dear) = (layer(&store, "cheap"), layer(&store, "dear"));
    let (cheap_key, dear_key) = (
        record(&store, "cheap", &cheap, 10),
        record(&store, "dear", &dear, 100_000),
    );
    drop(store);
    let store = reopen(dir.path());
    let report = store.garbage().prune(Some(300_000)).unwrap();
    assert_eq!((report.layers, report.records), (1, 1));
    assert!(report.kept <= 300_000);
    assert_eq!(store.records().lookup(&cheap_key).unwrap(), None);
    assert!(store.records().lookup(&dear_key).unwrap().is_some());
}

#[test]
fn what_was_not_used_for_long_goes_first() {
    fn later() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs() + 1_000_000)
    }
    let (dir, store) = store();
    let (old, used) = (layer(&store, "old"), layer(&store, "used"));
    drop(store);
    let store = Store::open(OpenOptions {
        now: later,
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    store.layers().get(&used.diff_id()).unwrap();
    drop(store);
    let store = Store::open(OpenOptions {
        now: later,
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    assert_eq!(store.garbage().prune(Some(300_000)).unwrap().layers, 1);
    assert!(
        store.blobs().has(&used.diff_id()).unwrap() && !store.blobs().has(&old.diff_id()).unwrap()
    );
}

#[test]
fn within_the_budget_nothing_goes() {
    let (dir, store) = store();
    layer(&store, "a");
    drop(store);
    let report = reopen(dir.path())
        .garbage()
        .prune(Some(10_000_000))
        .unwrap();
    assert_eq!((report.freed, report.layers), (0, 0));
}

/// A view of a layer that stays, a result that took long and a cache mount that was never used again.
#[test]
fn views_go_before_results_and_those_before_cache_mounts() {
    let (dir, store) = store();
    let (tagged, dear) = (layer(&store, "tagged"), layer(&store, "dear"));
    let image = put(&store, &[&tagged]);
    let name = Reference::parse("app:v1").unwrap();
    store.images().tag(&name, &image).unwrap();
    let key = record(&store, "dear", &dear, 100_000);
    store.views().get(&[tagged.diff_id()]).unwrap();
    let start = CacheStart {
        mode: 0o755,
        uid: 0,
        gid: 0,
        emptied: false,
        layer: None,
    };
    let mounts = store.cache_mounts();
    let mount = mounts.open(&Digest::of(b"apt"), CacheSharing::Shared, &start, "");
    std::fs::write(mount.unwrap().path.join("file"), [0; 200_000]).unwrap();
    drop(store);
    let store = reopen(dir.path());
    let pruned = |budget| {
        let report = store.garbage().prune(Some(budget)).unwrap();
        (report.views, report.layers, report.cache_mounts)
    };
    assert_eq!(pruned(700_000), (1, 0, 0));
    assert_eq!(pruned(600_000), (0, 1, 0));
    assert_eq!(store.records().lookup(&key).unwrap(), None);
    assert_eq!(pruned(300_000), (0, 0, 1));
    assert_eq!(pruned(0), (0, 0, 0));
}

/// More files than one thread takes, and deeper than names may be.
#[test]
fn trees_of_any_size_leave_the_trash() {
    let (_dir, store) = store();
    let tree = store.scratch().dir("tree").unwrap();
    for number in 0..2000 {
        std::fs::write(tree.join(number.to_string()), "x").unwrap();
    }
    let mut deep = tree.clone();
    for _ in 0..60 {
        deep = deep.join("a-name-that-is-not-short");
    }
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("file"), "x").unwrap();
    store.trash().put(&tree).unwrap();
    store.settle().unwrap();
    let left = std::fs::read_dir(store.root().join("trash")).unwrap();
    assert_eq!(left.count(), 0);
}

/// What is little stays until a run has time for it.
#[test]
fn little_is_swept_beside_a_run() {
    let (_dir, store) = store();
    let trash = store.root().join("trash");
    let left = || std::fs::read_dir(&trash).unwrap().count();
    let throw = |bytes: usize| {
        let tree = store.scratch().dir("tree").unwrap();
        std::fs::create_dir(tree.join("inner")).unwrap();
        std::fs::write(tree.join("inner/file"), vec![1; bytes]).unwrap();
        store.trash().put(&tree).unwrap();
        store.settle_soon().unwrap();
    };
    throw(2 << 20);
    assert_eq!(left(), 0);
    throw(1);
    assert!(left() > 0);
    let below = Chain::new(Vec::new());
    store.views().new_upper(&below).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while left() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(left(), 0);
}

/// As an upper that equals a view which another build has made meanwhile.
#[test]
fn what_a_process_leaves_in_its_scratch_is_no_little() {
    let (_dir, store) = store();
    for _ in ["once", "and once more"] {
        let scratch = store.scratch().dir("upper").unwrap();
        std::fs::write(scratch.join("file"), vec![1; 2 << 20]).unwrap();
        store.settle_soon().unwrap();
        assert!(!scratch.exists());
        let left = std::fs::read_dir(store.root().join("trash")).unwrap();
        assert_eq!(left.count(), 0);
    }
}
