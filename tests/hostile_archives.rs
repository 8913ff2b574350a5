//! Archives whose files and documents were made to do harm: each is refused with a clear message, in little memory, and the store is
//! as it was before. Each comes as a file and through a pipe.

use kiln_oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use kiln_oci::tarfile::Kind;
use kiln_oci::{Descriptor, Digest, Index, LayerCompression};

use crate::support::hostile::{begin, load, refused, tar_of};
use crate::support::tar::{Layers, Tar};
use crate::support::{Space, plain_cases};

plain_cases! {
    names_of_the_archive_stay_inside,
    links_of_the_archive_stay_inside,
    documents_are_files,
    wrong_sizes_and_digests,
    huge_documents,
    deep_documents,
    names_that_are_no_text,
    manifests_that_are_indexes_at_once,
    indexes_that_go_in_circles,
}

/// A good image's layout, for more to be added.
fn layout(space: &Space) -> Tar {
    begin(space);
    let archive = Layers::new(&[tar_of("evil")], LayerCompression::None).archive();
    Tar(archive[..archive.len() - 1024].to_vec())
}

fn names_of_the_archive_stay_inside(space: &Space) {
    for name in ["../evil", "blobs/../../evil", "/../etc/evil"] {
        refused(
            space,
            &layout(space).file(name, "x").end(),
            &["not allowed"],
        );
    }
}

fn links_of_the_archive_stay_inside(space: &Space) {
    for (kind, link) in [
        (Kind::Symlink, "/../etc/passwd"),
        (Kind::Symlink, "../../etc/passwd"),
        (Kind::HardLink, "../etc/passwd"),
        (Kind::HardLink, "/../etc/passwd"),
    ] {
        let archive = layout(space).entry("a/link", kind, link).end();
        refused(space, &archive, &["leaves the archive", "not allowed"]);
    }
}

fn documents_are_files(space: &Space) {
    for kind in [Kind::CharDevice, Kind::BlockDevice, Kind::Fifo] {
        let archive = layout(space).entry("more", kind, "").end();
        refused(space, &archive, &["devices and pipes"]);
    }
    let folder = Tar::default()
        .entry("index.json", Kind::Directory, "")
        .end();
    refused(space, &folder, &["no image archive"]);
    // In a folder they are not even opened.
    let layout = space.own_folder("own/layout");
    crate::support::Kiln::of("mkfifo", None)
        .arg(layout.join("index.json"))
        .ok();
    space
        .kiln(["load", "-i"])
        .arg(&layout)
        .exits(1)
        .says(&["no image archive"]);
    let twice = Tar::default()
        .file("index.json", "{}")
        .file("index.json", "[]")
        .end();
    refused(space, &twice, &["twice"]);
}

fn wrong_sizes_and_digests(space: &Space) {
    begin(space);
    let good = Layers::new(&[tar_of("one"), tar_of("two")], LayerCompression::Gzip(6));
    let manifest = String::from_utf8(good.manifest.clone()).unwrap();
    let longer = manifest.replacen("\"size\":", "\"size\":1", 3);
    let size = rebuilt(&good, longer.as_bytes());
    refused(space, &size, &["bytes instead of"]);
    let archive = good.archive();
    let blob = &good.blobs[1];
    let at = archive
        .windows(blob.len())
        .position(|part| part == blob)
        .unwrap();
    for offset in [12, blob.len() / 2, blob.len() - 1] {
        let mut damaged = archive.clone();
        damaged[at + offset] ^= 0x10;
        refused(space, &damaged, &["digest", "cannot be read", "bytes, not"]);
    }
    for what in [&good.manifest, &good.config] {
        let mut damaged = archive.clone();
        let at = archive
            .windows(what.len())
            .position(|part| part == &what[..])
            .unwrap();
        damaged[at + what.len() - 1] = b' ';
        refused(space, &damaged, &["corrupt"]);
    }
}

/// The layout of an image with another manifest.
fn rebuilt(image: &Layers, manifest: &[u8]) -> Vec<u8> {
    let mut descriptor = Descriptor::of(OCI_MANIFEST, manifest);
    descriptor.annotations.insert(
        "io.containerd.image.name".into(),
        "docker.io/library/evil:latest".into(),
    );
    let index = Index::of(vec![descriptor]).to_bytes();
    let blobs = [manifest, &image.config].into_iter();
    let blobs = blobs.chain(image.blobs.iter().map(Vec::as_slice));
    blobs
        .fold(Tar::default().file("index.json", index), |tar, blob| {
            tar.file(format!("blobs/sha256/{}", Digest::of(blob).hex()), blob)
        })
        .end()
}

fn huge_documents(space: &Space) {
    begin(space);
    let good = Layers::new(&[tar_of("one")], LayerCompression::None);
    let mut padded = good.manifest.clone();
    padded.resize(5 << 20, b' ');
    refused(space, &rebuilt(&good, &padded), &["more than 4194304"]);
    let index = vec![b' '; 5 << 20];
    let archive = Tar::default().file("index.json", &index).end();
    refused(
        space,
        &archive,
        &["more than 4194304", "not what it is used for"],
    );
    let many = (0..20).fold(Tar::default(), |tar, number| {
        tar.file(format!("more/{number}"), vec![b'['; (4 << 20) - 1])
    });
    for ended in load(space, &many.end()) {
        assert_eq!(ended.status.code(), Some(1), "{ended}");
    }
}

fn deep_documents(space: &Space) {
    begin(space);
    let good = Layers::new(&[tar_of("one")], LayerCompression::None);
    let manifest = String::from_utf8(good.manifest.clone()).unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = manifest.replacen('{', &format!("{{\"x\":{deep},"), 1);
    refused(
        space,
        &rebuilt(&good, deep.as_bytes()),
        &["recursion limit"],
    );
}

fn names_that_are_no_text(space: &Space) {
    refused(
        space,
        &layout(space).file(b"blobs/\xff\xfe", "x").end(),
        &["not UTF-8"],
    );
    let tar = Tar::default().file(b"\xff\x1b[31mred", "x").end();
    let archive = Layers::new(&[tar], LayerCompression::None).archive();
    for ended in load(space, &archive) {
        assert_eq!(ended.status.code(), Some(0), "{ended}");
        assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'));
    }
}

fn manifests_that_are_indexes_at_once(space: &Space) {
    begin(space);
    let good = Layers::new(&[tar_of("one")], LayerCompression::None);
    let manifest = String::from_utf8(good.manifest.clone()).unwrap();
    let both = manifest.replacen('{', "{\"manifests\":[],", 1);
    refused(
        space,
        &rebuilt(&good, both.as_bytes()),
        &["another kind of document"],
    );
    let typed = manifest.replacen(OCI_MANIFEST, OCI_INDEX, 1);
    refused(
        space,
        &rebuilt(&good, typed.as_bytes()),
        &["another kind of document"],
    );
}

fn indexes_that_go_in_circles(space: &Space) {
    begin(space);
    let good = Layers::new(&[tar_of("one")], LayerCompression::None);
    let mut documents = vec![good.manifest.clone(), good.config.clone()];
    let mut descriptor = Descriptor::of(OCI_MANIFEST, &good.manifest);
    for _ in 0..30 {
        // Each lists the one below many times: a tree of 50 to the 30th.
        let index = Index::of(vec![descriptor; 50]).to_bytes();
        descriptor = Descriptor::of(OCI_INDEX, &index);
        documents.push(index);
    }
    let index = Index::of(vec![descriptor]).to_bytes();
    let tar = documents
        .iter()
        .fold(Tar::default().file("index.json", index), |tar, blob| {
            tar.file(format!("blobs/sha256/{}", Digest::of(blob).hex()), blob)
        });
    let blob = &good.blobs[0];
    let tar = tar.file(format!("blobs/sha256/{}", Digest::of(blob).hex()), blob);
    refused(
        space,
        &tar.end(),
        &["indexes inside one another", "bytes of manifests"],
    );
}
