//! The content of some files of a tar that is read once and not stored: what is asked for by name, while it is small. Unaware of who
//! wants it.

use std::collections::BTreeMap;

use kiln_oci::tarfile::Entry as TarEntry;

use crate::path::clean;

/// Contents by path, as the tar names it.
pub type Kept = BTreeMap<Box<[u8]>, Vec<u8>>;

/// A larger file is not kept.
const LARGEST: u64 = 32 << 20;
/// Bytes that are kept of one tar.
const MOST: u64 = 96 << 20;

/// Keeps contents.
pub(super) struct Keeper {
    is_wanted: fn(&[u8]) -> bool,
    kept: Kept,
    left: u64,
}

impl Keeper {
    pub(super) fn new(is_wanted: fn(&[u8]) -> bool) -> Self {
        Keeper {
            is_wanted,
            kept: Kept::new(),
            left: MOST,
        }
    }

    /// Where the content of an entry goes, if it is wanted.
    pub(super) fn begin(&self, entry: &TarEntry) -> Option<Vec<u8>> {
        let is_small = entry.size <= LARGEST.min(self.left);
        (is_small && (self.is_wanted)(&clean(&entry.path))).then(Vec::new)
    }

    /// The content has been read; an earlier entry of the same name is replaced.
    pub(super) fn end(&mut self, entry: &TarEntry, content: Option<Vec<u8>>) {
        if let Some(content) = content {
            self.left = self.left.saturating_sub(content.len() as u64);
            self.kept.insert(clean(&entry.path).into(), content);
        }
    }

    pub(super) fn finish(self) -> Kept {
        self.kept
    }
}
