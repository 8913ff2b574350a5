//! Writes image archives. The formats are described in the parent module; what stands in an
//! archive is decided in `plan`. Unaware of where blobs come from.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::Path;

use super::plan::{Item, Planned, plan};
use super::{Format, Receipt, SaveError};
use crate::compression;
use crate::digest::Digest;
use crate::digested::Digested;
use crate::reference::Reference;
use crate::tarfile::{HeaderFields, Kind, write_end, write_header, write_padding};

/// How much is read and written at once.
const BUFFER: usize = 1 << 18;

/// Where the blobs of images are.
pub trait BlobSource: Sync {
    /// The size and the content of a blob.
    ///
    /// # Errors
    /// When there is no such blob or it cannot be read.
    fn open(&self, digest: &Digest) -> io::Result<(u64, Box<dyn Read + '_>)>;
}

/// An image to save.
#[derive(Debug, Clone)]
pub struct SaveImage {
    /// Its names; one without tag and digest gets `latest`. May be empty.
    pub references: Vec<Reference>,
    /// Its manifest, verbatim.
    pub manifest: Vec<u8>,
    /// Its config, verbatim.
    pub config: Vec<u8>,
}

/// An image of several platforms to save as one.
#[derive(Debug, Clone)]
pub struct SaveIndex {
    /// Its names. May be empty.
    pub references: Vec<Reference>,
    /// The index, verbatim. It names no manifests but those of images that are saved as well, and
    /// those among its companions.
    pub bytes: Vec<u8>,
    /// The manifest that stands for it where there can be only one: in `manifest.json`.
    pub preferred: Digest,
    /// The manifests of all its images, which have no names of their own.
    pub manifests: Vec<Digest>,
    /// Other blobs that it needs: indexes inside it, and what it lists beside images.
    pub companions: Vec<Digest>,
}

/// What an archive is to hold.
#[derive(Debug, Clone, Default)]
pub struct Saving {
    /// The images.
    pub images: Vec<SaveImage>,
    /// Indexes above some of them.
    pub indexes: Vec<SaveIndex>,
    /// Layers that the other side has: they are left out, and the receipt is put in.
    pub receipt: Option<Receipt>,
    /// The layout.
    pub format: Format,
}

/// Where an archive goes.
pub enum Target<'a> {
    /// One tar.
    Tar(&'a mut dyn Write),
    /// An empty folder.
    Directory(&'a Path),
}

/// Writes an archive of `images` to `out`, as [`write()`] does.
///
/// # Errors
/// As there.
pub fn save(
    out: &mut dyn Write,
    images: &[SaveImage],
    blobs: &dyn BlobSource,
    format: Format,
    progress: &dyn Fn(u64),
) -> Result<(), SaveError> {
    let saving = Saving {
        images: images.to_vec(),
        format,
        ..Saving::default()
    };
    write(Target::Tar(out), &saving, blobs, progress)
}

/// Writes an archive, reading layers from `blobs`. `progress` is told how many bytes have been
/// written in all. Every blob is verified on the way: after an error, what was written is to be
/// thrown away.
///
/// # Errors
/// [`SaveError`]: malformed images, one reference for two images, blobs that are missing or not
/// what they should be, failing output.
pub fn write(
    target: Target<'_>,
    saving: &Saving,
    blobs: &dyn BlobSource,
    progress: &dyn Fn(u64),
) -> Result<(), SaveError> {
    let items = plan(saving, blobs)?;
    match target {
        Target::Tar(out) => write_tar(out, &items, blobs, progress),
        Target::Directory(root) => items
            .iter()
            .try_for_each(|item| write_file(root, item, blobs)),
    }
}

fn write_tar(
    out: &mut dyn Write,
    items: &[Item],
    blobs: &dyn BlobSource,
    progress: &dyn Fn(u64),
) -> Result<(), SaveError> {
    let mut out = BufWriter::with_capacity(
        BUFFER,
        Progress {
            out,
            written: 0,
            progress,
        },
    );
    for item in items {
        write_item(&mut out, item, blobs)?;
    }
    write_end(&mut out)?;
    out.flush()?;
    Ok(())
}

/// Writes an item as a file of its own, durably.
fn write_file(root: &Path, item: &Item, blobs: &dyn BlobSource) -> Result<(), SaveError> {
    let path = root.join(&item.name);
    if matches!(item.content, Planned::Directory) {
        return Ok(std::fs::create_dir(path)?);
    }
    let mut out = BufWriter::with_capacity(BUFFER, File::create_new(path)?);
    write_content(&mut out, &item.content, blobs)?;
    let file = out.into_inner().map_err(|error| error.into_error())?;
    Ok(file.sync_all()?)
}

fn write_item(out: &mut dyn Write, item: &Item, blobs: &dyn BlobSource) -> Result<(), SaveError> {
    let (kind, size) = match &item.content {
        Planned::Directory => (Kind::Directory, 0),
        Planned::Bytes(bytes) => (Kind::File, bytes.len() as u64),
        Planned::Blob { size, .. } | Planned::Decompressed { size, .. } => (Kind::File, *size),
    };
    write_header(
        out,
        &HeaderFields {
            size,
            ..HeaderFields::new(item.name.as_bytes(), kind)
        },
    )?;
    write_content(out, &item.content, blobs)?;
    write_padding(out, size)?;
    Ok(())
}

fn write_content(
    out: &mut dyn Write,
    content: &Planned,
    blobs: &dyn BlobSource,
) -> Result<(), SaveError> {
    match content {
        Planned::Directory => {}
        Planned::Bytes(bytes) => out.write_all(bytes)?,
        Planned::Blob { digest, size } => write_blob(out, blobs, *digest, *size)?,
        Planned::Decompressed {
            blob,
            encoding,
            diff_id,
            size,
        } => {
            let digest = *blob;
            let failed = |source| SaveError::Blob { digest, source };
            let (_, reader) = blobs.open(blob).map_err(failed)?;
            let reader = compression::decoder(reader, *encoding).map_err(failed)?;
            copy(out, reader, *diff_id, *size, &failed)?;
        }
    }
    Ok(())
}

fn write_blob(
    out: &mut dyn Write,
    blobs: &dyn BlobSource,
    digest: Digest,
    size: u64,
) -> Result<(), SaveError> {
    let failed = |source| SaveError::Blob { digest, source };
    let (actual, reader) = blobs.open(&digest).map_err(failed)?;
    check_size(digest, size, actual)?;
    copy(out, reader, digest, size, &failed)
}

fn check_size(digest: Digest, expected: u64, actual: u64) -> Result<(), SaveError> {
    match actual == expected {
        true => Ok(()),
        false => Err(SaveError::BlobSize {
            digest,
            expected,
            actual,
        }),
    }
}

/// Copies exactly `size` bytes that have the digest `expected`; `failed` makes the error of a
/// failing reader.
fn copy(
    out: &mut dyn Write,
    reader: impl Read,
    expected: Digest,
    size: u64,
    failed: &dyn Fn(io::Error) -> SaveError,
) -> Result<(), SaveError> {
    // One byte more shows a blob that goes on.
    let mut reader = Digested::new(reader.take(size.saturating_add(1)));
    let mut left = size;
    while let count @ 1.. = pass(out, &mut reader, left, failed)? {
        left -= count;
    }
    let (actual, count) = reader.finish().map_err(failed)?;
    check_size(expected, size, count)?;
    match actual == expected {
        true => Ok(()),
        false => Err(SaveError::BlobDigest { expected, actual }),
    }
}

/// Copies some bytes, up to `most`; how many. None at the end.
fn pass(
    out: &mut dyn Write,
    reader: &mut dyn BufRead,
    most: u64,
    failed: &dyn Fn(io::Error) -> SaveError,
) -> Result<u64, SaveError> {
    let bytes = reader.fill_buf().map_err(failed)?;
    let count = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    out.write_all(&bytes[..count])?;
    reader.consume(count);
    Ok(count as u64)
}

/// Tells how many bytes went through.
struct Progress<'a> {
    out: &'a mut dyn Write,
    written: u64,
    progress: &'a dyn Fn(u64),
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tar(_) => "Tar",
            Self::Directory(_) => "Directory",
        })
    }
}

impl Write for Progress<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.written += n as u64;
        (self.progress)(self.written);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
