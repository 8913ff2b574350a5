//! A layer that comes as a stream and is not kept. Unaware of what it comes from.

use std::io::Read;

use kiln_cache::{IndexedBlob, index_blob};
use kiln_oci::archive::{Incoming, Received};
use kiln_oci::{Compression, Digest, Encoding};

use super::programs::Onlooker;
use super::{Blob, ImageError, ImageLayer};
use crate::compressed::{Effort, Meter};

/// Reads a layer to its end, and checks it against what is known of it.
///
/// # Errors
/// The layer is damaged, malformed or another one.
pub fn read_layer(
    incoming: &Incoming,
    content: &mut dyn Read,
    effort: Effort,
) -> Result<(ImageLayer, Received), ImageError> {
    let (mut meter, mut onlooker) = (Meter::new(effort), Onlooker::new());
    let mut see = |piece: &[u8]| meter.see(piece);
    let read = index_blob(content, incoming.size, &mut see, &mut onlooker);
    let failed = |source| ImageError::Layer {
        name: incoming.name.clone(),
        source,
    };
    let read = read.map_err(failed)?;
    let received = received(&read, incoming);
    check("digest", incoming, incoming.digest, received.digest)?;
    check("diff ID", incoming, incoming.diff_id, received.diff_id)?;
    let layer = ImageLayer {
        measured: Some(meter.finish()),
        programs: onlooker.programs(&read.index),
        blob: blob(&read),
        index: read.index.into(),
        kept: onlooker.finish(),
    };
    Ok((layer, received))
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
