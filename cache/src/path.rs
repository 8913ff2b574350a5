//! Paths of trees as bytes: relative, split by `/`, `""` is the root. Pure; nothing here touches a disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Longest path that a tree may hold, in bytes: Linux's `PATH_MAX` without its final NUL. Longer ones could be unpacked only
/// in steps, and bound the memory that a hostile archive can claim.
pub const MAX_PATH: usize = 4095;
/// Longest component, in bytes: `NAME_MAX` of every Linux file system that can hold a store.
pub const MAX_NAME: usize = 255;

/// The last component; empty for the root.
#[must_use]
pub fn name(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|&byte| byte == b'/')
        .map_or(path, |slash| &path[slash + 1..])
}

/// The parent directory; `None` for the root.
#[must_use]
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(
        path.iter()
            .rposition(|&byte| byte == b'/')
            .map_or(b"", |slash| &path[..slash]),
    )
}

/// `directory/name`, or one of them when the other is the root.
#[must_use]
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory, name) {
        (b"", path) | (path, b"") => path.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}

/// Where a path of a tree is below a folder of the host.
#[must_use]
pub fn below(folder: &Path, path: &[u8]) -> PathBuf {
    folder.join(OsStr::from_bytes(path))
}

/// Whether `path` is `directory` or below it.
#[must_use]
pub fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

/// The components, none for the root.
pub fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty())
}

/// The path without `.`, empty components and a leading slash; `..` goes up and stays at the root, as in a chroot without
/// symlinks.
#[must_use]
pub fn clean(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<&[u8]> = Vec::new();
    for component in components(path) {
        match component {
            b"." => {}
            b".." => {
                out.pop();
            }
            name => out.push(name),
        }
    }
    out.join(&b'/')
}

/// Whether a path has a component `..`.
#[must_use]
pub fn climbs(path: &[u8]) -> bool {
    components(path).any(|component| component == b"..")
}

/// Whether `..` leads out of the root at some point, were there no symlinks.
#[must_use]
pub fn leaves(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    components(path).any(|component| {
        match component {
            b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
        false
    })
}

/// A path as text: bytes that are not UTF-8 are replaced.
#[must_use]
pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Bytes of a path for a message: control bytes and what is not UTF-8 are escaped.
#[must_use]
pub fn display(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        assert_eq!(
            (name(b"a/b"), name(b"a"), name(b"")),
            (&b"b"[..], &b"a"[..], &b""[..])
        );
        assert_eq!(
            (parent(b"a/b"), parent(b"a"), parent(b"")),
            (Some(&b"a"[..]), Some(&b""[..]), None)
        );
        assert_eq!(
            [join(b"", b"x"), join(b"a", b"x"), join(b"a", b"")],
            [b"x".to_vec(), b"a/x".to_vec(), b"a".to_vec()]
        );
    }

    #[test]
    fn within_needs_a_component_boundary() {
        assert!(is_within(b"a/b", b"a") && is_within(b"a", b"a") && is_within(b"a", b""));
        assert!(!is_within(b"ab", b"a") && !is_within(b"a", b"a/b"));
    }

    #[test]
    fn cleaning_clamps_at_the_root() {
        for (dirty, clean_path) in [
            ("./a//b/", "a/b"),
            ("/../../etc", "etc"),
            ("a/../..", ""),
            ("a/./b/../c", "a/c"),
            ("..a", "..a"),
        ] {
            assert_eq!(clean(dirty.as_bytes()), clean_path.as_bytes(), "{dirty}");
        }
    }

    #[test]
    fn leaving_is_told_from_climbing() {
        for (path, climbing, leaving) in [
            ("a/../b", true, false),
            ("../b", true, true),
            ("/../b", true, true),
            ("a/../../a/b", true, true),
            ("./a/./..", true, false),
            ("..a/b..", false, false),
            ("/a/b", false, false),
        ] {
            let bytes = path.as_bytes();
            assert_eq!(
                (climbs(bytes), leaves(bytes)),
                (climbing, leaving),
                "{path}"
            );
        }
    }

    #[test]
    fn messages_hold_no_control_bytes() {
        assert_eq!(display(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\u{fffd}");
    }
}
