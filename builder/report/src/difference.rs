//! In what two entries of the same path differ. Unaware of layers.

use kiln_cache::{Entry, EntryKind};

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// A file became a folder, and the like.
    Type,
    /// Bytes of a file, the target of a link, the numbers of a device.
    Content,
    /// Permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// Extended attributes.
    Attributes,
    /// Modification time.
    Time,
}

impl Field {
    /// The word of reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Attributes => "attributes",
            Self::Time => "time",
        }
    }
}

/// All that differs, in the order of [`Field`].
#[must_use]
pub fn fields(old: &Entry, new: &Entry) -> Vec<Field> {
    let is_other_type = kind(&old.kind) != kind(&new.kind);
    let differs = [
        (Field::Type, is_other_type),
        (
            Field::Content,
            !is_other_type && !same_content(&old.kind, &new.kind),
        ),
        (Field::Mode, old.mode != new.mode),
        (Field::Owner, (old.uid, old.gid) != (new.uid, new.gid)),
        (Field::Attributes, old.xattrs != new.xattrs),
        (Field::Time, old.mtime != new.mtime),
    ];
    let differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs.map(|(field, _)| field).collect()
}

/// Whether files, links or devices have the same content, wherever that lies in a tar.
fn same_content(old: &EntryKind, new: &EntryKind) -> bool {
    match (old, new) {
        (EntryKind::File { content: old, .. }, EntryKind::File { content: new, .. }) => old == new,
        (EntryKind::Directory { .. }, EntryKind::Directory { .. }) => true,
        (old, new) => old == new,
    }
}

/// The type of an entry as people call it.
#[must_use]
pub const fn kind(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::Directory { .. } => "folder",
        EntryKind::File { .. } => "file",
        EntryKind::Symlink { .. } => "link",
        EntryKind::Char { .. } | EntryKind::Block { .. } => "device",
        EntryKind::Fifo => "pipe",
        EntryKind::Whiteout => "whiteout",
    }
}

/// Tells the bytes of inodes with several names once.
#[derive(Debug, Default)]
pub(crate) struct Inodes(std::collections::BTreeSet<(usize, u32)>);

impl Inodes {
    /// Bytes of an entry of this layer; 0 for a further name of an inode that was counted.
    pub(crate) fn bytes(&mut self, layer: usize, entry: &Entry) -> u64 {
        match entry.links == 0 || self.0.insert((layer, entry.links)) {
            true => entry.size(),
            false => 0,
        }
    }
}
