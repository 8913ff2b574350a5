//! Results of one store are found in another, and their layers come when they are needed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use kiln_oci::{Descriptor, Digest, ImageConfig, LayerCompression, Manifest, Platform, media_type};
use tempfile::TempDir;

use super::{CacheOrigin, ExportedCache, ExportedMemo, Loss, Mode};
use crate::lazy::FetchFailure;
use crate::tests::{item, store, tar};
use crate::{
    Caches, Fetcher, KeyBuilder, Layer, MemoBundle, PruneOptions, Record, RemoteBlob, Store,
    StoreError, Tree,
};
use kiln_oci::tarfile::Kind;

/// What the cache is called.
const NAME: &str = "oci-layout:///cache:latest";

fn origin() -> CacheOrigin {
    CacheOrigin::folder(Path::new("/cache"))
}

/// A folder with blobs, which can be out of reach.
#[derive(Clone, Debug, Default)]
struct Folder {
    blobs: BTreeMap<Digest, Vec<u8>>,
    is_away: bool,
}

impl Fetcher for Folder {
    fn fetch(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), FetchFailure> {
        assert_eq!(blob.origins, [origin()]);
        std::fs::write(part, self.blobs.get(&blob.digest).ok_or("nothing there")?)?;
        grown();
        Ok(())
    }

    fn reaches(&self, at: &CacheOrigin) -> bool {
        *at == origin() && !self.is_away
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn key(name: &str) -> Digest {
    KeyBuilder::new("test")
        .bytes("name", name.as_bytes())
        .finish()
        .0
}

fn record(name: &str, layer: Option<&Layer>) -> Record {
    Record {
        key: key(name),
        definition: key("definition"),
        inputs: vec![("files below".to_owned(), key("below"))],
        diff_id: layer.map(Layer::diff_id),
        tree: layer.map_or_else(|| Tree::new(Vec::new()).digest(), Layer::tree),
        created: 7,
        made: 8,
        cost_ms: 9,
        dockerfile_line: 1,
        title: name.to_owned(),
        caches: Caches::default(),
        isolation: crate::Isolation::default(),
    }
}

/// A store with an image of one layer, another layer, and a record of each; what it shares.
struct Maker {
    _dir: TempDir,
    store: Store,
    layers: [Digest; 2],
    bundle: MemoBundle,
}

fn maker() -> Maker {
    let (dir, store) = store();
    let mut layers = Vec::new();
    for name in ["in-image", "of-a-stage"] {
        let tar = tar(&[item(name, Kind::File, "content")]);
        let diff_id = Digest::of(&tar);
        store
            .layers()
            .ingest(&mut &tar[..], &diff_id, tar.len() as u64, &diff_id)
            .unwrap();
        let layer = store.layers().get(&diff_id).unwrap();
        store.records().put(&record(name, Some(&layer))).unwrap();
        layers.push(diff_id);
    }
    store.records().put(&record("nothing", None)).unwrap();
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = vec![layers[0]];
    let config = config.to_bytes();
    let size = store.exchange().layer_size(&layers[0]).unwrap().unwrap();
    let descriptors = vec![Descriptor::new(media_type::OCI_LAYER, layers[0], size)];
    let manifest =
        Manifest::for_layers(Descriptor::of(media_type::OCI_CONFIG, &config), descriptors);
    let (manifest, config) = store.images().put(&manifest.to_bytes(), &config).unwrap();
    let records = ["in-image", "of-a-stage", "nothing", "forgotten"]
        .map(key)
        .to_vec();
    let bundle = MemoBundle {
        manifest,
        config,
        records,
        created: 7,
        caches: Caches::default(),
        isolation: crate::Isolation::default(),
    };
    Maker {
        _dir: dir,
        store,
        layers: [layers[0], layers[1]],
        bundle,
    }
}

/// The store in a build that names the cache.
fn importing(store: &Store, folder: Folder) -> Store {
    store
        .with_fetcher(Arc::new(folder))
        .importing([NAME.to_owned()])
}

fn put_image(store: &Store, memo: &ExportedMemo) {
    let (manifest, config) = &memo.images[0];
    store
        .images()
        .put(manifest.as_bytes(), config.as_bytes())
        .unwrap();
}

impl Maker {
    fn share(&self, mode: Mode, folder: &mut Folder) -> ExportedCache {
        let records = self.store.exchange().records(&self.bundle, mode).unwrap();
        let compression = LayerCompression::gzip();
        let mut blobs = Vec::new();
        for diff_id in records.iter().filter_map(|record| record.diff_id) {
            let blob = self
                .store
                .forms()
                .compressed(&diff_id, compression)
                .unwrap();
            let mut bytes = Vec::new();
            self.store
                .blobs()
                .open(&blob.digest)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            folder.blobs.insert(blob.digest, bytes);
            blobs.push((diff_id, blob));
        }
        let memo = self
            .store
            .exchange()
            .memo(key("memo"), &self.bundle)
            .unwrap();
        self.store
            .exchange()
            .export(records, &blobs, compression, memo.into_iter().collect())
            .unwrap()
    }
}

#[test]
fn results_are_found_elsewhere_and_layers_come_when_they_are_needed() {
    let (maker, mut folder) = (maker(), Folder::default());
    let shared = maker.share(Mode::Max, &mut folder);
    let shared = ExportedCache::parse(&shared.to_bytes()).unwrap().unwrap();
    let (_dir, store) = store();
    let store = importing(&store, folder);
    let imported = store.exchange().import(NAME, &origin(), &shared);
    assert_eq!(imported.unwrap(), 3);
    assert_eq!(
        store.exchange().import(NAME, &origin(), &shared).unwrap(),
        2,
        "two layers are still not here"
    );
    for name in ["in-image", "of-a-stage", "nothing"] {
        let (there, here) = (
            maker.store.records().lookup(&key(name)),
            store.records().lookup(&key(name)),
        );
        let (there, here) = (there.unwrap().unwrap(), here.unwrap().unwrap());
        let caches = Caches::one(NAME);
        assert_eq!(Record { caches, ..there }, here);
    }
    assert!(store.records().memo(&key("memo")).unwrap().is_none());
    put_image(&store, &shared.memos[0]);
    assert!(!store.blobs().has(&maker.layers[0]).unwrap());
    let known = store
        .forms()
        .known(&maker.layers[0], LayerCompression::gzip())
        .unwrap();
    assert_eq!(
        known.unwrap().digest,
        shared
            .layers
            .iter()
            .find(|layer| layer.diff_id == maker.layers[0])
            .unwrap()
            .blob
    );
    assert!(
        store.layers().get(&maker.layers[0]).is_ok()
            && store.blobs().has(&maker.layers[0]).unwrap()
    );
    assert_eq!(store.fsck(false).unwrap(), []);
}

#[test]
fn the_least_cache_has_the_layers_of_the_image() {
    let (maker, mut folder) = (maker(), Folder::default());
    let least = maker.share(Mode::Min, &mut folder);
    let titles: Vec<&str> = least
        .records
        .iter()
        .map(|record| record.title.as_str())
        .collect();
    assert!(titles.len() == 2 && titles.contains(&"in-image") && titles.contains(&"nothing"));
    assert_eq!(least.layers.len(), 1);
    let most = maker.share(Mode::Max, &mut folder);
    assert!(most.covers(&least.records, None) && !least.covers(&most.records, None));
    assert!(least.covers(&[], most.memos.first()));
}

#[test]
fn what_is_out_of_reach_is_a_miss() {
    let (maker, mut folder) = (maker(), Folder::default());
    let shared = maker.share(Mode::Max, &mut folder);
    let (_dir, store) = store();
    let away = importing(
        &store,
        Folder {
            is_away: true,
            ..Folder::default()
        },
    );
    away.exchange().import(NAME, &origin(), &shared).unwrap();
    assert_eq!(away.records().lookup(&key("in-image")).unwrap(), None);
    assert!(away.records().lookup(&key("nothing")).unwrap().is_some());
    let (manifest, config) = &shared.memos[0].images[0];
    let put = away.images().put(manifest.as_bytes(), config.as_bytes());
    assert!(put.is_err());
    // a folder that does not have what it says
    let empty = importing(&store, Folder::default());
    assert!(empty.records().lookup(&key("in-image")).unwrap().is_some());
    assert!(matches!(
        empty.layers().get(&maker.layers[0]),
        Err(StoreError::Fetch { .. })
    ));
    let lost = BTreeMap::from([(maker.layers[0], Loss::Absent)]);
    assert_eq!(empty.exchange().forget_lost().unwrap(), lost);
    assert_eq!(empty.records().lookup(&key("in-image")).unwrap(), None);
    assert!(empty.exchange().forget_lost().unwrap().is_empty());
    assert_eq!(empty.exchange().forgotten(), [maker.layers[0]].into());
}

#[test]
fn a_layer_of_another_size_than_was_said_is_refused() {
    let (maker, mut folder) = (maker(), Folder::default());
    let mut shared = maker.share(Mode::Min, &mut folder);
    shared.layers[0].tar_size += 512;
    let (_dir, store) = store();
    let store = importing(&store, folder);
    store.exchange().import(NAME, &origin(), &shared).unwrap();
    assert!(matches!(
        store.layers().get(&maker.layers[0]),
        Err(StoreError::SizeMismatch { .. })
    ));
}

#[test]
fn a_prune_keeps_what_images_are_made_of() {
    let (maker, mut folder) = (maker(), Folder::default());
    let shared = maker.share(Mode::Max, &mut folder);
    let (_dir, store) = store();
    let store = importing(&store, folder);
    store.exchange().import(NAME, &origin(), &shared).unwrap();
    put_image(&store, &shared.memos[0]);
    let layers = store.exchange().only_remote(&maker.layers[..1]).unwrap();
    store.exchange().bind(&layers[0].1).unwrap();
    let bundle = &shared.memos[0].bundle;
    store
        .images()
        .tag(
            &kiln_oci::Reference::parse("app").unwrap(),
            &bundle.manifest,
        )
        .unwrap();
    store
        .garbage()
        .prune(PruneOptions {
            cache: true,
            ..PruneOptions::default()
        })
        .unwrap();
    assert_eq!(store.records().lookup(&key("of-a-stage")).unwrap(), None);
    assert!(store.layers().get(&maker.layers[1]).is_err());
    assert!(store.layers().get(&maker.layers[0]).is_ok());
}

#[test]
fn caches_of_other_versions_are_none() {
    let text = String::from_utf8(ExportedCache::new(Vec::new(), Vec::new(), Vec::new()).to_bytes())
        .unwrap();
    // caches of older versions say nothing of their build
    assert!(!text.contains("\"build\""));
    assert!(ExportedCache::parse(text.as_bytes()).unwrap().is_some());
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"keys\":", "\"keys\":1"),
    ] {
        assert_eq!(
            ExportedCache::parse(text.replace(from, to).as_bytes()).unwrap(),
            None
        );
    }
    assert!(ExportedCache::parse(b"{}").is_err());
}

#[test]
fn what_a_store_has_is_never_described_by_others() {
    let (maker, mut folder) = (maker(), Folder::default());
    let mut shared = maker.share(Mode::Min, &mut folder);
    let own = maker.store.layers().get(&maker.layers[0]).unwrap();
    shared.layers[0].blob = Digest::of(b"evil");
    let store = importing(&maker.store, folder);
    store.exchange().import(NAME, &origin(), &shared).unwrap();
    let known = store
        .forms()
        .known(&own.diff_id(), LayerCompression::gzip())
        .unwrap();
    let made = store
        .forms()
        .compressed(&own.diff_id(), LayerCompression::gzip())
        .unwrap();
    assert_eq!(known.unwrap(), made);
    let (_dir, other) = crate::tests::store();
    let tar = tar(&[item("in-image", Kind::File, "content")]);
    other
        .layers()
        .ingest(
            &mut &tar[..],
            &own.diff_id(),
            tar.len() as u64,
            &own.diff_id(),
        )
        .unwrap();
    let other = importing(&other, Folder::default());
    other.exchange().import(NAME, &origin(), &shared).unwrap();
    assert_eq!(
        other
            .forms()
            .known(&own.diff_id(), LayerCompression::gzip())
            .unwrap(),
        None
    );
}

#[test]
fn a_bomb_unpacks_to_what_was_said() {
    let (maker, mut folder) = (maker(), Folder::default());
    let mut shared = maker.share(Mode::Min, &mut folder);
    let tar = tar(&[
        item("in-image", Kind::File, "x"),
        item(
            "zeros",
            Kind::File,
            Box::leak("0".repeat(1 << 20).into_boxed_str()),
        ),
    ]);
    let mut encoder = LayerCompression::gzip().encoder(Vec::new(), 1).unwrap();
    std::io::Write::write_all(&mut encoder, &tar).unwrap();
    let blob = encoder.finish().unwrap();
    shared.layers[0].blob = Digest::of(&blob);
    shared.layers[0].size = blob.len() as u64;
    folder.blobs.insert(Digest::of(&blob), blob);
    let (_dir, store) = store();
    let store = importing(&store, folder);
    store.exchange().import(NAME, &origin(), &shared).unwrap();
    let refused = store.layers().get(&maker.layers[0]).unwrap_err();
    assert!(
        refused.to_string().contains("when it is decompressed"),
        "{refused}"
    );
}

/// What a build that does not name the cache finds of it.
fn without(store: &Store) -> Store {
    store.importing([])
}

#[test]
fn what_a_cache_says_counts_only_where_it_is_named() {
    let (maker, mut folder) = (maker(), Folder::default());
    let shared = maker.share(Mode::Max, &mut folder);
    let (_dir, store) = store();
    let store = importing(&store, folder);
    store.exchange().import(NAME, &origin(), &shared).unwrap();
    let (layer, other) = (maker.layers[0], without(&store));
    for name in ["in-image", "of-a-stage", "nothing"] {
        assert!(store.records().lookup(&key(name)).unwrap().is_some());
        assert_eq!(other.records().lookup(&key(name)).unwrap(), None, "{name}");
    }
    assert!(!other.records().has_definition(&key("definition")).unwrap());
    assert!(other.records().has(&key("nothing")).unwrap());
    assert!(
        other.layers().get(&layer).is_err()
            && other.exchange().layer_size(&layer).unwrap().is_none()
    );
    assert!(
        other
            .origins()
            .of(&shared.layers[0].blob)
            .unwrap()
            .is_empty()
    );
    // another cache, even at the same origin, is another one
    let namesake = store.importing([format!("{NAME}2")]);
    assert_eq!(namesake.records().lookup(&key("nothing")).unwrap(), None);
    // a memo rests on what its image does
    let bundle = MemoBundle {
        caches: Caches::one(NAME),
        isolation: crate::Isolation::default(),
        ..maker.bundle.clone()
    };
    put_image(&store, &shared.memos[0]);
    store.records().put_memo(&key("memo"), &bundle).unwrap();
    assert_eq!(store.records().memo(&key("memo")).unwrap(), Some(bundle));
    assert_eq!(other.records().memo(&key("memo")).unwrap(), None);
    // what this store makes itself stands beside the claim, for all builds
    let made = maker
        .store
        .records()
        .lookup(&key("nothing"))
        .unwrap()
        .unwrap();
    store.records().put(&made).unwrap();
    for store in [&store, &other] {
        assert_eq!(
            store.records().lookup(&key("nothing")).unwrap().as_ref(),
            Some(&made)
        );
    }
    assert_eq!(
        store.exchange().import(NAME, &origin(), &shared).unwrap(),
        2
    );
}

#[test]
fn what_cannot_be_true_is_not_taken() {
    let (maker, mut folder) = (maker(), Folder::default());
    let mut shared = maker.share(Mode::Max, &mut folder);
    let (_dir, store) = store();
    let store = importing(&store, folder);
    let layer = maker.store.layers().get(&maker.layers[1]).unwrap().tree();
    for record in &mut shared.records {
        match &*record.title {
            // files without a layer
            "nothing" => record.tree = layer,
            // a layer that the cache does not describe
            "of-a-stage" => record.diff_id = Some(key("of nobody")),
            _ => {}
        }
    }
    assert_eq!(
        store.exchange().import(NAME, &origin(), &shared).unwrap(),
        1
    );
    assert_eq!(store.records().lookup(&key("nothing")).unwrap(), None);
    assert_eq!(store.records().lookup(&key("of-a-stage")).unwrap(), None);
    // the layer is here already, and holds something else
    let (_dir, other) = crate::tests::store();
    let tar = tar(&[item("in-image", Kind::File, "content")]);
    let diff_id = maker.layers[0];
    other
        .layers()
        .ingest(&mut &tar[..], &diff_id, tar.len() as u64, &diff_id)
        .unwrap();
    let other = importing(&other, Folder::default());
    shared
        .records
        .iter_mut()
        .for_each(|record| record.tree = layer);
    assert_eq!(
        other.exchange().import(NAME, &origin(), &shared).unwrap(),
        0
    );
}

#[test]
fn a_layer_that_comes_has_the_last_word() {
    let (maker, mut folder) = (maker(), Folder::default());
    let mut shared = maker.share(Mode::Max, &mut folder);
    let (_dir, store) = store();
    let store = importing(&store, folder);
    let is_it = |record: &&mut Record| record.title == "in-image";
    let record = shared.records.iter_mut().find(is_it).unwrap();
    record.tree = key("another tree");
    store.exchange().import(NAME, &origin(), &shared).unwrap();
    let layer = maker.layers[0];
    // nobody counts on it yet
    assert!(store.layers().get(&maker.layers[1]).is_ok());
    assert!(store.records().lookup(&key("in-image")).unwrap().is_some());
    for _ in 0..2 {
        let refused = store.layers().get(&layer);
        assert!(matches!(refused, Err(StoreError::Disproved { digest }) if digest == layer));
    }
    let lost = BTreeMap::from([(layer, Loss::Disproved)]);
    assert_eq!(store.exchange().forget_lost().unwrap(), lost);
    assert_eq!(store.records().lookup(&key("in-image")).unwrap(), None);
    // the layer itself is what its name says
    assert!(store.layers().get(&layer).is_ok());
    assert_eq!(
        store.exchange().import(NAME, &origin(), &shared).unwrap(),
        0
    );
}

#[test]
fn two_builds_do_not_see_what_the_other_lost() {
    let (maker, mut folder) = (maker(), Folder::default());
    let shared = maker.share(Mode::Max, &mut folder);
    let (_dir, store) = store();
    let (empty, whole) = (
        importing(&store, Folder::default()),
        importing(&store, folder),
    );
    empty.exchange().import(NAME, &origin(), &shared).unwrap();
    let layer = maker.layers[0];
    assert!(empty.records().lookup(&key("in-image")).unwrap().is_some());
    assert!(empty.layers().get(&layer).is_err());
    assert!(whole.exchange().forget_lost().unwrap().is_empty());
    assert!(whole.records().lookup(&key("in-image")).unwrap().is_some());
    // a clone belongs to the same build
    let lost = empty.clone().exchange().forget_lost().unwrap();
    assert_eq!(lost, BTreeMap::from([(layer, Loss::Absent)]));
    assert_eq!(empty.exchange().forgotten(), [layer].into());
    assert_eq!(empty.records().lookup(&key("in-image")).unwrap(), None);
    assert!(whole.exchange().forgotten().is_empty() && store.exchange().forgotten().is_empty());
    assert!(whole.layers().get(&layer).is_ok());
}

#[test]
fn two_builds_do_not_believe_the_same() {
    let (maker, mut folder) = (maker(), Folder::default());
    let mut shared = maker.share(Mode::Max, &mut folder);
    let is_it = |record: &&mut Record| record.title == "in-image";
    shared.records.iter_mut().find(is_it).unwrap().tree = key("another tree");
    let (_dir, store) = store();
    let (one, other) = (importing(&store, folder.clone()), importing(&store, folder));
    one.exchange().import(NAME, &origin(), &shared).unwrap();
    assert!(one.records().lookup(&key("in-image")).unwrap().is_some());
    let layer = maker.layers[0];
    assert!(other.layers().get(&layer).is_ok(), "it counts on nothing");
    assert!(matches!(
        one.layers().get(&layer),
        Err(StoreError::Disproved { .. })
    ));
}
