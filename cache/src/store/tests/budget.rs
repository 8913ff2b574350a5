//! Keeping to a budget.

use kiln_oci::{Digest, Reference};

use super::prune::{layer, reopen};
use crate::image::tests::put;
use crate::tests::store;
use crate::{Budget, Space, Store};

/// Room for `bytes`, whatever the disk has.
fn budget(bytes: u64) -> Budget {
    Budget {
        max_used: Some(Space::Bytes(bytes)),
        min_free: Some(Space::Bytes(0)),
        reserved: Some(Space::Bytes(0)),
    }
}

fn held(store: &Store) -> u64 {
    store.totals().unwrap().held
}

#[test]
fn the_sums_follow_blobs_views_and_mounts() {
    let (dir, store) = store();
    let layers = [layer(&store, "a"), layer(&store, "b")];
    let ids: Vec<Digest> = layers.iter().map(crate::Layer::diff_id).collect();
    store.views().get(&ids).unwrap();
    let of = |store: &Store| {
        let usage = store.garbage().usage().unwrap();
        // indexes of layers have no rows
        let indexes = std::fs::read_dir(store.root().join("layers")).unwrap();
        let indexes: u64 = indexes
            .map(|index| index.unwrap().metadata().unwrap().len())
            .sum();
        let sums = [
            usage.layers,
            usage.compressed,
            usage.images,
            usage.views,
            usage.cache_mounts,
        ];
        sums.iter().map(|class| class.bytes).sum::<u64>() - indexes
    };
    assert_eq!(held(&store), of(&store));
    drop(store);
    let store = reopen(dir.path());
    store.garbage().prune(Some(300_000)).unwrap();
    assert_eq!(held(&store), of(&store));
    store.garbage().prune(None).unwrap();
    assert_eq!((held(&store), of(&store)), (0, 0));
}

#[test]
fn a_process_that_has_ended_its_work_keeps_only_its_result() {
    let (dir, store) = store();
    let (used, unnamed) = (layer(&store, "used"), layer(&store, "unnamed"));
    let image = put(&store, &[&unnamed]);
    let other = reopen(dir.path());
    let beside = layer(&other, "beside");
    let has = |layer: &crate::Layer| store.blobs().has(&layer.diff_id()).unwrap();
    let settled = store.garbage().settle(&budget(10_000_000), Some(&image));
    assert_eq!(settled.unwrap(), None);
    let report = store.garbage().settle(&budget(1), Some(&image)).unwrap();
    assert_eq!(report.unwrap().layers, 1);
    assert!(!has(&used) && has(&unnamed) && has(&beside));
    // nothing is pinned any more once both have ended
    drop((store, other));
    let store = reopen(dir.path());
    let report = store.garbage().settle(&budget(1), None).unwrap().unwrap();
    assert_eq!((report.layers, report.images, report.kept), (2, 1, 0));
}

#[test]
fn what_cannot_be_cut_back_is_looked_at_once() {
    let (dir, store) = store();
    let image = put(&store, &[&layer(&store, "tagged")]);
    let name = Reference::parse("app:v1").unwrap();
    store.images().tag(&name, &image).unwrap();
    drop(store);
    let store = reopen(dir.path());
    let settle = || store.garbage().settle(&budget(1000), None).unwrap();
    assert_eq!(settle().unwrap().freed, 0);
    assert_eq!(settle(), None);
    layer(&store, "more");
    assert_eq!(settle().unwrap().layers, 1);
}

#[test]
fn what_is_reserved_stays() {
    let (dir, store) = store();
    for name in ["a", "b", "c"] {
        layer(&store, name);
    }
    drop(store);
    let store = reopen(dir.path());
    let budget = Budget {
        reserved: Some(Space::Bytes(450_000)),
        ..budget(1000)
    };
    let report = store.garbage().settle(&budget, None).unwrap().unwrap();
    assert_eq!(report.layers, 1);
}
