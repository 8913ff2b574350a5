//! Small files that are read whole before their turn, so that other threads may do it. Unaware of what they are read for.

use std::io::Read;

use crate::{Chain, ContentDigest, EntryKind, Found};

/// The most bytes of a small file: many of them are held at once.
const MOST: u64 = 32 << 10;

/// The content of a regular file, as its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallFile {
    bytes: Vec<u8>,
    content: ContentDigest,
}

impl SmallFile {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The kind of its entry in a layer where its content begins at this offset.
    pub(crate) fn kind(&self, offset: u64) -> EntryKind {
        EntryKind::File {
            size: self.bytes.len() as u64,
            offset,
            content: self.content,
        }
    }
}

impl Chain {
    /// Reads a regular file with few bytes. `None` for what is no such file, and for one that is not what its entry says: who reads it in its
    /// turn tells why.
    #[must_use]
    pub fn read_small(&self, found: &Found<'_>) -> Option<SmallFile> {
        let EntryKind::File { size, content, .. } = found.entry.kind else {
            return None;
        };
        if size > MOST {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()? + 1);
        let reader = self.read_unchecked(found).ok()?;
        reader.take(size + 1).read_to_end(&mut bytes).ok()?;
        let is_meant = bytes.len() as u64 == size && ContentDigest::of(&bytes) == content;
        is_meant.then_some(SmallFile { bytes, content })
    }
}
