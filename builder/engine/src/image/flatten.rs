//! The file system of an image as one tar: what a container of it would see, merged from the indexes of its layers, with owners,
//! times and attributes. Nothing is mounted or unpacked. Sorted by path, the same bytes each time. Unaware of images.

use crate::failure::FlattenError;
use kiln_cache::{Chain, EntryKind, FirstNames, Found, damage_in};
use kiln_oci::tarfile::{HeaderFields, Kind, write_end, write_header, write_padding};
use std::io::{self, Read, Write};

/// Writes all that shows in a chain. The root directory itself has no entry, as in docker's exports.
///
/// # Errors
/// When a layer cannot be read, or `out` fails.
pub fn write_tar(chain: &Chain, out: &mut (impl Write + ?Sized)) -> Result<(), FlattenError> {
    let mut first_names = FirstNames::default();
    for found in chain.walk(b"") {
        if found.entry.path.is_empty() {
            continue;
        }
        let (path, mtime) = (&found.entry.path, found.entry.mtime);
        let first = first_names.earlier(found.link_group(), path);
        write_entry(chain, &found, path, first.as_deref(), mtime, out)?;
    }
    write_end(out).map_err(FlattenError::Write)
}

/// Writes one file of a chain as `path`, changed at `mtime`; as a hard link to `first` where that was written before and is the same inode.
///
/// # Errors
/// When its layer cannot be read, or `out` fails.
pub(crate) fn write_entry(
    chain: &Chain,
    found: &Found<'_>,
    path: &[u8],
    first: Option<&[u8]>,
    mtime: i64,
    out: &mut (impl Write + ?Sized),
) -> Result<(), FlattenError> {
    let entry = found.entry;
    let (kind, size, link, device): (_, u64, &[u8], _) = match (first, &entry.kind) {
        (_, EntryKind::Whiteout) => return Ok(()),
        (Some(first), _) => (Kind::HardLink, 0, first, (0, 0)),
        (_, EntryKind::Directory { .. }) => (Kind::Directory, 0, b"", (0, 0)),
        (_, EntryKind::File { size, .. }) => (Kind::File, *size, b"", (0, 0)),
        (_, EntryKind::Symlink { target }) => (Kind::Symlink, 0, target, (0, 0)),
        (_, EntryKind::Char { major, minor }) => (Kind::CharDevice, 0, b"", (*major, *minor)),
        (_, EntryKind::Block { major, minor }) => (Kind::BlockDevice, 0, b"", (*major, *minor)),
        (_, EntryKind::Fifo) => (Kind::Fifo, 0, b"", (0, 0)),
    };
    let xattrs = entry.xattrs.iter().filter(|_| first.is_none());
    let xattrs: Vec<_> = xattrs
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    let fields = HeaderFields {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime,
        size,
        link,
        device,
        xattrs: &xattrs,
        ..HeaderFields::new(path, kind)
    };
    write_header(out, &fields)?;
    if kind == Kind::File {
        copy_content(chain, found, size, out)?;
    }
    Ok(())
}

fn copy_content(
    chain: &Chain,
    found: &Found<'_>,
    size: u64,
    out: &mut (impl Write + ?Sized),
) -> Result<(), FlattenError> {
    let mut content = chain.read(found)?.take(size);
    let copied = io::copy(&mut content, out).map_err(|error| match damage_in(&error) {
        Some(damaged) => FlattenError::Damaged(damaged.clone()),
        None => FlattenError::Write(error),
    })?;
    if copied != size {
        return Err(FlattenError::Short {
            path: String::from_utf8_lossy(&found.entry.path).into_owned(),
            size,
            found: copied,
        });
    }
    write_padding(out, size).map_err(FlattenError::Write)
}
