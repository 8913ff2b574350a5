//! Compressed forms: made once, remembered, given up by a prune and made again.

use kiln_oci::{Compression, Digest, LayerCompression};

use crate::tests::{file, store, write_layer};
use crate::{Chain, Layer, Store};

fn layer(store: &Store) -> Layer {
    let content = "all that glitters ".repeat(100_000);
    let files = vec![file("a", &content, 0o644)];
    write_layer(store, &Chain::new(Vec::new()), &files).unwrap()
}

fn unpacked(store: &Store, digest: &Digest) -> Digest {
    let mut tar = Vec::new();
    let blob = store.blobs().open(digest).unwrap();
    std::io::Read::read_to_end(&mut kiln_oci::compression::auto(blob).unwrap().1, &mut tar)
        .unwrap();
    Digest::of(&tar)
}

#[test]
fn each_form_is_made_once_and_remembered() {
    let (dir, store) = store();
    let layer = layer(&store);
    let diff_id = layer.diff_id();
    let forms = store.forms();
    let plain = forms.compressed(&diff_id, LayerCompression::None).unwrap();
    assert_eq!((plain.digest, plain.size), (diff_id, layer.index.tar_size));
    let mut made = Vec::new();
    for compression in [
        LayerCompression::gzip(),
        LayerCompression::Gzip(1),
        LayerCompression::zstd(),
    ] {
        assert_eq!(forms.remembered(&diff_id, compression).unwrap(), None);
        let form = forms.compressed(&diff_id, compression).unwrap();
        let algorithm = Compression::of_layer(&form.media_type);
        assert_eq!(algorithm, Some(compression.algorithm()));
        assert_eq!(unpacked(&store, &form.digest), diff_id);
        let stat = || store.blobs().path(&form.digest).metadata().unwrap();
        assert_eq!(stat().len(), form.size);
        let modified = stat().modified().unwrap();
        let again = forms.compressed(&diff_id, compression).unwrap();
        assert_eq!((&again, stat().modified().unwrap()), (&form, modified));
        made.push(form);
    }
    assert_eq!(store.garbage().usage().unwrap().compressed.count, 3);
    assert_eq!(store.fsck(false).unwrap(), []);
    drop(store);
    let store = Store::open(crate::tests::options(&dir.path().join("store"))).unwrap();
    let again = store.forms().compressed(&diff_id, LayerCompression::zstd());
    assert_eq!(again.unwrap(), made[2]);
}

#[test]
fn a_prune_takes_forms_of_layers_that_stay_and_they_come_again_with_the_same_bytes() {
    let (dir, store) = store();
    let layer = layer(&store);
    let diff_id = layer.diff_id();
    let image = crate::image::tests::put(&store, &[&layer]);
    store
        .images()
        .tag(&kiln_oci::Reference::parse("app").unwrap(), &image)
        .unwrap();
    let form = store
        .forms()
        .compressed(&diff_id, LayerCompression::gzip())
        .unwrap();
    drop(store);
    let store = Store::open(crate::tests::options(&dir.path().join("store"))).unwrap();
    assert_eq!(
        store.garbage().usage().unwrap().compressed.reclaimable,
        form.size
    );
    store.garbage().prune(None).unwrap();
    assert!(store.blobs().has(&diff_id).unwrap() && !store.blobs().has(&form.digest).unwrap());
    assert_eq!(store.fsck(false).unwrap(), []);
    assert_eq!(
        store
            .forms()
            .remembered(&diff_id, LayerCompression::gzip())
            .unwrap()
            .as_ref(),
        Some(&form)
    );
    assert_eq!(
        store
            .forms()
            .compressed(&diff_id, LayerCompression::gzip())
            .unwrap(),
        form
    );
    // what this process pinned stays
    store.garbage().prune(None).unwrap();
    assert!(store.blobs().has(&form.digest).unwrap());
}

#[test]
fn a_layer_that_came_compressed_keeps_its_bytes() {
    let (_dir, store) = store();
    let tar = crate::tests::tar(&[crate::tests::item(
        "f",
        kiln_oci::tarfile::Kind::File,
        "text",
    )]);
    let mut encoder = kiln_oci::compression::Encoder::gzip(Vec::new(), 1);
    std::io::Write::write_all(&mut encoder, &tar).unwrap();
    let blob = encoder.finish().unwrap();
    let (digest, diff_id) = (Digest::of(&blob), Digest::of(&tar));
    store
        .layers()
        .ingest(&mut &blob[..], &digest, blob.len() as u64, &diff_id)
        .unwrap();
    let gzip = store
        .forms()
        .compressed(&diff_id, LayerCompression::Gzip(9))
        .unwrap();
    assert_eq!((gzip.digest, gzip.size), (digest, blob.len() as u64));
    let zstd = store
        .forms()
        .compressed(&diff_id, LayerCompression::zstd())
        .unwrap();
    assert_ne!(zstd.digest, digest);
    assert_eq!(unpacked(&store, &zstd.digest), diff_id);
}
