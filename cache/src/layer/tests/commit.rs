//! Uppers made by hand, as overlayfs leaves them.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

use crate::tests::{Described, directory, file, is_root, paths, store, write_layer};
use crate::{Chain, CommitError, CommitOptions, CommittedUpper, Store, Times};

struct Case {
    _dir: tempfile::TempDir,
    store: Store,
    below: Chain,
    upper: PathBuf,
}

/// An upper over a small base, its times those of the base.
fn case(base: Described) -> Case {
    let (dir, store) = store();
    let layer = write_layer(&store, &Chain::new(Vec::new()), &base).unwrap();
    let below = store.layers().chain(&[layer.diff_id()]).unwrap();
    let upper = store.views().new_upper(&below).unwrap().upper;
    Case {
        _dir: dir,
        store,
        below,
        upper,
    }
}

fn base() -> Described {
    vec![
        directory("d", 0o755),
        file("d/f", "text", 0o644),
        file("d/g", "other", 0o644),
        directory("e", 0o700),
        file("x", "x", 0o600),
    ]
}

impl Case {
    fn commit(&self, options: CommitOptions) -> CommittedUpper {
        self.store
            .layers()
            .commit_upper(&self.upper, &self.below, &options)
            .unwrap()
    }

    fn paths(&self) -> Vec<String> {
        self.commit(CommitOptions::default())
            .layer
            .map(|layer| paths(&layer))
            .unwrap_or_default()
    }

    fn write(&self, path: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.upper.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set_time(&path, 100);
        path
    }

    fn whiteout(&self, path: &str) {
        let path = self.upper.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    }
}

fn set_time(path: &Path, seconds: u64) {
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
        .unwrap();
}

#[test]
fn an_untouched_upper_is_no_layer() {
    let case = case(base());
    assert!(case.paths().is_empty());
}

#[test]
fn what_is_as_below_is_dropped() {
    let case = case(base());
    case.write("d/f", "text", 0o644);
    set_time(&case.upper.join("d"), 100);
    assert!(case.paths().is_empty());
    // the same size and time, but other bytes
    case.write("d/g", "OTHER", 0o644);
    set_time(&case.upper.join("d"), 100);
    assert_eq!(case.paths(), ["d d", "f d/g"]);
}

#[test]
fn times_of_directories_alone_are_nothing() {
    let case = case(base());
    std::fs::create_dir(case.upper.join("d")).unwrap();
    assert!(case.paths().is_empty());
    case.write("new", "", 0o644);
    assert_eq!(case.paths(), ["d d", "f new"]);
}

#[test]
fn a_changed_mode_or_owner_is_kept() {
    if !is_root() {
        return;
    }
    let case = case(base());
    case.write("x", "x", 0o640);
    let owned = case.write("d/f", "text", 0o644);
    chown(&owned, Some(7), Some(8)).unwrap();
    set_time(&case.upper.join("d"), 100);
    let committed = case.commit(CommitOptions::default());
    let layer = committed.layer.unwrap();
    assert_eq!(paths(&layer), ["d d", "f d/f", "f x"]);
    let entry = layer.index.tree.get(b"d/f").unwrap();
    assert_eq!((entry.uid, entry.gid), (7, 8));
    // with one id the owners on disk mean nothing
    let single = case.commit(CommitOptions {
        single_id: true,
        ..CommitOptions::default()
    });
    assert_eq!(paths(&single.layer.unwrap()), ["f x"]);
}

#[test]
fn whiteouts_over_nothing_are_dropped() {
    if !is_root() {
        return;
    }
    let case = case(base());
    for path in ["d/f", "d/none", "gone", "new/x"] {
        case.whiteout(path);
    }
    assert_eq!(case.paths(), ["d d", "w d/f", "d new"]);
}

#[test]
fn an_opaque_directory_hides_what_is_below() {
    if !is_root() {
        return;
    }
    let case = case(base());
    for name in ["d", "e"] {
        let path = case.upper.join(name);
        std::fs::create_dir(&path).unwrap();
        setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        setxattr(&path, "trusted.overlay.impure", b"y", XattrFlags::empty()).unwrap();
    }
    // as below, and what does not show through any more is deleted by its name
    case.write("d/f", "text", 0o644);
    let committed = case.commit(CommitOptions::default());
    assert!(committed.excess.is_none(), "it is no view of the layer");
    let layer = committed.layer.unwrap();
    assert_eq!(paths(&layer), ["d d", "w d/g", "d e"]);
    assert!(
        layer
            .index
            .tree
            .entries()
            .iter()
            .all(|entry| entry.xattrs.is_empty())
    );
    let merged = case.below.with(layer.origin().0, layer.origin().1);
    assert!(merged.lookup(b"d/g").is_none() && merged.lookup(b"d/f").is_some());
}

#[test]
fn hard_links_are_one_inode() {
    let case = case(base());
    let first = case.write("d/z", "shared", 0o644);
    std::fs::hard_link(&first, case.upper.join("a")).unwrap();
    symlink("target", case.upper.join("l")).unwrap();
    let layer = case.commit(CommitOptions::default()).layer.unwrap();
    assert_eq!(paths(&layer), ["f a", "d d", "f d/z", "l l"]);
    let group = |path: &[u8]| layer.index.tree.get(path).unwrap().links;
    assert!(group(b"a") != 0 && group(b"a") == group(b"d/z") && group(b"l") == 0);
    let view = store_view(&case, &layer);
    assert_eq!(
        std::fs::metadata(view.join("a")).unwrap().ino(),
        std::fs::metadata(view.join("d/z")).unwrap().ino()
    );
}

fn store_view(case: &Case, layer: &crate::Layer) -> PathBuf {
    let view = case.store.views().get(&[layer.diff_id()]).unwrap();
    view.lowers[0].path().to_owned()
}

#[test]
fn sockets_are_left_out() {
    let case = case(base());
    let _listener = UnixListener::bind(case.upper.join("s")).unwrap();
    case.write("new", "", 0o644);
    let committed = case.commit(CommitOptions::default());
    assert_eq!(paths(&committed.layer.unwrap()), ["f new"]);
    assert_eq!(committed.excess.unwrap().len(), 1);
}

#[test]
fn real_whiteout_names_are_explained() {
    let case = case(base());
    case.write("d/.wh.x", "", 0o644);
    let error = case
        .store
        .layers()
        .commit_upper(&case.upper, &case.below, &CommitOptions::default())
        .unwrap_err();
    assert!(
        matches!(&error, CommitError::WhiteoutName { path } if path == "d/.wh.x"),
        "{error}"
    );
}

#[test]
fn times_are_clamped_or_set() {
    let case = case(base());
    case.write("new", "", 0o644);
    let old = File::create(case.upper.join("old")).unwrap();
    old.set_modified(UNIX_EPOCH + Duration::from_secs(7))
        .unwrap();
    let mtimes = |times| {
        let layer = case.commit(with(times)).layer.unwrap();
        [&b"new"[..], b"old"].map(|path| layer.index.tree.get(path).unwrap().mtime)
    };
    assert_eq!(mtimes(Times::Clamped(50)), [50, 7]);
    assert_eq!(mtimes(Times::Set(50)), [50, 50]);
}

#[test]
fn a_file_whose_time_becomes_that_of_below_is_the_file_of_below() {
    let case = case(base());
    let touched = case.write("x", "x", 0o600);
    let file = File::options().write(true).open(touched).unwrap();
    let mtime = case.below.lookup(b"x").unwrap().entry.mtime;
    let later = Duration::from_secs(mtime.unsigned_abs() + 1);
    file.set_modified(UNIX_EPOCH + later).unwrap();
    let is_kept = |times| case.commit(with(times)).layer.is_some();
    assert!(is_kept(Times::Kept));
    assert!(is_kept(Times::Clamped(mtime + 1)));
    assert!(!is_kept(Times::Clamped(mtime)) && !is_kept(Times::Set(mtime)));
}

fn with(times: Times) -> CommitOptions {
    CommitOptions {
        times,
        ..CommitOptions::default()
    }
}

#[test]
fn a_file_that_replaces_a_directory_and_the_reverse() {
    let case = case(base());
    case.write("d", "now a file", 0o644);
    case.write("x/inside", "", 0o644);
    let layer = case.commit(CommitOptions::default()).layer.unwrap();
    assert_eq!(paths(&layer), ["f d", "d x", "f x/inside"]);
    let merged = case.below.with(layer.origin().0, layer.origin().1);
    assert!(merged.lookup(b"d/f").is_none() && merged.lookup(b"x/inside").is_some());
}

#[test]
fn a_deep_tree_needs_no_stack() {
    let case = case(base());
    let path: PathBuf = std::iter::repeat_n("a", 1500).collect();
    std::fs::create_dir_all(case.upper.join(&path)).unwrap();
    assert_eq!(case.paths().len(), 1500);
    case.store.scratch().discard(&case.upper).unwrap();
    case.store.settle().unwrap();
    assert_eq!(
        std::fs::read_dir(case.store.root().join("trash"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_adopted_upper_is_the_view() {
    let case = case(base());
    case.write("new", "content", 0o644);
    let layer = case.commit(CommitOptions::default()).layer.unwrap();
    let upper = crate::Upper {
        upper: case.upper.clone(),
        work: case.upper.with_file_name("work"),
    };
    let path = case
        .store
        .views()
        .adopt(&upper, &[], &layer.diff_id())
        .unwrap();
    assert_eq!(store_view(&case, &layer), path);
    assert_eq!(
        std::fs::read_to_string(path.join("new")).unwrap(),
        "content"
    );
    assert!(!upper.work.exists());
}

/// Another process has made the view meanwhile, and the next step has the upper mounted.
#[test]
fn an_upper_that_is_no_view_stays_for_its_mounts() {
    let case = case(base());
    case.write("new", "content", 0o644);
    let layer = case.commit(CommitOptions::default()).layer.unwrap();
    let path = store_view(&case, &layer);
    let upper = crate::Upper {
        upper: case.upper.clone(),
        work: case.upper.with_file_name("work"),
    };
    let adopted = case.store.views().adopt(&upper, &[], &layer.diff_id());
    assert_eq!(adopted.unwrap(), path);
    case.store.settle().unwrap();
    let kept = std::fs::read_to_string(upper.upper.join("new"));
    assert_eq!(kept.unwrap(), "content");
}

#[test]
fn a_view_shows_its_layer_alone() {
    let case = case(base());
    case.write("new", "content", 0o644);
    // as below: copied up, and not changed
    case.write("d/f", "text", 0o644);
    set_time(&case.upper.join("d"), 100);
    let committed = case.commit(CommitOptions::default());
    let layer = committed.layer.unwrap();
    assert_eq!(paths(&layer), ["f new"]);
    let upper = crate::Upper {
        upper: case.upper.clone(),
        work: case.upper.with_file_name("work"),
    };
    let excess = committed.excess.unwrap();
    let views = case.store.views();
    let view = views.adopt(&upper, &excess, &layer.diff_id()).unwrap();
    let shown = std::fs::read_dir(view).unwrap();
    let shown: Vec<_> = shown.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(shown, ["new"]);
}

#[test]
fn equal_layers_are_one_lower() {
    let case = case(base());
    case.write("new", "content", 0o644);
    let above = case
        .commit(CommitOptions::default())
        .layer
        .unwrap()
        .diff_id();
    let below = case.below.layers().len();
    assert_eq!(below, 1);
    let first = write_layer(&case.store, &Chain::new(Vec::new()), &base())
        .unwrap()
        .diff_id();
    let view = case.store.views().get(&[first, above, first]).unwrap();
    let paths: Vec<_> = view.lowers.iter().map(crate::Lower::path).collect();
    let views = case.store.views();
    assert_eq!(paths, [views.path(&first), views.path(&above)]);
}
