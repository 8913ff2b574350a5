//! Tar headers, written canonically and read strictly. Unaware of layers (whiteouts, indexes) and
//! of file systems: names are bytes, nothing is ever unpacked.
//!
//! This stands on `tar::Header` for the 512-byte block, but neither on `tar::Builder` nor on
//! `tar::Archive`. The former writes GNU long names, takes what it finds on disk and cannot order
//! PAX records; the latter hides what a reader of hostile layers must see: malformed PAX records,
//! sparse files, two names for one entry, headers whose size belongs to another entry.
//!
//! What is written, per entry: when every value fits a POSIX ustar header, that one block and
//! nothing else. Otherwise first a PAX block (type `x`, named `PaxHeaders/<base name>`, owner 0:0,
//! mode 0644, time 0) with only the records that did not fit, sorted by key, then the ustar block
//! with the values that did. Extended attributes are `SCHILY.xattr.<name>` records. Directories end
//! with a slash. Users and groups are numbers only.

use std::io::{self, Write};

mod blocks;
mod pax;
mod read;
mod ustar;
mod write;

pub use read::{Content, Entries};
pub use write::write_header;

/// The unit of a tar file, in bytes.
pub const BLOCK: usize = 512;
/// The largest PAX block or GNU long name that is read or written, in bytes.
pub const MAX_EXTENSION: u64 = 1 << 20;
/// The longest path or link target, in bytes: Linux' PATH_MAX.
pub const MAX_PATH: usize = 4096;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file, followed by its content.
    File,
    /// Another name for the earlier entry whose path is `link`.
    HardLink,
    /// A symbolic link with the target `link`.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// Whether this is a hard or symbolic link.
    pub const fn is_link(self) -> bool {
        matches!(self, Self::HardLink | Self::Symlink)
    }

    /// Whether this is a device.
    pub const fn is_device(self) -> bool {
        matches!(self, Self::CharDevice | Self::BlockDevice)
    }
}

/// An entry to write.
#[derive(Debug, Clone, Copy)]
pub struct HeaderFields<'a> {
    /// The path; a directory's closing slash is added by the writer.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Permission bits; only the lower twelve (`0o7777`) count.
    pub mode: u32,
    /// Owner in the image.
    pub uid: u32,
    /// Group in the image.
    pub gid: u32,
    /// Bytes of content, 0 unless this is a [`Kind::File`].
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Target of a hard or symbolic link, else empty.
    pub link: &'a [u8],
    /// Major and minor number of a device, else 0.
    pub device: (u32, u32),
    /// Extended attributes in any order, without duplicates.
    pub xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl<'a> HeaderFields<'a> {
    /// An entry owned by root at time 0 with mode 0755 for directories and 0644 for all else; the
    /// rest is empty.
    pub const fn new(path: &'a [u8], kind: Kind) -> Self {
        let mode = if matches!(kind, Kind::Directory) {
            0o755
        } else {
            0o644
        };
        Self {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            link: b"",
            device: (0, 0),
            xattrs: &[],
        }
    }
}

/// An entry that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path as stored, without closing slashes (`/` stays). It may be absolute or contain `.`
    /// and `..`: the caller must check.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content that follow; 0 unless this is a [`Kind::File`].
    pub size: u64,
    /// Seconds since 1970; fractions are rounded down.
    pub mtime: i64,
    /// Target of a hard or symbolic link as stored, else empty.
    pub link: Vec<u8>,
    /// Major and minor number of a device, else 0.
    pub device: (u32, u32),
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the content starts, in bytes from the start of the tar.
    pub offset: u64,
}

impl Entry {
    /// The entry as [`write_header`] takes it.
    pub fn fields(&self) -> HeaderFields<'_> {
        HeaderFields {
            path: &self.path,
            kind: self.kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            mtime: self.mtime,
            link: &self.link,
            device: self.device,
            xattrs: &self.xattrs,
        }
    }
}

/// Why a tar cannot be read or written. Offsets are bytes from the start of the tar.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The reader or writer below failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The tar ends inside a header or a content.
    #[error("tar is cut off at byte {offset}")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// No tar, or a damaged one.
    #[error("no tar header at byte {offset}: {reason}")]
    Header {
        /// Where the header should be.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A field of a header is no number, or one that Linux cannot have.
    #[error("tar header at byte {offset} has an invalid {field}")]
    Number {
        /// Where the header is.
        offset: u64,
        /// Which field.
        field: &'static str,
    },
    /// A PAX block is malformed.
    #[error("PAX header at byte {offset}: {reason}")]
    Pax {
        /// Where the block's content starts.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A PAX block, long name or path is longer than allowed.
    #[error("{what} at byte {offset} is {size} bytes long, more than {limit}")]
    TooLong {
        /// What is.
        what: &'static str,
        /// Where its header is.
        offset: u64,
        /// Its length in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Something that tars may hold but layers and archives must not.
    #[error("tar entry at byte {offset}: {what} is not supported")]
    Unsupported {
        /// What it is.
        what: String,
        /// Where its header is.
        offset: u64,
    },
    /// The entry has no path, or is a link without a target.
    #[error("tar entry at byte {offset} has no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where its header is.
        offset: u64,
    },
    /// An entry to write that no tar can hold.
    #[error("cannot write {path} into a tar: {reason}")]
    Unwritable {
        /// The path, escaped.
        path: String,
        /// Why not.
        reason: &'static str,
    },
}

/// Whether bytes look like the start of a tar: a header, or the end of one that is empty.
pub fn starts_tar(start: &[u8]) -> bool {
    let block: Option<&[u8; BLOCK]> = start.first_chunk();
    block.map_or(start.is_empty(), |block| {
        block.iter().all(|byte| *byte == 0) || ustar::Block::new(block, 0).is_ok()
    })
}

/// How many zero bytes follow a content of `size` bytes.
pub const fn padding(size: u64) -> usize {
    let over = (size % BLOCK as u64) as usize;
    (BLOCK - over) % BLOCK
}

/// Writes the zero bytes that follow a content of `size` bytes.
///
/// # Errors
/// Those of `out`.
pub fn write_padding(out: &mut (impl Write + ?Sized), size: u64) -> io::Result<()> {
    out.write_all(&[0; BLOCK][..padding(size)])
}

/// Writes the end of a tar: two zero blocks.
///
/// # Errors
/// Those of `out`.
pub fn write_end(out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

#[cfg(test)]
mod tests;
