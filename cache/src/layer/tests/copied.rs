//! Copies of a chain, changed as a RUN would change them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use crate::tests::{Described, directory, file, paths, store, write_layer};
use crate::{Chain, CommitOptions, CopiedTree, EntryKind, Meta, Store};

struct Case {
    _dir: tempfile::TempDir,
    store: Store,
    below: Chain,
    copy: CopiedTree,
}

fn base() -> Described {
    vec![
        directory("d", 0o755),
        file("d/f", "text", 0o644),
        file("d/g", "other", 0o644),
        directory("d/sub", 0o755),
        file("d/sub/x", "x", 0o600),
        file("gone", "", 0o644),
    ]
}

/// A copy of two layers, in the upper of which a file has two names and `gone` is gone.
fn case() -> Case {
    let (dir, store) = store();
    let lower = write_layer(&store, &Chain::new(Vec::new()), &base()).unwrap();
    let below = store.layers().chain(&[lower.diff_id()]).unwrap();
    let mut writer = store.layers().writer(&below).unwrap();
    let meta = Meta::root(0o644, 100);
    writer.file(b"a", &meta, 4, &mut &b"same"[..]).unwrap();
    writer.hardlink(b"b", b"a").unwrap();
    let device = EntryKind::Char { major: 1, minor: 3 };
    writer.special(b"device", &meta, &device).unwrap();
    writer.whiteout(b"gone").unwrap();
    let upper = writer.finish().unwrap().unwrap();
    let layers = [lower.diff_id(), upper.diff_id()];
    Case {
        below: store.layers().chain(&layers).unwrap(),
        copy: store.views().copy_tree(&layers).unwrap(),
        store,
        _dir: dir,
    }
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.copy.path.join(name)
    }

    fn paths(&mut self) -> Vec<String> {
        let options = CommitOptions {
            single_id: true,
            ..CommitOptions::default()
        };
        let layers = self.store.layers();
        let layer = layers.commit_copy(&mut self.copy, &self.below, &options);
        let layer = layer.unwrap();
        layer.map(|layer| paths(&layer)).unwrap_or_default()
    }
}

#[test]
fn an_untouched_copy_is_no_layer() {
    let mut case = case();
    assert!(!case.path("gone").exists(), "the copy is merged");
    // also where this process may not make the device
    assert!(case.paths().is_empty(), "{:?}", case.paths());
}

#[test]
fn only_differences_are_written() {
    let mut case = case();
    std::fs::write(case.path("d/f"), "TEXT").unwrap();
    std::fs::remove_dir_all(case.path("d/sub")).unwrap();
    symlink("d", case.path("link")).unwrap();
    assert_eq!(case.paths(), ["d d", "f d/f", "w d/sub", "l link"]);
}

#[test]
fn a_directory_in_the_place_of_a_file_and_a_file_in_that_of_a_directory() {
    let mut case = case();
    std::fs::remove_file(case.path("d/g")).unwrap();
    std::fs::create_dir(case.path("d/g")).unwrap();
    std::fs::remove_dir_all(case.path("d/sub")).unwrap();
    std::fs::write(case.path("d/sub"), "").unwrap();
    assert_eq!(case.paths(), ["d d", "d d/g", "f d/sub"]);
}

#[test]
fn names_of_one_inode_are_written_together() {
    let mut case = case();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(case.path("a"), mode).unwrap();
    assert_eq!(case.paths(), ["f a", "f b"]);
    let mut case = self::case();
    std::fs::hard_link(case.path("a"), case.path("c")).unwrap();
    assert_eq!(
        case.paths(),
        ["f c"],
        "as overlayfs, which takes the name that is copied from its inode"
    );
    let mut case = self::case();
    std::fs::remove_file(case.path("a")).unwrap();
    assert_eq!(case.paths(), ["w a"]);
    let mut case = self::case();
    std::fs::hard_link(case.path("d/f"), case.path("d/new")).unwrap();
    assert_eq!(case.paths(), ["d d", "f d/f", "f d/new"]);
}
