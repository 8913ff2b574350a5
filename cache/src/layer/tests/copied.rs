//! Copies of a chain, changed as a RUN would change them.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_oci::Digest;

use crate::tests::{Described, directory, file, paths, store, write_layer};
use crate::{Chain, CommitOptions, CopiedTree, EntryKind, Layer, Meta, Store};

struct Case {
    dir: Arc<tempfile::TempDir>,
    store: Store,
    layers: Vec<Digest>,
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
    let layers = vec![lower.diff_id(), upper.diff_id()];
    Case {
        below: store.layers().chain(&layers).unwrap(),
        copy: store.views().copy_tree(&layers).unwrap(),
        layers,
        store,
        dir: Arc::new(dir),
    }
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.copy.path.join(name)
    }

    fn layer(&mut self) -> Option<Layer> {
        let options = CommitOptions {
            single_id: true,
            ..CommitOptions::default()
        };
        let layers = self.store.layers();
        let layer = layers.commit_copy(&mut self.copy, &self.below, &options);
        layer.unwrap()
    }

    fn paths(&mut self) -> Vec<String> {
        self.layer().map(|layer| paths(&layer)).unwrap_or_default()
    }

    /// The same files, in a new copy.
    fn again(&self) -> Case {
        Case {
            copy: self.store.views().copy_tree(&self.layers).unwrap(),
            layers: self.layers.clone(),
            below: self.below.clone(),
            store: self.store.clone(),
            dir: self.dir.clone(),
        }
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

#[test]
fn a_copy_takes_the_times_of_an_equal_layer() {
    let mut case = case();
    let change = |case: &Case| {
        std::fs::write(case.path("d/new"), "new").unwrap();
        symlink("new", case.path("d/link")).unwrap();
        std::fs::remove_file(case.path("d/g")).unwrap();
    };
    change(&case);
    let later = case.layer().unwrap();
    let mut other = case.again();
    change(&other);
    for name in ["d/new", "d/link", "d"] {
        let old = ["-h", "--date=@1000", &other.path(name).to_string_lossy()].map(str::to_owned);
        let touch = std::process::Command::new("touch").args(old).status();
        assert!(touch.unwrap().success());
    }
    let earlier = other.layer().unwrap();
    assert_eq!(earlier.tree(), later.tree());
    assert_ne!(earlier.diff_id(), later.diff_id());
    let views = case.store.views();
    views.retime(&mut case.copy, &earlier.diff_id()).unwrap();
    for name in ["d/new", "d/link", "d"] {
        let found = std::fs::symlink_metadata(case.path(name)).unwrap();
        assert_eq!(found.mtime(), 1000, "{name}");
    }
    let layers = [&case.layers[..], &[earlier.diff_id()]].concat();
    case.below = case.store.layers().chain(&layers).unwrap();
    assert!(case.paths().is_empty(), "{:?}", case.paths());
}
