//! What fsck finds, tells and mends; what it says nothing of; and a store whose database is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiln_oci::{Digest, Reference};

use crate::fsck::Finding;
use crate::image::tests::put;
use crate::inventory::Files;
use crate::tests::{directory, file, options, store, write_layer};
use crate::{Caches, Chain, Layer, OpenOptions, Record, Store, StoreError};

fn layer(store: &Store, name: &str) -> Layer {
    let files = vec![
        directory("d", 0o750),
        file("d/f", name, 0o640),
        file("z", name, 0o755),
    ];
    write_layer(store, &Chain::new(Vec::new()), &files).unwrap()
}

fn reopen(dir: &Path) -> Store {
    Store::open(options(&dir.join("store"))).unwrap()
}

fn tag(store: &Store, name: &str, layers: &[&Layer]) -> Digest {
    let image = put(store, layers);
    store
        .images()
        .tag(&Reference::parse(name).unwrap(), &image)
        .unwrap();
    image
}

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn record(store: &Store, layer: &Layer) -> Digest {
    let key = Digest::of(b"key");
    let record = Record {
        key,
        definition: key,
        inputs: Vec::new(),
        diff_id: Some(layer.diff_id()),
        tree: layer.tree(),
        created: 1,
        made: 1,
        cost_ms: 1,
        dockerfile_line: 1,
        title: String::new(),
        caches: Caches::default(),
        isolation: crate::Isolation::default(),
    };
    store.records().put(&record).unwrap();
    key
}

fn named(name: &str) -> Vec<String> {
    vec![
        Reference::parse(name)
            .unwrap()
            .with_default_tag()
            .to_string(),
    ]
}

#[test]
fn damage_is_found_and_mended() {
    let (dir, store) = store();
    let (good, torn, gone, indexless) = (
        layer(&store, "good"),
        layer(&store, "torn"),
        layer(&store, "gone"),
        layer(&store, "indexless"),
    );
    let image = tag(&store, "app", &[&good, &torn]);
    let other = tag(&store, "other", &[&good, &gone]);
    drop(store);
    overwrite(torn.tar.path(), b"rubbish");
    std::fs::remove_file(gone.tar.path()).unwrap();
    let store = reopen(dir.path());
    // made again when something reads it: no damage
    std::fs::write(store.layers().index_path(&indexless.diff_id()), "rubbish").unwrap();
    std::fs::write(store.root().join("layers/stray"), "").unwrap();
    std::fs::write(store.root().join("blobs/sha256/stray"), "").unwrap();
    // an index that is whole, of another layer
    let false_index = crate::layer::codec::encode(&crate::LayerIndex {
        diff_id: good.diff_id(),
        ..(*indexless.index).clone()
    });
    std::fs::write(store.layers().index_path(&good.diff_id()), false_index).unwrap();
    let mut expected = [
        Finding::CorruptBlob(torn.diff_id()),
        Finding::MissingBlob(gone.diff_id()),
        Finding::BadIndex(good.diff_id()),
        Finding::Unknown(store.root().join("layers/stray")),
        Finding::Unknown(store.root().join("blobs/sha256/stray")),
        Finding::BrokenImage(image, named("app")),
        Finding::BrokenImage(other, named("other")),
    ];
    expected.sort();
    assert_eq!(store.fsck(false).unwrap(), expected);
    assert_eq!(store.fsck(true).unwrap(), expected);
    assert_eq!(store.fsck(false).unwrap(), []);
    assert!(store.images().list().unwrap().is_empty());
    assert!(store.layers().read_index(&good.diff_id()).is_some());
}

#[test]
fn folders_in_the_place_of_files_are_found_and_give_way() {
    let (dir, store) = store();
    let layer = layer(&store, "a");
    let image = tag(&store, "app", &[&layer]);
    let index = store.layers().index_path(&layer.diff_id());
    drop(store);
    let make_folder = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("inside"), "x").unwrap();
    };
    for path in [layer.tar.path(), &*index] {
        make_folder(path);
    }
    let store = reopen(dir.path());
    let mut expected = [
        Finding::WrongType(layer.tar.path().to_owned()),
        Finding::WrongType(index.clone()),
        Finding::MissingBlob(layer.diff_id()),
        Finding::BrokenImage(image, named("app")),
    ];
    expected.sort();
    assert_eq!(store.fsck(false).unwrap(), expected);
    // and without a repair they are in nobody's way
    assert_eq!(self::layer(&store, "a").diff_id(), layer.diff_id());
    assert_eq!(store.fsck(false).unwrap(), []);
    make_folder(&store.layers().index_path(&layer.diff_id()));
    assert_eq!(store.fsck(true).unwrap().len(), 1);
    assert_eq!(store.fsck(false).unwrap(), []);
}

#[test]
fn views_are_compared_with_their_layers() {
    let (dir, store) = store();
    let layer = layer(&store, "name");
    let view = store.views().get(&[layer.diff_id()]).unwrap();
    let view = view.lowers[0].path();
    assert_eq!(store.fsck(false).unwrap(), []);
    let bad = [Finding::BadView("test".to_owned(), layer.diff_id())];
    let changes: [&dyn Fn(&Path); 5] = [
        &|view| std::fs::remove_file(view.join("d/f")).unwrap(),
        &|view| std::fs::write(view.join("z"), "eman").unwrap(),
        &|view| std::fs::write(view.join("z"), "longer").unwrap(),
        &|view| {
            std::fs::remove_file(view.join("z")).unwrap();
            std::fs::create_dir(view.join("z")).unwrap();
        },
        &|view| {
            std::fs::set_permissions(view.join("d/f"), PermissionsExt::from_mode(0o600)).unwrap()
        },
    ];
    for change in changes {
        change(view);
        assert_eq!(store.fsck(false).unwrap(), bad);
        assert_eq!(store.fsck(true).unwrap(), bad);
        assert_eq!(store.fsck(false).unwrap(), []);
        store.views().get(&[layer.diff_id()]).unwrap();
        assert_eq!(std::fs::read_to_string(view.join("z")).unwrap(), "name");
        assert_eq!(store.fsck(false).unwrap(), []);
    }
    // one that is gone as a whole is made again
    std::fs::remove_dir_all(view).unwrap();
    assert_eq!(reopen(dir.path()).fsck(false).unwrap(), []);
}

/// A store after a power cut, where another boot finds what had not got to the disk.
#[test]
fn what_was_not_durable_is_no_damage() {
    let (dir, store) = store();
    let (torn, cut, gone) = (
        layer(&store, "torn"),
        layer(&store, "cut"),
        layer(&store, "gone"),
    );
    let loose = put(&store, &[&torn]);
    let key = record(&store, &cut);
    drop(store);
    let size = std::fs::metadata(torn.tar.path()).unwrap().len();
    overwrite(torn.tar.path(), &vec![0; usize::try_from(size).unwrap()]);
    overwrite(cut.tar.path(), b"");
    std::fs::remove_file(gone.tar.path()).unwrap();
    let store = Store::open(OpenOptions {
        boot_id: "boot-2".to_owned(),
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    assert_eq!(store.fsck(false).unwrap(), []);
    assert_eq!(store.fsck(true).unwrap(), []);
    assert!(store.images().get(&loose).is_err());
    assert_eq!(store.records().lookup(&key).unwrap(), None);
    let left = Files::read(store.root()).unwrap().blobs;
    assert!(
        [torn, cut, gone]
            .iter()
            .all(|layer| !left.contains_key(&layer.diff_id()))
    );
}

/// Some file systems keep the size of what a power cut has torn.
#[test]
fn what_another_boot_left_torn_is_no_result() {
    let (dir, store) = store();
    let layer = layer(&store, "a");
    let key = record(&store, &layer);
    let image = put(&store, &[&layer]);
    drop(store);
    let size = std::fs::metadata(layer.tar.path()).unwrap().len();
    overwrite(layer.tar.path(), &vec![0; usize::try_from(size).unwrap()]);
    let store = Store::open(OpenOptions {
        boot_id: "boot-2".to_owned(),
        ..options(&dir.path().join("store"))
    })
    .unwrap();
    assert_eq!(store.records().lookup(&key).unwrap(), None);
    assert!(store.images().get(&image).is_err());
}

#[test]
fn a_version_file_that_a_power_cut_took_is_written_again() {
    let (dir, store) = store();
    let image = tag(&store, "app", &[&layer(&store, "a")]);
    drop(store);
    let version = dir.path().join("store/version");
    let torn: [&[u8]; 6] = [
        b"",
        b"kiln",
        b"kiln store 1",
        b"kiln store \n",
        &[0; 13],
        b"rubbish\n",
    ];
    for bytes in torn {
        std::fs::write(&version, bytes).unwrap();
        let read_only = OpenOptions {
            read_only: true,
            ..options(&dir.path().join("store"))
        };
        assert!(Store::open(read_only).is_err());
        assert_eq!(
            reopen(dir.path())
                .images()
                .find("app")
                .unwrap()
                .manifest_digest,
            image
        );
        assert_eq!(std::fs::read_to_string(&version).unwrap(), "kiln store 1\n");
    }
    std::fs::remove_file(&version).unwrap();
    assert!(reopen(dir.path()).images().find("app").is_ok());
    // beside somebody's files it says nothing
    std::fs::write(&version, "").unwrap();
    std::fs::write(dir.path().join("store/thesis.tex"), "").unwrap();
    let opened = Store::open(options(&dir.path().join("store")));
    assert!(matches!(opened, Err(StoreError::NotAStore { .. })));
}

#[test]
fn a_lost_database_is_named_and_made_anew_of_what_is_left() {
    let ruins: [&dyn Fn(&Path); 5] = [
        &|path| std::fs::write(path, "").unwrap(),
        &|path| std::fs::write(path, "rubbish").unwrap(),
        &|path| std::fs::remove_file(path).unwrap(),
        &|path| {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(9000)
                .unwrap()
        },
        &|path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        },
    ];
    for ruin in ruins {
        let (dir, store) = store();
        let (one, two) = (layer(&store, "one"), layer(&store, "two"));
        let image = tag(&store, "app", &[&one, &two]);
        let id = store.images().find("app").unwrap().config_digest;
        drop(store);
        ruin(&dir.path().join("store/kiln.db"));
        let options = options(&dir.path().join("store"));
        let opened = Store::open(options.clone()).and_then(|store| store.fsck(false).map(drop));
        assert!(
            matches!(opened, Err(StoreError::DatabaseLost { blobs: 4, .. })),
            "{opened:?}"
        );
        let (store, rebuilt) = Store::open_or_rebuild(options.clone()).unwrap();
        assert_eq!(rebuilt.unwrap().images, [id]);
        assert_eq!(store.fsck(true).unwrap(), []);
        let found = store.images().find(&id.to_string()).unwrap();
        assert_eq!(found.manifest_digest, image);
        assert_eq!(store.images().names_of(&image).unwrap(), []);
        assert!(store.views().get(&found.diff_ids).is_ok());
        drop(store);
        assert_eq!(Store::open_or_rebuild(options).unwrap().1, None);
    }
}

#[test]
fn a_damaged_page_of_the_database_is_no_finding_but_its_loss() {
    let (dir, store) = store();
    tag(&store, "app", &[&layer(&store, "a")]);
    drop(store);
    let path = dir.path().join("store/kiln.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8192..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let checked =
        Store::open(options(&dir.path().join("store"))).and_then(|store| store.fsck(true));
    assert!(
        matches!(checked, Err(StoreError::DatabaseLost { .. })),
        "{checked:?}"
    );
}

#[test]
fn a_database_that_others_use_is_not_replaced() {
    let (dir, store) = store();
    let held = layer(&store, "a");
    std::fs::write(dir.path().join("store/kiln.db"), "rubbish").unwrap();
    let opened = Store::open_or_rebuild(options(&dir.path().join("store")));
    assert!(
        matches!(opened, Err(StoreError::InUse { .. })),
        "{opened:?}"
    );
    drop((held, store));
}

#[test]
fn nothing_in_a_store_is_open_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o755)).unwrap();
    let open_ones = || {
        let entries = std::fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap());
        let open =
            entries.filter(|entry| entry.metadata().unwrap().permissions().mode() & 0o077 != 0);
        open.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let store = reopen(dir.path());
    layer(&store, "a");
    assert_eq!(open_ones(), [""; 0].map(std::path::PathBuf::from));
    drop(store);
    // what an older kiln left
    for (name, mode) in [("kiln.db", 0o644), ("version", 0o644), ("parts", 0o755)] {
        std::fs::set_permissions(root.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    assert_eq!(open_ones().len(), 3);
    drop(reopen(dir.path()));
    assert_eq!(open_ones(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn what_somebody_tidied_up_is_made_again() {
    let (dir, store) = store();
    drop(store);
    let root = dir.path().join("store");
    for name in ["locks", "trash", "leases", "layers", "views", "blobs"] {
        std::fs::remove_dir_all(root.join(name)).unwrap();
    }
    std::fs::create_dir_all(root.join("leases/1-00000000.lock/x")).unwrap();
    std::fs::write(root.join("leases/rubbish"), "").unwrap();
    let store = reopen(dir.path());
    let layer = layer(&store, "a");
    std::fs::create_dir(root.join("locks").join(layer.diff_id().hex())).unwrap();
    drop(store.leases().lock(&layer.diff_id(), "").unwrap());
    store.views().get(&[layer.diff_id()]).unwrap();
    assert_eq!(store.fsck(false).unwrap(), []);
}
