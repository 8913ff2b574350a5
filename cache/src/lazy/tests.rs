//! Layers that are fetched when they are needed: once, checked, from any place that has them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kiln_oci::compression::LayerCompression;
use kiln_oci::tarfile::Kind;
use kiln_oci::{Descriptor, Digest, ImageConfig, Manifest, Platform, Reference, media_type};
use tempfile::TempDir;

use crate::lazy::{FetchFailure, Fetcher, RemoteBlob};
use crate::tests::{item, options, store, tar};
use crate::{CacheOrigin, Store, StoreError};

fn repository() -> CacheOrigin {
    CacheOrigin::parse("registry.test/app").unwrap()
}

/// A layer as a registry holds it.
struct Remote {
    blob: Vec<u8>,
    digest: Digest,
    diff_id: Digest,
}

fn remote(compression: LayerCompression, name: &'static str) -> Remote {
    let content: &'static str = Box::leak(name.repeat(3000).into_boxed_str());
    let tar = tar(&[item(name, Kind::File, content)]);
    let mut encoder = compression.encoder(Vec::new(), 1).unwrap();
    encoder.write_all(&tar).unwrap();
    let blob = encoder.finish().unwrap();
    Remote {
        digest: Digest::of(&blob),
        diff_id: Digest::of(&tar),
        blob,
    }
}

/// A registry that counts, and that may break off.
#[derive(Debug, Default)]
struct Registry {
    blobs: Mutex<Vec<(Digest, Vec<u8>)>>,
    bytes: AtomicUsize,
    requests: AtomicUsize,
    /// Bytes after which the next request breaks off.
    breaks_after: Mutex<Option<usize>>,
    /// What the next request first writes that is not the blob.
    garbage_first: Mutex<Option<Vec<u8>>>,
    /// A blob that does not come before a path is there.
    waits_for: Mutex<Option<(Digest, PathBuf)>>,
}

impl Registry {
    fn wait(&self, blob: &Digest) -> Result<(), FetchFailure> {
        let waits_for = self.waits_for.lock().unwrap().clone();
        let Some((_, path)) = waits_for.filter(|(digest, _)| digest == blob) else {
            return Ok(());
        };
        for _ in 0..2000 {
            if path.exists() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err(format!("{} is not there", path.display()).into())
    }
}

impl Fetcher for Registry {
    fn fetch(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), FetchFailure> {
        assert_eq!(blob.origins, [repository()]);
        self.requests.fetch_add(1, Ordering::SeqCst);
        let blobs = self.blobs.lock().unwrap();
        let found = blobs.iter().find(|(digest, _)| *digest == blob.digest);
        let bytes = found.map(|(_, bytes)| bytes.clone()).ok_or("404")?;
        drop(blobs);
        self.wait(&blob.digest)?;
        if let Some(garbage) = self.garbage_first.lock().unwrap().take() {
            std::fs::write(part, &garbage)?;
            grown();
            std::thread::sleep(std::time::Duration::from_millis(30));
            std::fs::write(part, b"")?;
            grown();
        }
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(part)?;
        let start = usize::try_from(file.metadata()?.len())?;
        let end = self.breaks_after.lock().unwrap().take();
        for piece in bytes[start..end.unwrap_or(bytes.len())].chunks(100) {
            file.write_all(piece)?;
            self.bytes.fetch_add(piece.len(), Ordering::SeqCst);
            grown();
        }
        end.map_or(Ok(()), |_| Err("connection reset".into()))
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A store that knows an image of these layers, and the registry that has them.
fn described(layers: &[&Remote]) -> (TempDir, Store, Arc<Registry>, Digest) {
    let (dir, store) = store();
    let registry = Arc::new(Registry::default());
    let store = store.with_fetcher(registry.clone());
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    let config = config.to_bytes();
    let descriptors = layers.iter().map(|layer| {
        Descriptor::new(
            media_type::OCI_LAYER_GZIP,
            layer.digest,
            layer.blob.len() as u64,
        )
    });
    let config_descriptor = Descriptor::of(media_type::OCI_CONFIG, &config);
    let manifest = Manifest::for_layers(config_descriptor, descriptors.collect()).to_bytes();
    assert!(
        store.images().put(&manifest, &config).is_err(),
        "nobody has the layers"
    );
    for layer in layers {
        store.origins().add(&repository(), &[layer.digest]).unwrap();
        let held = (layer.digest, layer.blob.clone());
        registry.blobs.lock().unwrap().push(held);
    }
    let (manifest, _) = store.images().put(&manifest, &config).unwrap();
    store
        .images()
        .tag(&Reference::parse("app").unwrap(), &manifest)
        .unwrap();
    (dir, store, registry, manifest)
}

fn requests(registry: &Registry) -> usize {
    registry.requests.load(Ordering::SeqCst)
}

fn unused_parts(store: &Store) -> usize {
    std::fs::read_dir(store.fetch().parts()).map_or(0, Iterator::count)
}

#[test]
fn a_view_is_made_while_another_layer_comes() {
    let early = remote(LayerCompression::gzip(), "early");
    let late = remote(LayerCompression::gzip(), "late");
    let (_dir, store, registry, _) = described(&[&late, &early]);
    let view = store.views().path(&early.diff_id);
    *registry.waits_for.lock().unwrap() = Some((late.digest, view));
    let view = store.views().get(&[late.diff_id, early.diff_id]).unwrap();
    assert_eq!(view.lowers.len(), 2);
    for (lower, name) in view.lowers.iter().zip(["early", "late"]) {
        assert!(lower.path().join(name).exists(), "{lower:?}");
    }
}

#[test]
fn nothing_comes_before_it_is_needed_and_nothing_twice() {
    let kinds = [
        LayerCompression::gzip(),
        LayerCompression::zstd(),
        LayerCompression::None,
    ];
    let layers: Vec<Remote> = kinds
        .into_iter()
        .zip(["one", "two", "three"])
        .map(|(kind, name)| remote(kind, name))
        .collect();
    let (dir, store, registry, _) = described(&layers.iter().collect::<Vec<_>>());
    let image = store.images().find("app").unwrap();
    assert!(
        store.layers().index(&layers[0].diff_id).is_err(),
        "indexes fetch nothing"
    );
    assert_eq!(store.images().list().unwrap()[0].diff_ids.len(), 3);
    assert_eq!(store.fsck(false).unwrap(), []);
    assert_eq!(requests(&registry), 0);
    let chain = store.layers().chain(&image.diff_ids).unwrap();
    for name in ["one", "two", "three"] {
        let found = chain.lookup(name.as_bytes()).unwrap();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut chain.read(&found).unwrap(), &mut content).unwrap();
        assert_eq!(content, name.repeat(3000));
    }
    assert_eq!(requests(&registry), 3);
    let sum: usize = layers.iter().map(|layer| layer.blob.len()).sum();
    assert_eq!(registry.bytes.load(Ordering::SeqCst), sum);
    store.layers().chain(&image.diff_ids).unwrap();
    for layer in &layers {
        store.blobs().open(&layer.digest).unwrap();
        store.layers().get(&layer.diff_id).unwrap();
    }
    assert_eq!((requests(&registry), unused_parts(&store)), (3, 0));
    assert_eq!(store.fsck(false).unwrap(), []);
    drop(store);
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    store.layers().chain(&image.diff_ids).unwrap();
}

#[test]
fn many_threads_fetch_a_layer_once() {
    let layer = remote(LayerCompression::gzip(), "shared");
    let (_dir, store, registry, _) = described(&[&layer]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| store.layers().get(&layer.diff_id).unwrap());
        }
    });
    assert_eq!(requests(&registry), 1);
}

#[test]
fn a_broken_download_goes_on_in_the_next_process() {
    let layer = remote(LayerCompression::gzip(), "interrupted");
    let (dir, store, registry, _) = described(&[&layer]);
    *registry.breaks_after.lock().unwrap() = Some(50);
    let error = store.layers().get(&layer.diff_id).unwrap_err();
    assert!(matches!(error, StoreError::Fetch { .. }), "{error}");
    assert!(error.to_string().contains("connection reset"));
    assert_eq!(unused_parts(&store), 1);
    drop(store);
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    let store = store.with_fetcher(registry.clone());
    store.layers().get(&layer.diff_id).unwrap();
    assert_eq!(registry.bytes.load(Ordering::SeqCst), layer.blob.len());
    assert_eq!(unused_parts(&store), 0);
}

#[test]
fn a_download_that_begins_anew_is_read_again() {
    let layer = remote(LayerCompression::gzip(), "again");
    let other = remote(LayerCompression::gzip(), "something else");
    let (_dir, store, registry, _) = described(&[&layer]);
    *registry.garbage_first.lock().unwrap() = Some(other.blob);
    store.layers().get(&layer.diff_id).unwrap();
    assert_eq!(store.fsck(false).unwrap(), []);
}

#[test]
fn wrong_content_leaves_nothing() {
    let layer = remote(LayerCompression::gzip(), "right");
    let wrong = remote(LayerCompression::gzip(), "wrong");
    for blob in [wrong.blob, b"no tar".to_vec(), Vec::new(), vec![7; 5000]] {
        let (_dir, store, registry, _) = described(&[&layer]);
        registry.blobs.lock().unwrap()[0].1 = blob;
        store.layers().get(&layer.diff_id).unwrap_err();
        assert!(!store.blobs().has(&layer.diff_id).unwrap());
        assert!(!store.blobs().has(&layer.digest).unwrap());
        assert_eq!(unused_parts(&store), 0);
        assert_eq!(store.fsck(false).unwrap(), []);
    }
}

#[test]
fn a_blob_whose_content_is_another_layer_is_refused() {
    let layer = remote(LayerCompression::gzip(), "right");
    let lying = Remote {
        diff_id: Digest::of(b"something else"),
        ..remote(LayerCompression::gzip(), "lying")
    };
    let (_dir, store, _, _) = described(&[&layer, &lying]);
    let error = store
        .layers()
        .chain(&[layer.diff_id, lying.diff_id])
        .unwrap_err();
    assert!(
        matches!(error, StoreError::DigestMismatch { .. }),
        "{error}"
    );
    assert!(store.layers().get(&layer.diff_id).is_ok());
}

#[test]
fn a_lost_tar_comes_back_from_its_blob_and_a_lost_blob_from_its_repository() {
    let layer = remote(LayerCompression::zstd(), "lost");
    let (dir, store, registry, _) = described(&[&layer]);
    store.layers().get(&layer.diff_id).unwrap();
    let (tar, blob) = (
        store.blobs().path(&layer.diff_id),
        store.blobs().path(&layer.digest),
    );
    drop(store);
    let open = || Store::open(options(&dir.path().join("store"))).unwrap();
    std::fs::remove_file(&tar).unwrap();
    open().layers().get(&layer.diff_id).unwrap();
    assert_eq!(requests(&registry), 1);
    std::fs::remove_file(&tar).unwrap();
    std::fs::remove_file(&blob).unwrap();
    let missing = open().layers().get(&layer.diff_id).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }));
    open()
        .with_fetcher(registry.clone())
        .layers()
        .get(&layer.diff_id)
        .unwrap();
    assert_eq!(requests(&registry), 2);
    std::fs::remove_file(&blob).unwrap();
    open()
        .with_fetcher(registry.clone())
        .blobs()
        .open(&layer.digest)
        .unwrap();
    assert_eq!(requests(&registry), 3);
    assert!(blob.exists());
}

#[test]
fn a_described_image_survives_prunes_as_any_other() {
    let layer = remote(LayerCompression::gzip(), "kept");
    let (dir, store, registry, manifest) = described(&[&layer]);
    *registry.breaks_after.lock().unwrap() = Some(20);
    store.layers().get(&layer.diff_id).unwrap_err();
    drop(store);
    let open = || Store::open(options(&dir.path().join("store"))).unwrap();
    assert_eq!(open().garbage().prune(Some(0)).unwrap().images, 0);
    let store = open().with_fetcher(registry.clone());
    assert_eq!(
        unused_parts(&store),
        1,
        "a fresh part outlives a prune with a budget"
    );
    assert_eq!(
        store.images().find("app").unwrap().manifest_digest,
        manifest
    );
    store.layers().get(&layer.diff_id).unwrap();
    store
        .images()
        .untag(&Reference::parse("app").unwrap())
        .unwrap();
    drop(store);
    std::fs::write(open().fetch().parts().join("left"), b"x").unwrap();
    assert_eq!(open().garbage().prune(None).unwrap().images, 1);
    assert!(open().origins().of(&layer.digest).unwrap().is_empty());
    assert_eq!(unused_parts(&open()), 0);
    assert_eq!(open().fsck(false).unwrap(), []);
}
