//! How large a layer of an image is compressed: counted where somebody has compressed it, else estimated. Unaware of how bytes are
//! estimated.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use kiln_cache::{Store, StoreError};
use kiln_oci::{Compression, LayerCompression};

use super::ImageLayer;
use crate::compressed::{BOTH, Compressed, Effort, SAMPLE, Samples, Size};

/// The compressed sizes of a layer: of the form in which it came, of those that the store remembers, of what was measured while it
/// passed by, else of the tar in the store. With [`Effort::Exact`] the store remembers what was counted.
///
/// # Errors
/// The store fails.
pub fn compressed(
    layer: &ImageLayer,
    store: Option<&Store>,
    effort: Effort,
) -> Result<Compressed, StoreError> {
    let mut sizes = [None, None];
    for (size, compression) in sizes.iter_mut().zip(BOTH) {
        *size = known(layer, store, compression)?;
        if let (None, Some(store), Effort::Exact, None) = (*size, store, effort, layer.measured) {
            let measured = store.forms().measured(&layer.index.diff_id, compression)?;
            *size = Some(Size::counted(measured.size));
        }
    }
    let measured = match (sizes, layer.measured, store) {
        ([Some(_), Some(_)], ..) => Compressed::default(),
        (_, Some(measured), _) => measured,
        (_, None, Some(store)) => estimate(layer, store)?,
        (_, None, None) => Compressed::default(),
    };
    let [gzip, zstd] = sizes;
    Ok(Compressed {
        gzip: gzip.unwrap_or(measured.gzip),
        zstd: zstd.unwrap_or(measured.zstd),
    })
}

fn known(
    layer: &ImageLayer,
    store: Option<&Store>,
    compression: LayerCompression,
) -> Result<Option<Size>, StoreError> {
    let came = layer
        .blob
        .filter(|blob| blob.compression == compression.algorithm());
    if let Some(blob) = came {
        return Ok(Some(Size::counted(blob.size)));
    }
    let Some(store) = store else {
        return Ok(None);
    };
    let form = store
        .forms()
        .remembered(&layer.index.diff_id, compression)?;
    let form = form.filter(|form| Compression::of_layer(&form.media_type).is_some());
    Ok(form.map(|form| Size::counted(form.size)))
}

/// Compresses samples of a tar in the store; a tar that is a sample alone is read as what its digest says.
fn estimate(layer: &ImageLayer, store: &Store) -> Result<Compressed, StoreError> {
    let diff_id = &layer.index.diff_id;
    let path = store.blobs().path(diff_id);
    let failed = |source| StoreError::io("read", &path, source);
    // what only reports fetches nothing
    let tar = File::open(&path).map_err(|_| StoreError::Missing { digest: *diff_id })?;
    let (mut meter, mut buffer) = (Samples::default(), vec![0; SAMPLE]);
    let total = layer.index.tar_size;
    if total <= SAMPLE as u64 {
        let whole = &mut buffer[..total as usize];
        let mut whole_tar = store.blobs().reader(diff_id)?;
        whole_tar.read_exact(whole).map_err(failed)?;
        meter.take(whole);
        return Ok(meter.finish(total));
    }
    while meter.next < total {
        let length = buffer.len().min((total - meter.next) as usize);
        let piece = &mut buffer[..length];
        tar.read_exact_at(piece, meter.next).map_err(failed)?;
        meter.take(piece);
    }
    Ok(meter.finish(total))
}
