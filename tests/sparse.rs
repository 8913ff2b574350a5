//! Files with holes: they take no more space in the store than in the context, and their bytes are those of a file that is full of zeros.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::support::{Space, cases};

cases! {
    holes_take_no_space,
}

const LENGTH: u64 = 64 << 20;

/// Bytes that a folder takes on the disk. What belongs to subordinate ids, as folders of views do, is closed to the user.
fn used(folder: &Path) -> u64 {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return 0,
        entries => entries.unwrap(),
    };
    let sizes = entries
        .flatten()
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => used(&entry.path()),
            false => entry.metadata().unwrap().blocks() * 512,
        });
    sizes.sum()
}

fn holes_take_no_space(space: &Space) {
    let path = space.write("file", "begin");
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"middle", LENGTH / 2 - 3).unwrap();
    file.set_len(LENGTH).unwrap();
    let build = || {
        let build = space.build("FROM tools\nCOPY file /\nRUN wc -c < /file\n");
        build.env("SOURCE_DATE_EPOCH", "1").arg("--no-cache").ok()
    };
    let built = build();
    assert_eq!(built.output(), [LENGTH.to_string()]);
    // the blob and what RUN sees of it
    assert!(used(&space.store()) < LENGTH, "{}", used(&space.store()));
    let holes = space.id("app");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(fs::metadata(&path).unwrap().blocks() * 512 >= LENGTH);
    build();
    assert_eq!(space.id("app"), holes);
    let output = space.own_folder("out");
    space
        .build("FROM scratch\nCOPY file /\n")
        .arg("-o")
        .arg(&output)
        .ok();
    assert!(used(&output) < LENGTH / 2, "{}", used(&output));
    assert_eq!(fs::read(output.join("file")).unwrap(), bytes);
}
