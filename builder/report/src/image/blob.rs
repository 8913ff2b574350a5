//! A layer that comes as a stream and is not kept. Unaware of what it comes from.

use std::io::Read;

use kiln_cache::{IndexedBlob, index_blob};
use kiln_oci::archive::{Incoming, Received};
use kiln_oci::{Compression, Digest, Encoding};

use super::{Blob, ImageError, ImageLayer};
use crate::compressed::{Effort, Meter};
use crate::manager::Manager;

/// Reads a layer to its end, and checks it against what is known of it.
///
/// # Errors
/// The layer is damaged, malformed or another one.
pub fn read_layer(
    incoming: &Incoming,
    content: &mut dyn Read,
    effort: Effort,
) -> Result<(ImageLayer, Received), ImageError> {
    let name = || incoming.name.clone();
    let mut meter = Meter::new(effort);
    let mut see = |piece: &[u8]| meter.see(piece);
    let read = index_blob(content, incoming.size, &mut see, is_database);
    let read = read.map_err(|source| ImageError::Layer {
        name: name(),
        source,
    })?;
    let received = received(&read, incoming);
    check("digest", incoming, incoming.digest, received.digest)?;
    check("diff ID", incoming, incoming.diff_id, received.diff_id)?;
    let blob = blob(&read);
    let layer = ImageLayer {
        measured: Some(meter.finish()),
        index: read.index.into(),
        kept: read.kept,
        blob,
    };
    Ok((layer, received))
}

/// Whether the content of a file is needed to know the packages of an image.
fn is_database(path: &[u8]) -> bool {
    Manager::of(path).is_some_and(Manager::needs_content)
}

/// What a manifest names: the blob as it came; where its compression has no media type and no manifest names it, the tar.
fn received(read: &IndexedBlob, incoming: &Incoming) -> Received {
    let has_no_media_type = matches!(read.encoding, Encoding::Bzip2 | Encoding::Xz);
    let diff_id = read.index.diff_id;
    match has_no_media_type && incoming.digest.is_none() {
        true => Received {
            digest: diff_id,
            size: read.index.tar_size,
            diff_id,
            encoding: Encoding::Plain,
        },
        false => Received {
            digest: read.digest,
            size: read.size,
            diff_id,
            encoding: read.encoding,
        },
    }
}

fn blob(read: &IndexedBlob) -> Option<Blob> {
    let compression = match read.encoding {
        Encoding::Gzip => Compression::Gzip,
        Encoding::Zstd => Compression::Zstd,
        _ => return None,
    };
    let size = read.size;
    Some(Blob { compression, size })
}

fn check(
    what: &'static str,
    incoming: &Incoming,
    expected: Option<Digest>,
    actual: Digest,
) -> Result<(), ImageError> {
    match expected.filter(|expected| *expected != actual) {
        None => Ok(()),
        Some(expected) => Err(ImageError::Mismatch {
            what,
            name: incoming.name.clone(),
            expected,
            actual,
        }),
    }
}
