//! Loads archives that were made to do harm, and looks at what they left behind. Unaware of what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_oci::LayerCompression;

use super::tar::{Layers, Tar};
use super::{Finished, Space};

/// Kilobytes of address space that kiln gets: far more than it needs, far less than what it is asked for.
pub const MEMORY: u64 = 1_200_000;

/// Files below a folder with their sizes; the database changes when it is looked at.
pub fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else if !path.to_string_lossy().contains("kiln.db") {
            found.push((path.clone(), fs::metadata(&path).unwrap().len()));
        }
    }
    found.sort();
    found
}

/// A tar of one file.
pub fn tar_of(content: &str) -> Vec<u8> {
    Tar::default().file("file", content).end()
}

/// A store with an image in it.
pub fn begin(space: &Space) {
    let good = Layers::new(&[tar_of("good")], LayerCompression::None).archive();
    space.kiln(["load", "-q"]).stdin(good).ok();
}

/// Loads in little memory, as a file and through a pipe.
pub fn load(space: &Space, archive: &[u8]) -> [Finished; 2] {
    let path = space.write_in("own", "evil.tar", archive);
    let limited = |how: &str| {
        let script = format!("ulimit -v {MEMORY}; {how}");
        space.shell(&script).env("EVIL", &path).run()
    };
    [
        limited("exec kiln load -i \"$EVIL\""),
        limited("cat \"$EVIL\" | kiln load"),
    ]
}

/// It is refused, with one of these texts, and nothing has changed.
#[track_caller]
pub fn refused(space: &Space, archive: &[u8], says: &[&str]) {
    let before = (listing(&space.store()), names(space));
    for ended in load(space, archive) {
        assert!(matches!(ended.status.code(), Some(1 | 3)), "{ended}");
        assert!(
            says.iter().any(|text| ended.stderr.contains(text)),
            "{says:?}: {ended}"
        );
        ended.never_says(&["panicked", "memory allocation"]);
        assert_eq!((listing(&space.store()), names(space)), before);
    }
    space.is_clean();
}

/// The images of the store.
pub fn names(space: &Space) -> String {
    space.kiln(["images", "--no-trunc", "-q"]).ok().stdout
}

/// Makes the first header one of another type.
pub fn retype(tar: &mut [u8], flag: u8) {
    tar[156] = flag;
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
