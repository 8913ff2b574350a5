//! Archives that are unpacked: whether a file is one, its entries as a chain, and the hard links that lead out of it. An archive is told
//! by its content, never by its name: what decompresses (plain, gzip, bzip2, xz, zstd) to a tar. Unaware of where the entries go.

use crate::failure::CopyError;
use kiln_cache::path::lossy;
use kiln_cache::{
    Chain, ContentDigest, ContentHasher, EntryKind, Found, LayerError, LayerTar, Origin,
    OutsideLink, index_archive,
};
use kiln_oci::compression;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tar header's size; the magic stands at 257 in it.
const BLOCK: usize = 512;

/// What an archive holds.
#[derive(Debug)]
pub struct Archive {
    /// Its entries.
    pub files: Chain,
    /// Hard links to what was there before it.
    pub links: Vec<OutsideLink>,
}

/// The entries of the regular file `found`, or `None` when it is no archive. The uncompressed tar is kept in `scratch` for as
/// long as that exists.
///
/// # Errors
/// When the file cannot be read, is not what was scanned, or begins as an archive and is damaged later.
pub fn unpack(
    chain: &Chain,
    found: &Found<'_>,
    scratch: &Path,
) -> Result<Option<Archive>, CopyError> {
    let EntryKind::File { content, .. } = found.entry.kind else {
        return Ok(None);
    };
    let path = || lossy(&found.entry.path);
    if !is_of_host(chain, found) {
        return unpack_stream(chain.read(found)?, path(), scratch);
    }
    let changed = || CopyError::Layer(LayerError::FileChanged { path: path() });
    let reader = match chain.read(found) {
        Err(error) if error.is_gone() => return Err(changed()),
        opened => opened?,
    };
    let mut hashed = Hashed {
        reader,
        hasher: ContentHasher::default(),
    };
    let unpacked = unpack_stream(&mut hashed, path(), scratch);
    // what was only looked at is read again by the step that copies it
    if matches!(unpacked, Ok(None)) || hashed.finish().is_ok_and(|read| read == content) {
        return unpacked;
    }
    Err(changed())
}

/// Whether a file may change at any time; that of a layer's tar is checked where it is read.
fn is_of_host(chain: &Chain, found: &Found<'_>) -> bool {
    let layer = found.layer.and_then(|layer| chain.layers().get(layer));
    layer.is_some_and(|(_, origin)| matches!(origin, Origin::Directory(_) | Origin::Files(_)))
}

/// A file that is digested while it is read: its key speaks of what it held when it was scanned.
struct Hashed<R> {
    reader: R,
    hasher: ContentHasher,
}

impl<R: Read> Hashed<R> {
    /// The digest of the whole file.
    fn finish(mut self) -> io::Result<ContentDigest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.hasher.finish())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// The same for a stream, which messages call `path`.
///
/// # Errors
/// As for [`unpack`].
pub fn unpack_stream(
    reader: impl Read,
    path: String,
    scratch: &Path,
) -> Result<Option<Archive>, CopyError> {
    let Some(mut tar) = tar(reader) else {
        return Ok(None);
    };
    let archive = spool(&mut tar, scratch).and_then(read_archive);
    let damaged = |error: io::Error| CopyError::Archive {
        path,
        message: error.to_string(),
    };
    archive.map(Some).map_err(damaged)
}

/// Whether a stream holds an archive.
pub fn is_archive(reader: impl Read) -> bool {
    tar(reader).is_some()
}

/// The tar in a stream, whatever it is compressed with; none if it holds something else.
fn tar<'r>(reader: impl Read + 'r) -> Option<impl Read + 'r> {
    let (_, mut decoded) = compression::auto(reader).ok()?;
    let mut head = Vec::with_capacity(BLOCK);
    let read = decoded.by_ref().take(BLOCK as u64).read_to_end(&mut head);
    let is_one = read.is_ok() && is_tar(&head);
    is_one.then(|| io::Cursor::new(head).chain(decoded))
}

/// Keeps an uncompressed tar as a file; the owner of the scratch folder removes it with the folder.
fn spool(tar: &mut impl Read, scratch: &Path) -> io::Result<PathBuf> {
    let file = tempfile::Builder::new()
        .prefix("archive")
        .tempfile_in(scratch);
    let mut file = file?;
    io::copy(tar, &mut file)?;
    Ok(file.keep()?.1)
}

fn read_archive(tar: PathBuf) -> io::Result<Archive> {
    let (index, links) = index_archive(&File::open(&tar)?).map_err(io::Error::other)?;
    let files = Chain::new(vec![(
        index.tree.clone(),
        Origin::Tar(Arc::new(LayerTar::outside(tar))),
    )]);
    Ok(Archive { files, links })
}

/// The error of a hard link to what is nowhere, in the archive that messages call `path`.
pub fn dangling(path: &str, link: &OutsideLink) -> CopyError {
    let (from, to) = (lossy(&link.path), lossy(&link.target));
    CopyError::Archive {
        path: path.to_owned(),
        message: format!("{from} is a hard link to {to}, which is no file here"),
    }
}

/// A tar header: its checksum is right. The magic is not asked for, old archives have none; nor is a name.
fn is_tar(block: &[u8]) -> bool {
    if block.len() < BLOCK {
        return false;
    }
    let Some(stored) = octal(&block[148..156]) else {
        return false;
    };
    let bytes = block[..BLOCK].iter().enumerate();
    let sum: u64 = bytes
        .map(|(at, byte)| match at {
            148..156 => 32,
            _ => u64::from(*byte),
        })
        .sum();
    sum == stored
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}
