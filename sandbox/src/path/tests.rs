//! The kernel's resolution and the walk by component must agree, on tame and on hostile trees.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use rustix::fs::open;

use super::*;

fn root(path: &Path) -> OwnedFd {
    open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

/// What a path leads to: device, inode and type, or the error's number.
fn outcome(
    root: &OwnedFd,
    path: &str,
    flags: OFlags,
    disabled: Disabled,
) -> Result<(u64, u64), Option<i32>> {
    let opened = open_in_root(
        root.as_fd(),
        Path::new(path),
        flags,
        Mode::empty(),
        disabled,
    );
    let stat = |fd: OwnedFd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
    opened.map(stat).map_err(|error| error.raw_os_error())
}

fn walk_only() -> Disabled {
    Disabled::default().with(Feature::Openat2)
}

/// A root with links in it, and a file beside it.
fn tree(folder: &Path) -> OwnedFd {
    let at = |path: &str| folder.join("root").join(path);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::write(folder.join("secret"), "").unwrap();
    fs::write(at("a/b/file"), "").unwrap();
    for (target, link) in [
        ("/a/b", "absolute"),
        ("../../../a/b/file", "a/b/up"),
        ("../../secret", "a/escape"),
        ("/../secret", "escape"),
        ("loop", "loop"),
        ("a/b/../b/./file", "winding"),
        ("/proc/self/cwd", "magic"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    root(&at(""))
}

#[test]
fn links_lead_inside() {
    let folder = tempfile::tempdir().unwrap();
    let root = tree(folder.path());
    let file = outcome(&root, "a/b/file", OFlags::PATH, Disabled::default()).unwrap();
    for disabled in [Disabled::default(), walk_only()] {
        for path in [
            "/a/b/file",
            "absolute/file",
            "a/b/up",
            "../../a/b/file",
            "winding",
            "a/b/../../a/b/file",
            "//a/./b//file",
        ] {
            assert_eq!(
                outcome(&root, path, OFlags::PATH, disabled),
                Ok(file),
                "{path}"
            );
        }
        for path in [
            "escape",
            "a/escape",
            "../secret",
            "a/../../secret",
            "magic",
            "missing",
            "a/missing/file",
        ] {
            assert_eq!(
                outcome(&root, path, OFlags::PATH, disabled),
                Err(Some(libc::ENOENT)),
                "{path}"
            );
        }
        assert_eq!(
            outcome(&root, "loop", OFlags::PATH, disabled),
            Err(Some(libc::ELOOP))
        );
        assert_eq!(
            outcome(&root, "a/b/file/x", OFlags::PATH, disabled),
            Err(Some(libc::ENOTDIR))
        );
        assert!(
            outcome(&root, "winding", OFlags::PATH | OFlags::NOFOLLOW, disabled).unwrap() != file
        );
        assert_eq!(
            outcome(&root, "", OFlags::PATH, disabled),
            outcome(&root, "/", OFlags::PATH, disabled)
        );
    }
}

/// procfs's own links lead out of any root, so neither way follows them.
#[test]
fn magic_links_are_not_followed() {
    let proc = open("/proc", OFlags::PATH, Mode::empty()).unwrap();
    assert_eq!(
        outcome(&proc, "self/root", OFlags::PATH, Disabled::default()),
        Err(Some(libc::ELOOP))
    );
    let walked = outcome(&proc, "thread-self/cwd", OFlags::PATH, walk_only());
    let cwd = fstat(open(".", OFlags::PATH, Mode::empty()).unwrap()).unwrap();
    assert_ne!(walked, Ok((cwd.st_dev, cwd.st_ino)));
}

const NAMES: [&str; 8] = ["a", "b", "c", "..", ".", "/", "a/b", "../c"];

fn path() -> impl Strategy<Value = String> {
    let parts = proptest::collection::vec(proptest::sample::select(&NAMES[..]), 1..6);
    (parts, any::<bool>()).prop_map(|(parts, absolute)| {
        format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_walk_agrees_with_the_kernel(
        links in proptest::collection::vec((path(), path()), 0..8),
        folders in proptest::collection::vec(path(), 0..5),
        asked in proptest::collection::vec(path(), 1..10),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("root");
        fs::create_dir_all(&at).unwrap();
        let tame = |path: &str| !path.contains("..");
        for path in folders.iter().filter(|path| tame(path)) {
            let _ = fs::create_dir_all(at.join(path.trim_start_matches('/')));
        }
        for (target, link) in links.iter().filter(|(_, link)| tame(link)) {
            let _ = symlink(target, at.join(link.trim_start_matches('/')));
        }
        let root = root(&at);
        for path in &asked {
            // The kernel wants a folder before a closing slash or dot; the walk does not look at them.
            let path = path.trim_end_matches(['/', '.']);
            let kernel = outcome(&root, path, OFlags::PATH, Disabled::default());
            let walked = outcome(&root, path, OFlags::PATH, walk_only());
            prop_assert_eq!(kernel, walked, "{}", path);
        }
    }
}
