//! One name in a tree: what a layer, a context or an image says about a path.
//!
//! Unaware of where the content lies; a [`Chain`](crate::Chain) knows that.

use crate::ContentDigest;

/// Extended attributes, sorted by name, each name once.
pub type Xattrs = Vec<(Box<[u8]>, Box<[u8]>)>;

/// A path and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative, components split by `/`, without leading or trailing slash; `""` is the root. Never holds `.`, `..`, an
    /// empty component or a NUL byte. A whiteout has the path that it hides.
    pub path: Box<[u8]>,
    /// Type, and what belongs to that type alone.
    pub kind: EntryKind,
    /// Permission bits, `0o7777`. 0 for whiteouts.
    pub mode: u32,
    /// Owner as the image sees it.
    pub uid: u32,
    /// Group as the image sees it.
    pub gid: u32,
    /// Modification time in whole seconds since 1970.
    pub mtime: i64,
    /// `security.capability` and `user.*`; nothing else is kept in a layer.
    pub xattrs: Xattrs,
    /// Hard links: entries of one tree with the same number are one inode; 0 is an inode with a single name. Every member
    /// carries the same metadata and content; in a tar the first in path order holds the content, the others are links.
    pub links: u32,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory. `opaque` hides what lower trees have below this path.
    Directory {
        /// Nothing of the lower trees' directory shows through.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Where the content starts in the layer's tar; 0 in trees that are not layers.
        offset: u64,
        /// BLAKE3 of the content.
        content: ContentDigest,
    },
    /// A symbolic link.
    Symlink {
        /// The link's text, unresolved.
        target: Box<[u8]>,
    },
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A FIFO.
    Fifo,
    /// Hides this path of lower trees. Only in trees, never found through a chain.
    Whiteout,
}

impl EntryKind {
    /// The letter for this type in what kiln writes: layer indexes and the text behind a tree's digest. None may ever change.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Directory { opaque: false } => b'd',
            Self::Directory { opaque: true } => b'o',
            Self::File { .. } => b'f',
            Self::Symlink { .. } => b'l',
            Self::Char { .. } => b'c',
            Self::Block { .. } => b'b',
            Self::Fifo => b'p',
            Self::Whiteout => b'w',
        }
    }
}

/// What [`LayerWriter`](crate::LayerWriter) needs beside path and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes; sorted by the writer, which drops those that layers do not hold.
    pub xattrs: Xattrs,
}

impl Meta {
    /// Owned by root, made at `mtime`, without xattrs.
    #[must_use]
    pub fn root(mode: u32, mtime: i64) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: Xattrs::new(),
        }
    }
}

impl Entry {
    /// An entry with `meta` and one name.
    #[must_use]
    pub fn new(path: &[u8], kind: EntryKind, meta: Meta) -> Self {
        let Meta {
            mode,
            uid,
            gid,
            mtime,
            xattrs,
        } = meta;
        Self {
            path: path.into(),
            kind,
            mode,
            uid,
            gid,
            mtime,
            xattrs,
            links: 0,
        }
    }

    /// A whiteout of `path`.
    #[must_use]
    pub fn whiteout(path: &[u8]) -> Self {
        Self::new(path, EntryKind::Whiteout, Meta::root(0, 0))
    }

    /// A directory that nobody described: 0755, root's, from 1970.
    #[must_use]
    pub fn implied_directory(path: &[u8]) -> Self {
        Self::new(
            path,
            EntryKind::Directory { opaque: false },
            Meta::root(0o755, 0),
        )
    }

    /// Mode, owner, time and xattrs, to be given to a writer.
    #[must_use]
    pub fn meta(&self) -> Meta {
        Meta {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs: self.xattrs.clone(),
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory { .. })
    }

    /// Whether it is a regular file.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        matches!(self.kind, EntryKind::File { .. })
    }

    /// Size of a regular file, else 0.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// Where a file's content begins in what its index describes; 0 for everything else.
    #[must_use]
    pub(crate) const fn offset(&self) -> u64 {
        match self.kind {
            EntryKind::File { offset, .. } => offset,
            _ => 0,
        }
    }

    /// The last component of the path; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        crate::path::name(&self.path)
    }
}

/// Whether a layer keeps the extended attribute `name`: file capabilities and `user.*`, but nothing of overlayfs.
#[must_use]
pub fn keeps_xattr(name: &[u8]) -> bool {
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_xattr_table() {
        for kept in ["security.capability", "user.x", "user.overlayed"] {
            assert!(keeps_xattr(kept.as_bytes()), "{kept}");
        }
        for stripped in [
            "security.selinux",
            "trusted.overlay.opaque",
            "user.overlay.opaque",
            "trusted.x",
            "system.posix_acl_access",
        ] {
            assert!(!keeps_xattr(stripped.as_bytes()), "{stripped}");
        }
    }
}
