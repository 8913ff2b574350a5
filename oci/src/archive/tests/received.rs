//! Layers are handed out once, with what is known of them; whole indexes are kept.

use super::*;
use crate::media_type::OCI_INDEX;

fn seek(tar: &[u8], selection: &Selection) -> (Keeper, Result<Contents, LoadError>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(tar).unwrap();
    let mut keeper = Keeper::default();
    let contents = receive(Input::File(file.path()), selection, &mut keeper);
    (keeper, contents)
}

fn once(tar: &[u8], selection: &Selection) -> (Keeper, Result<Contents, LoadError>) {
    let mut keeper = Keeper::default();
    let contents = receive(Input::Stream(Box::new(tar)), selection, &mut keeper);
    (keeper, contents)
}

#[test]
fn documents_first_tell_all_of_a_stream() {
    let (one, two) = (
        Image::plain(&["base", "one"]),
        Image::plain(&["base", "two"]),
    );
    let index = index_of(&[one.descriptor(), two.descriptor()]);
    let documents = oci(&index)
        .blob(&one.manifest)
        .blob(&one.config)
        .blob(&two.manifest)
        .blob(&two.config);
    let tar = documents
        .blob(&one.blobs[0])
        .blob(&one.blobs[1])
        .blob(&two.blobs[1])
        .end();
    for (keeper, contents) in [once(&tar, &amd64()), seek(&tar, &amd64())] {
        assert_eq!(contents.unwrap().images.len(), 2);
        assert_eq!((keeper.announced, keeper.taken.len()), (3, 3));
        assert!(keeper.taken.iter().all(|layer| layer.diff_id.is_some()));
    }
}

#[test]
fn documents_last_are_compared_at_the_end() {
    let image = Image::new(&[("base", Compression::Gzip), ("top", Compression::None)]);
    let tar = |layers: &[&[u8]]| {
        let first = layers
            .iter()
            .zip(&image.blobs)
            .fold(Tar::default(), |tar, (content, blob)| {
                tar.file(&blob_path(&Digest::of(blob)), content)
            });
        let index = index_of(&[image.descriptor()]);
        first
            .blob(&image.config)
            .blob(&image.manifest)
            .file(INDEX_FILE, index)
            .end()
    };
    let good = tar(&[&image.blobs[0], &image.blobs[1]]);
    let (keeper, contents) = once(&good, &amd64());
    assert_eq!(contents.unwrap().images[0].manifest, image.manifest);
    assert_eq!(keeper.announced, 0);
    assert!(
        keeper
            .taken
            .iter()
            .all(|layer| layer.digest.is_some() && layer.diff_id.is_none())
    );
    let other = compress(&layer("evil"), Compression::Gzip);
    let (_, contents) = once(&tar(&[&other, &image.blobs[1]]), &amd64());
    assert!(matches!(
        contents,
        Err(LoadError::Digest { .. } | LoadError::Size { .. })
    ));
}

#[test]
fn layers_that_no_manifest_can_name_are_taken_as_tars() {
    let image = Image::plain(&["one"]);
    let mut xz = Vec::new();
    liblzma::bufread::XzEncoder::new(&image.tars[0][..], 1)
        .read_to_end(&mut xz)
        .unwrap();
    let entry = image.docker_entry("c.json", "null", &["l.tar".into()]);
    let tar = Tar::default()
        .file("l.tar", &xz)
        .file(DOCKER_FILE, format!("[{entry}]"))
        .file("c.json", &image.config)
        .end();
    for (keeper, contents) in [once(&tar, &amd64()), seek(&tar, &amd64())] {
        assert_eq!(contents.unwrap().images[0].manifest, image.manifest);
        assert_eq!(keeper.taken[0].digest, None);
    }
}

#[test]
fn whole_indexes_are_kept_with_what_is_there() {
    let amd = Image::plain(&["amd"]);
    let arm = Image::for_platform(&[("arm", Compression::None)], "linux/arm64");
    let absent = Image::for_platform(&[("s390x", Compression::None)], "linux/s390x");
    let deep = index_of(&[on(arm.descriptor(), "linux/arm64")]);
    let inner = index_of(&[
        on(absent.descriptor(), "linux/s390x"),
        on(amd.descriptor(), "linux/amd64"),
        Descriptor::of(OCI_INDEX, deep.as_bytes()),
    ]);
    let outer = index_of(&[annotated(
        Descriptor::of(OCI_INDEX, inner.as_bytes()),
        &[(IMAGE_NAME, "docker.io/library/app:v1")],
    )]);
    let tar = oci(&outer)
        .blob(inner.as_bytes())
        .blob(deep.as_bytes())
        .image(&amd)
        .image(&arm)
        .end();
    let whole = |only: Option<&str>| Selection::Whole {
        host: Platform::new("linux", "amd64"),
        only: only.map(|platform| Platform::parse(platform).unwrap()),
    };
    for contents in [once(&tar, &whole(None)).1, seek(&tar, &whole(None)).1] {
        let contents = contents.unwrap();
        let (amd, arm) = (Digest::of(&amd.manifest), Digest::of(&arm.manifest));
        assert_eq!(contents.images.len(), 2);
        assert!(
            contents
                .images
                .iter()
                .all(|image| image.references.is_empty())
        );
        let indexes: Vec<_> = contents
            .indexes
            .iter()
            .map(|index| (index.references.len(), index.manifests.clone()))
            .collect();
        assert_eq!(indexes, [(0, vec![arm]), (1, vec![amd, arm])]);
        assert_eq!(contents.indexes[1].bytes, inner.as_bytes());
    }
    let only = seek(&tar, &whole(Some("arm64"))).1.unwrap();
    assert_eq!(only.images.len(), 1);
    assert_eq!(only.images[0].config, arm.config);
    let none = seek(&tar, &whole(Some("riscv64"))).1;
    assert!(matches!(none, Err(LoadError::Platform { .. })));
}

#[test]
fn a_receipt_says_what_is_left_out() {
    let image = Image::plain(&["base", "top"]);
    let left = |at: usize| LeftOut {
        digest: Digest::of(&image.blobs[at]),
        diff_id: Digest::of(&image.tars[at]),
        size: image.blobs[at].len() as u64,
    };
    let receipt = Receipt {
        version: 1,
        bases: vec!["base:v1".into()],
        layers: vec![left(0)],
    };
    let tar = oci(&index_of(&[image.descriptor()]))
        .file(RECEIPT_FILE, receipt.to_bytes())
        .blob(&image.manifest)
        .blob(&image.config)
        .blob(&image.blobs[1])
        .end();
    for (keeper, contents) in [once(&tar, &amd64()), seek(&tar, &amd64())] {
        let contents = contents.unwrap();
        assert_eq!((keeper.announced, keeper.absent), (1, 1));
        assert_eq!(contents.receipt.as_ref(), Some(&receipt));
        assert!(!contents.images[0].layers[0].present);
    }
}
