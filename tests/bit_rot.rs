//! A bit of a blob flips on the disk after kiln has written it: whoever reads the blob says so, the blob goes, and the next build makes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::registry::{Guard, Registry};
use crate::support::{Finished, Space, cases, plain_cases};

cases! {
    a_run_on_a_damaged_layer,
}

plain_cases! {
    readers_of_a_damaged_layer,
    builds_on_a_damaged_layer,
    a_damaged_layer_is_not_pushed,
    damaged_documents,
}

/// What the file in the layer holds.
const WORDS: &str = "the quick brown fox jumps over the lazy dog";
const TEXT: &str = "FROM tools\nCOPY words /words\n";

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let below = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => files_below(&entry.path()),
        false => vec![entry.path()],
    };
    entries.flat_map(below).collect()
}

/// Flips a bit of the blob that holds the text, within the text, and leaves all else as it is.
fn flip(space: &Space, text: &str) {
    let blobs = files_below(&space.store().join("blobs"));
    let found = blobs.iter().find_map(|path| {
        let bytes = fs::read(path).unwrap();
        let at = memchr::memmem::find(&bytes, text.as_bytes())?;
        Some((path, bytes, at))
    });
    let (path, mut bytes, at) = found.expect("no blob holds the text");
    bytes[at + 4] ^= 1;
    let mut permissions = fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(path, permissions).unwrap();
    fs::write(path, bytes).unwrap();
}

fn build(space: &Space) {
    space.write("words", WORDS);
    space.build(TEXT).args(["-t", "image"]).ok();
}

/// The command fails for the damage, and after it the same build gives a sound image.
fn told(space: &Space, failed: &Finished) {
    failed.says(&["damaged"]).never_says(&["bug in kiln"]);
    space.kiln(["fsck", "--repair"]).run();
    build(space);
    space.is_clean();
    assert_eq!(space.image("image").text("words"), WORDS);
}

fn readers_of_a_damaged_layer(space: &Space) {
    build(space);
    let own = space.own();
    let (tar, archive) = (own.join("out.tar"), own.join("image.tar"));
    let (tar, archive) = (tar.to_str().unwrap(), archive.to_str().unwrap());
    let readers: [&[&str]; 4] = [
        &["export", "image", "-o", tar],
        &["save", "image", "-o", archive],
        &["save", "image", "--compress", "gzip", "-o", archive],
        &["save", "image", "--format", "oci-archive", "-o", archive],
    ];
    for reader in readers {
        flip(space, WORDS);
        told(space, &space.kiln(reader).exits(3));
        assert!(!Path::new(tar).exists() && !Path::new(archive).exists());
    }
}

fn builds_on_a_damaged_layer(space: &Space) {
    build(space);
    let own = space.own_folder("out");
    let to = |kind: &str| format!("type={kind},dest={}", own.join(kind).display());
    let (tar, oci) = (to("tar"), to("oci"));
    let local = own.join("local").display().to_string();
    let cases: [(&str, &[&str]); 5] = [
        ("FROM image\n", &["-o", &tar]),
        ("FROM image\n", &["-o", &oci]),
        ("FROM image\n", &["-o", &local]),
        ("FROM tools\nCOPY --from=image /words /copied\n", &[]),
        (
            "FROM tools\nCOPY words /words\nLABEL a=b\nCOPY words /again\n",
            &["--squash"],
        ),
    ];
    for (text, flags) in cases {
        flip(space, WORDS);
        told(space, &space.build(text).args(flags).exits(3));
    }
    assert!(!own.join("tar").exists() && !own.join("oci").exists());
}

fn a_run_on_a_damaged_layer(space: &Space) {
    build(space);
    flip(space, WORDS);
    let failed = space.build("FROM image\nRUN echo ran\n").exits(3);
    told(space, failed.never_says(&["kiln doctor"]));
    // a large file is copied in pieces
    let sentence = "sphinx of black quartz, judge my vow";
    space.write("words", sentence.repeat(20_000));
    space.build(TEXT).args(["-t", "image"]).ok();
    flip(space, sentence);
    let failed = space.build("FROM image\nRUN echo ran\n").exits(3);
    failed.says(&["damaged, in words"]);
}

fn a_damaged_layer_is_not_pushed(space: &Space) {
    build(space);
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/team/app:1", registry.host);
    space.kiln(["tag", "image", &name]).ok();
    flip(space, WORDS);
    told(space, &space.kiln(["push", &name]).exits(3));
    assert_eq!(registry.count("PUT", "team/app/manifests/"), 0);
}

fn damaged_documents(space: &Space) {
    build(space);
    // of the config and of the manifest
    for text in ["\"diff_ids\"", "\"schemaVersion\""] {
        flip(space, text);
        let shown = space.kiln(["inspect", "image"]).exits(3);
        told(space, &shown);
    }
}
