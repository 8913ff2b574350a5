//! Records, memos, locks.

use std::time::Duration;

use kiln_oci::Digest;

use crate::tests::{file, options, store, write_layer};
use crate::{Caches, Chain, KeyBuilder, Layer, Record, Store, Tree};

fn record(name: &str, layer: Option<&Layer>, created: i64) -> Record {
    let (key, inputs) = KeyBuilder::new("run")
        .bytes("name", name.as_bytes())
        .finish();
    Record {
        key,
        definition: Digest::of(b"definition"),
        inputs,
        diff_id: layer.map(Layer::diff_id),
        tree: layer.map_or_else(|| Tree::new(Vec::new()).digest(), Layer::tree),
        created,
        made: 6,
        cost_ms: 1234,
        dockerfile_line: 7,
        title: format!("RUN {name}"),
        caches: Caches::default(),
        isolation: crate::Isolation::default(),
    }
}

#[test]
fn a_record_comes_back_as_it_went_in() {
    let (_dir, store) = store();
    let layer = write_layer(
        &store,
        &Chain::new(Vec::new()),
        &vec![file("a", "1", 0o644)],
    )
    .unwrap();
    let (made, empty) = (record("a", Some(&layer), 5), record("b", None, 9));
    store.records().put(&made).unwrap();
    store.records().put(&empty).unwrap();
    assert_eq!(
        store.records().lookup(&made.key).unwrap().as_ref(),
        Some(&made)
    );
    assert_eq!(
        store.records().lookup(&empty.key).unwrap().as_ref(),
        Some(&empty)
    );
    assert_eq!(store.records().lookup(&Digest::of(b"other")).unwrap(), None);
    assert!(
        store.records().has_definition(&made.definition).unwrap()
            && !store.records().has_definition(&made.key).unwrap()
    );
    let records = store.records();
    assert!(records.has(&empty.key).unwrap() && !records.has(&Digest::of(b"other")).unwrap());
    let oldest = |tree| records.oldest_with(&made.definition, tree, |_| true);
    assert_eq!(oldest(&made.tree).unwrap().as_ref(), Some(&made));
    assert_eq!(oldest(&made.key).unwrap(), None);
    // what the layer does not hold is no result
    let other = Record {
        tree: Digest::of(b"another tree"),
        ..made
    };
    store.records().put(&other).unwrap();
    assert_eq!(store.records().lookup(&other.key).unwrap(), None);
}

#[test]
fn a_record_without_its_layer_is_a_miss() {
    let (dir, store) = store();
    let layer = write_layer(
        &store,
        &Chain::new(Vec::new()),
        &vec![file("a", "1", 0o644)],
    )
    .unwrap();
    let made = record("a", Some(&layer), 5);
    store.records().put(&made).unwrap();
    drop(store);
    std::fs::remove_file(layer.tar.path()).unwrap();
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    assert_eq!(store.records().lookup(&made.key).unwrap(), None);
}

#[test]
fn one_thread_at_a_time_holds_a_key() {
    let (dir, store) = store();
    let other = Store::open(options(&dir.path().join("store"))).unwrap();
    let key = Digest::of(b"key");
    let held = store.leases().lock(&key, "").unwrap();
    assert!(other.leases().try_lock(&key).unwrap().is_none());
    assert!(
        other
            .leases()
            .try_lock(&Digest::of(b"another"))
            .unwrap()
            .is_some()
    );
    let waiting = std::thread::spawn(move || other.leases().lock(&key, "").map(drop));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!waiting.is_finished());
    drop(held);
    waiting.join().unwrap().unwrap();
    assert_eq!(
        std::fs::read_dir(store.root().join("locks"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn locks_exclude_under_contention() {
    let (_dir, store) = store();
    let (key, inside) = (Digest::of(b"key"), std::sync::atomic::AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _lock = store.leases().lock(&key, "").unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
}
