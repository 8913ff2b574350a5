//! The index file of a layer: compact, versioned, and whole or refused.
//!
//! ```text
//! magic      "kilnidx1" (8 bytes; the last is the version)
//! diff ID    32 bytes
//! tree       32 bytes
//! tar size   varint
//! entries    varint, then each:
//!   shared   varint   bytes of the path that are those of the entry before
//!   length   varint   further bytes of the path, and these bytes
//!   type     1 byte   d directory, o opaque directory, f file, l symlink, c char, b block, p fifo, w whiteout
//!   mode uid gid      varints
//!   mtime    varint   difference to the entry before, zigzag
//!   links    varint
//!   xattrs   varint   number, then each: name and value, each a varint length and bytes
//!   f: size, offset (varints), content (32 bytes)   l: target (varint length and bytes)   c, b: major, minor (varints)
//! checksum   32 bytes BLAKE3 of everything before
//! ```
//!
//! Varints are LEB128 of a u64. A file that is damaged or of another version is an error; its index is then made anew from
//! the tar.

use std::sync::Arc;

use kiln_oci::Digest;

use crate::path::MAX_PATH;
use crate::{ContentDigest, Entry, EntryKind, LayerError, LayerIndex, Meta, Tree, Xattrs};

const MAGIC: &[u8; 8] = b"kilnidx1";
const CHECKSUM: usize = 32;
/// Fewer bytes no entry has: bounds what a count may claim.
const SMALLEST_ENTRY: usize = 9;

/// The bytes of an index file.
pub(crate) fn encode(index: &LayerIndex) -> Vec<u8> {
    let entries = index.tree.entries();
    let mut out = Vec::with_capacity(128 + entries.len() * 80);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(index.diff_id.as_bytes());
    out.extend_from_slice(index.tree.digest().as_bytes());
    put_number(&mut out, index.tar_size);
    put_number(&mut out, entries.len() as u64);
    let (mut path, mut mtime): (&[u8], i64) = (b"", 0);
    for entry in entries {
        let shared = path
            .iter()
            .zip(&*entry.path)
            .take_while(|(a, b)| a == b)
            .count();
        put_number(&mut out, shared as u64);
        put_bytes(&mut out, &entry.path[shared..]);
        put_entry(&mut out, entry, mtime);
        (path, mtime) = (&entry.path, entry.mtime);
    }
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    out
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, last_mtime: i64) {
    let difference = entry.mtime.wrapping_sub(last_mtime);
    let zigzag = ((difference << 1) ^ (difference >> 63)).cast_unsigned();
    out.push(entry.kind.code());
    for number in [entry.mode, entry.uid, entry.gid] {
        put_number(out, number.into());
    }
    put_number(out, zigzag);
    put_number(out, entry.links.into());
    put_number(out, entry.xattrs.len() as u64);
    for (name, value) in &entry.xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
    put_kind(out, &entry.kind);
}

/// What belongs to the type alone.
fn put_kind(out: &mut Vec<u8>, kind: &EntryKind) {
    match kind {
        EntryKind::File {
            size,
            offset,
            content,
        } => {
            put_number(out, *size);
            put_number(out, *offset);
            out.extend_from_slice(content.as_bytes());
        }
        EntryKind::Symlink { target } => put_bytes(out, target),
        EntryKind::Char { major, minor } | EntryKind::Block { major, minor } => {
            put_number(out, (*major).into());
            put_number(out, (*minor).into());
        }
        EntryKind::Directory { .. } | EntryKind::Fifo | EntryKind::Whiteout => {}
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads an index file.
pub(crate) fn decode(bytes: &[u8]) -> Result<LayerIndex, LayerError> {
    let Some((body, checksum)) = bytes.split_last_chunk::<CHECKSUM>() else {
        return Err(LayerError::Index("cut off"));
    };
    let mut input = Input(body);
    if input.take(MAGIC.len())? != MAGIC {
        return Err(LayerError::Index("another format"));
    }
    if blake3::hash(body) != *checksum {
        return Err(LayerError::Index("wrong checksum"));
    }
    let diff_id = Digest::from_bytes(input.array()?);
    let tree = Digest::from_bytes(input.array()?);
    let tar_size = input.number()?;
    let entries = input.entries()?;
    if !input.0.is_empty() {
        return Err(LayerError::Index("trailing bytes"));
    }
    Ok(LayerIndex {
        diff_id,
        tar_size,
        tree: Arc::new(Tree::from_parts(tree, entries)),
    })
}

/// What is left to decode.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], LayerError> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or(LayerError::Index("cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array(&mut self) -> Result<[u8; 32], LayerError> {
        let bytes = self.take(32)?.try_into();
        bytes.map_err(|_| LayerError::Index("cut off"))
    }

    fn number(&mut self) -> Result<u64, LayerError> {
        let mut number = 0;
        for (at, &byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        Err(LayerError::Index("a number is cut off"))
    }

    fn small(&mut self) -> Result<u32, LayerError> {
        let number = self.number()?.try_into();
        number.map_err(|_| LayerError::Index("a number is too large"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], LayerError> {
        let length = usize::try_from(self.number()?).map_err(|_| LayerError::Index("cut off"))?;
        self.take(length)
    }

    fn entries(&mut self) -> Result<Vec<Entry>, LayerError> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > self.0.len() / SMALLEST_ENTRY {
            return Err(LayerError::Index("more entries than bytes"));
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        let (mut path, mut mtime) = (Vec::with_capacity(256), 0);
        for _ in 0..count {
            let shared = usize::try_from(self.number()?).unwrap_or(usize::MAX);
            let further = self.bytes()?;
            if shared > path.len() || shared + further.len() > MAX_PATH {
                return Err(LayerError::Index("a path is malformed"));
            }
            if !entries.is_empty() && further <= &path[shared..] {
                return Err(LayerError::Index("paths are out of order"));
            }
            path.truncate(shared);
            path.extend_from_slice(further);
            let entry = self.entry(&path, mtime)?;
            mtime = entry.mtime;
            entries.push(entry);
        }
        Ok(entries)
    }

    fn entry(&mut self, path: &[u8], last_mtime: i64) -> Result<Entry, LayerError> {
        let code = self.take(1)?[0];
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let zigzag = self.number()?;
        let difference = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
        let mtime = last_mtime.wrapping_add(difference);
        let links = self.small()?;
        let meta = Meta {
            mode,
            uid,
            gid,
            mtime,
            xattrs: self.xattrs()?,
        };
        let entry = Entry::new(path, self.kind(code)?, meta);
        Ok(Entry { links, ..entry })
    }

    fn xattrs(&mut self) -> Result<Xattrs, LayerError> {
        let count = self.number()?;
        (0..count)
            .map(|_| Ok((self.bytes()?.into(), self.bytes()?.into())))
            .collect()
    }

    fn kind(&mut self, code: u8) -> Result<EntryKind, LayerError> {
        Ok(match code {
            b'd' => EntryKind::Directory { opaque: false },
            b'o' => EntryKind::Directory { opaque: true },
            b'f' => EntryKind::File {
                size: self.number()?,
                offset: self.number()?,
                content: ContentDigest::from_bytes(self.array()?),
            },
            b'l' => EntryKind::Symlink {
                target: self.bytes()?.into(),
            },
            b'c' => EntryKind::Char {
                major: self.small()?,
                minor: self.small()?,
            },
            b'b' => EntryKind::Block {
                major: self.small()?,
                minor: self.small()?,
            },
            b'p' => EntryKind::Fifo,
            b'w' => EntryKind::Whiteout,
            _ => return Err(LayerError::Index("an unknown type of entry")),
        })
    }
}
