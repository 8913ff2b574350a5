//! Layers from outside.

use std::io::Write;

use kiln_oci::Digest;
use kiln_oci::compression::Encoder;
use kiln_oci::tarfile::Kind::{Directory, File};

use crate::inventory::Files;
use crate::tests::{item, store, tar};
use crate::{LayerError, Store, StoreError};

fn layer_tar() -> Vec<u8> {
    let big: &'static str = Box::leak("0123456789abcdef".repeat(100_000).into_boxed_str());
    tar(&[
        item("d", Directory, ""),
        item("d/big", File, big),
        item("d/small", File, "x"),
    ])
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::zstd(Vec::new(), 3, 1).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::gzip(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn nothing_stays(store: &Store) {
    assert!(Files::read(store.root()).unwrap().blobs.is_empty());
    assert!(Files::read(store.root()).unwrap().indexes.is_empty());
    let scratch = store.scratch().path("next").unwrap();
    let scratch = std::fs::read_dir(scratch.parent().unwrap()).unwrap();
    assert_eq!(scratch.count(), 0);
}

#[test]
fn every_encoding_gives_the_same_layer() {
    let plain = layer_tar();
    let diff_id = Digest::of(&plain);
    let (_dir, imported) = store();
    let expected = imported
        .layers()
        .import_tar(&mut plain.as_slice())
        .unwrap()
        .index;
    for blob in [
        plain.clone(),
        gzip(&plain),
        zstd(&plain),
        [gzip(&plain[..1000]), gzip(&plain[1000..])].concat(),
    ] {
        let (_dir, store) = store();
        let digest = Digest::of(&blob);
        let layer = store
            .layers()
            .ingest(&mut blob.as_slice(), &digest, blob.len() as u64, &diff_id)
            .unwrap();
        assert_eq!(layer.index, expected);
        assert_eq!(
            layer.compressed.map(|compressed| compressed.digest),
            (digest != diff_id).then_some(digest)
        );
        assert_eq!(std::fs::read(layer.tar.path()).unwrap(), plain);
        assert!(store.blobs().has(&digest).unwrap());
        // what is held is not read
        let again = store
            .layers()
            .ingest(&mut &b"nothing"[..], &digest, blob.len() as u64, &diff_id)
            .unwrap();
        assert_eq!(
            (again.index, again.compressed),
            (layer.index, layer.compressed)
        );
    }
}

#[test]
fn what_does_not_match_leaves_nothing() {
    let plain = layer_tar();
    for blob in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let (_dir, store) = store();
        let (digest, diff_id, size) = (Digest::of(&blob), Digest::of(&plain), blob.len() as u64);
        let wrong = Digest::of(b"wrong");
        let ingest = |digest, size, diff_id| {
            store
                .layers()
                .ingest(&mut blob.as_slice(), digest, size, diff_id)
        };
        assert!(matches!(
            ingest(&wrong, size, &diff_id),
            Err(StoreError::DigestMismatch { .. })
        ));
        assert!(matches!(
            ingest(&digest, size + 1, &diff_id),
            Err(StoreError::SizeMismatch { .. })
        ));
        assert!(ingest(&digest, size - 1, &diff_id).is_err());
        assert!(matches!(
            ingest(&digest, size, &wrong),
            Err(StoreError::DigestMismatch { .. })
        ));
        let cut = store
            .layers()
            .ingest(&mut &blob[..blob.len() / 2], &digest, size, &diff_id);
        assert!(cut.is_err());
        nothing_stays(&store);
    }
}

#[test]
fn a_compressed_blob_that_is_no_tar_is_an_error() {
    let (_dir, store) = store();
    let text = vec![b'x'; 3_000_000];
    let blob = gzip(&text);
    let refused = store.layers().ingest(
        &mut blob.as_slice(),
        &Digest::of(&blob),
        blob.len() as u64,
        &Digest::of(&text),
    );
    assert!(
        matches!(refused, Err(StoreError::Layer(LayerError::Tar(_)))),
        "{refused:?}"
    );
    nothing_stays(&store);
}
