//! `ADD` of local archives: whether a file is one, its entries as a chain, and the hard links that lead out of it. Told by content, never by name: an archive is
//! what decompresses (plain, gzip, bzip2, xz, zstd) to a tar. Unaware of where the entries go.

use super::shown;
use crate::failure::CopyError;
use kiln_cache::{Chain, Found, Origin, OutsideLink, index_archive};
use kiln_oci::compression;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
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
/// When the file cannot be read, or begins as an archive and is damaged later.
pub fn unpack(
    chain: &Chain,
    found: &Found<'_>,
    scratch: &Path,
) -> Result<Option<Archive>, CopyError> {
    if !found.entry.is_file() {
        return Ok(None);
    }
    unpack_stream(chain.read(found)?, shown(&found.entry.path), scratch)
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
    let damaged = |error: &dyn std::fmt::Display| CopyError::Archive {
        path: path.clone(),
        message: error.to_string(),
    };
    let mut head = Vec::with_capacity(BLOCK);
    let decoded = compression::auto(reader);
    let Ok((_, mut decoded)) = decoded else {
        return Ok(None);
    };
    if decoded
        .by_ref()
        .take(BLOCK as u64)
        .read_to_end(&mut head)
        .is_err()
        || !is_tar(&head)
    {
        return Ok(None);
    }
    let mut tar = tempfile::Builder::new()
        .prefix("archive")
        .tempfile_in(scratch)
        .map_err(|error| damaged(&error))?;
    let spooled = tar
        .write_all(&head)
        .and_then(|()| std::io::copy(&mut decoded, &mut tar));
    spooled
        .and_then(|_| tar.seek(SeekFrom::Start(0)))
        .map_err(|error| damaged(&error))?;
    let (index, links) = index_archive(tar.as_file()).map_err(|error| damaged(&error))?;
    // The scratch folder's owner removes it with the folder.
    let (_, path) = tar.keep().map_err(|error| damaged(&error))?;
    let files = Chain::new(vec![(index.tree.clone(), Origin::Tar(Arc::new(path)))]);
    Ok(Some(Archive { files, links }))
}

/// The error of a hard link to what is nowhere, in the archive that messages call `path`.
pub fn dangling(path: &str, link: &OutsideLink) -> CopyError {
    let (from, to) = (shown(&link.path), shown(&link.target));
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
    let sum: u64 = block[..BLOCK]
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    sum == stored
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}
