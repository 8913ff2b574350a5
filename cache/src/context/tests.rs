//! Scans of real folders.

use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::context::{Decision, ScanOptions, from_list, scan};
use crate::tests::store;
use crate::{ContentDigest, ContextTree, Entry, EntryKind, Store};

fn all(_: &[u8], _: bool) -> Decision {
    Decision::Keep
}

fn scanned(root: &Path, store: Option<&Store>, later: u64) -> ContextTree {
    let now = SystemTime::now() + Duration::from_secs(later);
    scan(root, &all, &ScanOptions { store, now }).unwrap()
}

fn paths(context: &ContextTree) -> Vec<String> {
    context
        .tree
        .entries()
        .iter()
        .map(|entry| crate::path::display(&entry.path))
        .collect()
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("src/deep")).unwrap();
    for (path, content) in [("a", "1"), ("src/b", "22"), ("src/deep/c", "333")] {
        std::fs::write(dir.path().join(path), content).unwrap();
    }
    symlink("../outside", dir.path().join("src/link")).unwrap();
    dir
}

fn entry<'a>(context: &'a ContextTree, path: &str) -> &'a Entry {
    context.tree.get(path.as_bytes()).unwrap()
}

#[test]
fn everything_is_found_and_belongs_to_root() {
    let dir = folder();
    std::fs::hard_link(dir.path().join("a"), dir.path().join("src/a2")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let context = scanned(dir.path(), None, 0);
    assert_eq!(
        paths(&context),
        [
            "a",
            "src",
            "src/a2",
            "src/b",
            "src/deep",
            "src/deep/c",
            "src/link"
        ]
    );
    assert_eq!((context.files, context.bytes, context.digested), (4, 7, 4));
    assert!(
        context
            .tree
            .entries()
            .iter()
            .all(|entry| (entry.uid, entry.gid) == (0, 0))
    );
    assert_eq!(
        (
            entry(&context, "a").links,
            entry(&context, "src/a2").links,
            entry(&context, "src/b").links
        ),
        (1, 1, 0)
    );
    let mut text = String::new();
    context
        .chain
        .read(&context.chain.lookup(b"src/deep/c").unwrap())
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "333");
}

#[test]
fn filters_skip_and_prune() {
    let dir = folder();
    let filter = |path: &[u8], _: bool| match path {
        b"src" => Decision::Skip,
        b"src/deep" => Decision::Prune,
        b"src/b" => Decision::Keep,
        _ => Decision::Skip,
    };
    let context = scan(
        dir.path(),
        &filter,
        &ScanOptions {
            store: None,
            now: SystemTime::now(),
        },
    )
    .unwrap();
    assert_eq!(paths(&context), ["src", "src/b"]);
    let nothing = scan(
        dir.path(),
        &|_: &[u8], _: bool| Decision::Skip,
        &ScanOptions {
            store: None,
            now: SystemTime::now(),
        },
    )
    .unwrap();
    assert!(paths(&nothing).is_empty());
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let (dir, (_store_dir, store)) = (folder(), store());
    let first = scanned(dir.path(), Some(&store), 60);
    assert_eq!(first.digested, 3);
    let second = scanned(dir.path(), Some(&store), 60);
    assert_eq!(
        (second.digested, second.tree.digest()),
        (0, first.tree.digest())
    );
    std::fs::write(dir.path().join("src/b"), "xx").unwrap();
    let third = scanned(dir.path(), Some(&store), 60);
    assert_eq!(third.digested, 1);
    assert_ne!(third.tree.digest(), first.tree.digest());
    let EntryKind::File { content, .. } = entry(&third, "src/b").kind else {
        panic!()
    };
    assert_eq!(content, ContentDigest::of(b"xx"));
}

#[test]
fn size_and_mtime_alone_are_not_trusted() {
    let (dir, (_store_dir, store)) = (folder(), store());
    let path = dir.path().join("a");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    scanned(dir.path(), Some(&store), 60);
    std::thread::sleep(Duration::from_millis(30));
    std::fs::write(&path, "2").unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let again = scanned(dir.path(), Some(&store), 60);
    let EntryKind::File { content, .. } = entry(&again, "a").kind else {
        panic!()
    };
    assert_eq!(content, ContentDigest::of(b"2"));
}

#[test]
fn a_file_changed_just_now_is_read_again() {
    let (dir, (_store_dir, store)) = (folder(), store());
    // a scan that started when the files were written
    let options = ScanOptions {
        store: Some(&store),
        now: SystemTime::now() - Duration::from_secs(5),
    };
    assert_eq!(scan(dir.path(), &all, &options).unwrap().digested, 3);
    assert_eq!(scan(dir.path(), &all, &options).unwrap().digested, 3);
}

#[test]
fn a_smaller_scan_does_not_forget() {
    let (dir, (_store_dir, store)) = (folder(), store());
    scanned(dir.path(), Some(&store), 60);
    let options = ScanOptions {
        store: Some(&store),
        now: SystemTime::now() + Duration::from_secs(60),
    };
    let only_a = |path: &[u8], _: bool| {
        if path == b"a" {
            Decision::Keep
        } else {
            Decision::Prune
        }
    };
    std::fs::write(dir.path().join("a"), "new").unwrap();
    assert_eq!(scan(dir.path(), &only_a, &options).unwrap().digested, 1);
    assert_eq!(scanned(dir.path(), Some(&store), 60).digested, 0);
}

#[test]
fn an_unreadable_file_is_named_if_it_is_selected() {
    let dir = folder();
    // root reads everything, so it is a name that vanishes behind a link loop instead of a mode
    let now = SystemTime::now();
    let missing = dir.path().join("none");
    let error = scan(&missing, &all, &ScanOptions { store: None, now }).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(dir.path().join("a"), std::fs::Permissions::from_mode(0o000))
            .unwrap();
        assert!(
            scan(dir.path(), &all, &ScanOptions { store: None, now })
                .unwrap_err()
                .to_string()
                .contains('a')
        );
    }
}

#[test]
fn a_list_of_files_is_a_context() {
    let dir = folder();
    symlink("src/b", dir.path().join("tool")).unwrap();
    let context = from_list(&[(b"bin/tool".to_vec(), dir.path().join("tool"))]).unwrap();
    assert_eq!(paths(&context), ["bin", "bin/tool"]);
    let mut text = String::new();
    context
        .chain
        .read(&context.chain.lookup(b"bin/tool").unwrap())
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "22");
    assert!(from_list(&[(b"../x".to_vec(), dir.path().join("a"))]).is_err());
}

#[test]
fn what_vanishes_during_the_scan_is_not_there() {
    let dir = folder();
    let root = dir.path();
    let remove = |path: &[u8], _: bool| {
        match path {
            b"a" => std::fs::remove_file(root.join("a")).unwrap(),
            b"src/deep" => std::fs::remove_dir_all(root.join("src/deep")).unwrap(),
            b"src/link" => std::fs::remove_file(root.join("src/link")).unwrap(),
            _ => {}
        }
        Decision::Keep
    };
    let (store, now) = (None, SystemTime::now());
    let context = scan(root, &remove, &ScanOptions { store, now }).unwrap();
    assert_eq!(paths(&context), ["src", "src/b"]);
}
