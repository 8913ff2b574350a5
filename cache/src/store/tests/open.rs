//! Opening: what is made, what is refused, what another boot left.

use std::os::unix::fs::FileExt;

use kiln_oci::Digest;

use crate::inventory::Files;
use crate::tests::{directory, file, options, store, write_layer};
use crate::{Chain, OpenOptions, Store, StoreError};

#[test]
fn a_store_is_made_and_opened_again() {
    let (dir, store) = store();
    let digest = store.blobs().put(&mut &b"hello"[..], None).unwrap();
    drop(store);
    let again = Store::open(options(&dir.path().join("store"))).unwrap();
    assert!(again.blobs().has(&digest).unwrap());
    assert_eq!(
        std::fs::read_dir(again.leases().folder()).unwrap().count(),
        0,
        "a process that ends leaves no lease"
    );
}

#[test]
fn somebody_elses_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "x").unwrap();
    assert!(matches!(
        Store::open(options(dir.path())),
        Err(StoreError::NotAStore { .. })
    ));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn another_version_is_refused() {
    let (dir, store) = store();
    drop(store);
    std::fs::write(dir.path().join("store/version"), "kiln store 99\n").unwrap();
    assert!(matches!(
        Store::open(options(&dir.path().join("store"))),
        Err(StoreError::Version { .. })
    ));
}

#[test]
fn another_owner_is_refused() {
    if !crate::tests::is_root() {
        return;
    }
    let (dir, store) = store();
    drop(store);
    std::os::unix::fs::chown(dir.path().join("store"), Some(12_345), None).unwrap();
    assert!(matches!(
        Store::open(options(&dir.path().join("store"))),
        Err(StoreError::Owner { owner: 12_345, .. })
    ));
}

#[test]
fn a_read_only_store_reads_and_writes_nothing() {
    let (dir, store) = store();
    let layer = write_layer(
        &store,
        &Chain::new(Vec::new()),
        &vec![file("a", "1", 0o644)],
    )
    .unwrap();
    drop(store);
    let reader = Store::open(OpenOptions {
        read_only: true,
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    assert_eq!(
        reader.layers().get(&layer.diff_id()).unwrap().index,
        layer.index
    );
    assert!(matches!(
        reader.blobs().put(&mut &b"x"[..], None),
        Err(StoreError::ReadOnly { .. })
    ));
    assert!(matches!(
        reader.garbage().prune(None),
        Err(StoreError::ReadOnly { .. })
    ));
}

#[test]
fn eight_threads_open_one_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new/store");
    std::thread::scope(|scope| {
        for number in 0..8u8 {
            let root = &root;
            scope.spawn(move || {
                let store = Store::open(options(root)).unwrap();
                for round in 0..20u8 {
                    store.blobs().put(&mut &[number, round][..], None).unwrap();
                    store.blobs().put(&mut &b"shared"[..], None).unwrap();
                }
            });
        }
    });
    let store = Store::open(options(&root)).unwrap();
    assert_eq!(Files::read(store.root()).unwrap().blobs.len(), 161);
    assert_eq!(store.fsck(false).unwrap(), []);
}

#[test]
fn what_another_boot_wrote_is_digested_before_its_first_use() {
    let (dir, store) = store();
    let whole = store.blobs().put(&mut &b"whole"[..], None).unwrap();
    let torn = store.blobs().put(&mut &b"torn"[..], None).unwrap();
    let path = store.blobs().path(&torn);
    drop(store);
    // what a power cut leaves: the right size, other bytes
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(b"\0\0\0\0", 0)
        .unwrap();
    let store = Store::open(OpenOptions {
        boot_id: "boot-2".to_owned(),
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    assert!(store.blobs().open(&whole).is_ok());
    assert!(matches!(
        store.blobs().open(&torn),
        Err(StoreError::Missing { .. })
    ));
    assert!(!store.blobs().has(&torn).unwrap());
}

#[test]
fn a_cut_off_blob_is_a_miss() {
    let (dir, store) = store();
    let digest = store.blobs().put(&mut &b"hello"[..], None).unwrap();
    let path = store.blobs().path(&digest);
    drop(store);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(2)
        .unwrap();
    assert!(
        !Store::open(options(&dir.path().join("store")))
            .unwrap()
            .blobs()
            .has(&digest)
            .unwrap()
    );
}

#[test]
fn a_view_of_another_boot_is_made_anew() {
    let (dir, store) = store();
    let layer = write_layer(
        &store,
        &Chain::new(Vec::new()),
        &vec![file("a", "content", 0o644)],
    )
    .unwrap();
    let view = store.views().get(&[layer.diff_id()]).unwrap();
    std::fs::write(view.lowers[0].path().join("a"), "").unwrap();
    drop(store);
    let store = Store::open(OpenOptions {
        boot_id: "boot-2".to_owned(),
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    let view = store.views().get(&[layer.diff_id()]).unwrap();
    assert_eq!(
        std::fs::read_to_string(view.lowers[0].path().join("a")).unwrap(),
        "content"
    );
}

#[test]
fn a_damaged_index_is_made_anew() {
    let (dir, store) = store();
    let layer = write_layer(
        &store,
        &Chain::new(Vec::new()),
        &vec![directory("d", 0o700), file("d/a", "content", 0o644)],
    )
    .unwrap();
    std::fs::write(store.layers().index_path(&layer.diff_id()), "rubbish").unwrap();
    drop(store);
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    assert_eq!(store.layers().index(&layer.diff_id()).unwrap(), layer.index);
    assert!(store.layers().read_index(&layer.diff_id()).is_some());
}

#[test]
fn blobs_are_what_their_descriptor_says() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    let put = |bytes: &[u8], size| store.blobs().put(&mut &*bytes, Some((digest, size)));
    assert!(matches!(
        put(b"hello!", 5),
        Err(StoreError::SizeMismatch { .. })
    ));
    assert!(matches!(
        put(b"hell", 5),
        Err(StoreError::SizeMismatch { .. })
    ));
    assert!(matches!(
        put(b"hallo", 5),
        Err(StoreError::DigestMismatch { .. })
    ));
    assert!(!store.blobs().has(&digest).unwrap());
    assert_eq!(put(b"hello", 5).unwrap(), digest);
}
