//! `type=tar`: the files of the result in one tar, with their owners, times and attributes, in the same bytes each time. Unaware of
//! layers.

use super::destination::Destination;
use super::files::{self, File};
use super::{BuildResult, ExportError, Exporter, Kind};
use kiln_cache::{Chain, EntryKind};
use kiln_oci::tarfile::{self, HeaderFields};
use std::io::{self, Read, Write};

/// `type=tar`.
pub(super) const KIND: Kind = Kind {
    name: "tar",
    keys: &["dest", "platform-split", "rewrite-timestamp"],
    make: |mut attributes| {
        let destination = attributes
            .take("dest")
            .ok_or(ExportError::NoDestination { kind: "tar" })?;
        attributes.flag("rewrite-timestamp", true)?;
        Ok(Box::new(Tar {
            destination: Destination::parse(destination),
            split: files::split(&mut attributes)?,
        }))
    },
};

#[derive(Debug)]
struct Tar {
    destination: Destination,
    split: Option<bool>,
}

impl Exporter for Tar {
    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError> {
        self.destination.write(|out| {
            files::each(result, self.split, |chain, file| write(out, chain, file))?;
            tarfile::write_end(out).map_err(ExportError::io("write", "the tar"))
        })
    }
}

fn write(out: &mut dyn Write, chain: &Chain, file: &File<'_>) -> Result<(), ExportError> {
    let entry = file.found.entry;
    let (mut kind, mut link, mut device, mut size): (_, &[u8], _, _) = match &entry.kind {
        EntryKind::Directory { .. } => (tarfile::Kind::Directory, b"", (0, 0), 0),
        EntryKind::File { size, .. } => (tarfile::Kind::File, b"", (0, 0), *size),
        EntryKind::Symlink { target } => (tarfile::Kind::Symlink, &target[..], (0, 0), 0),
        EntryKind::Char { major, minor } => (tarfile::Kind::CharDevice, b"", (*major, *minor), 0),
        EntryKind::Block { major, minor } => (tarfile::Kind::BlockDevice, b"", (*major, *minor), 0),
        EntryKind::Fifo => (tarfile::Kind::Fifo, b"", (0, 0), 0),
        EntryKind::Whiteout => return Ok(()),
    };
    if let Some(first) = &file.first_name {
        (kind, link, device, size) = (tarfile::Kind::HardLink, first, (0, 0), 0);
    }
    let xattrs: Vec<(Vec<u8>, Vec<u8>)> = match kind {
        tarfile::Kind::HardLink => Vec::new(),
        _ => entry
            .xattrs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect(),
    };
    tarfile::write_header(
        out,
        &HeaderFields {
            path: &file.path,
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size,
            mtime: entry.mtime,
            link,
            device,
            xattrs: &xattrs,
        },
    )?;
    if matches!(kind, tarfile::Kind::File) {
        let failed = ExportError::io("write", "the tar");
        let mut content = chain.read(&file.found)?.take(size);
        let copied = io::copy(&mut content, out).map_err(failed)?;
        if copied != size {
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(ExportError::io("read a layer for", "the tar")(short));
        }
        tarfile::write_padding(out, size).map_err(ExportError::io("write", "the tar"))?;
    }
    Ok(())
}
