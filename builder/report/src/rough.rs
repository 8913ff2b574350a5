//! About how large images are when they are compressed, soon enough for a list: a few samples of each layer that nobody has compressed yet.
//! Unaware of what the bytes are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use kiln_cache::{LayerSize, Store, StoreError};
use kiln_oci::{Digest, LayerCompression};

use crate::compressed::Size;

/// Bytes of a sample.
const SAMPLE: u64 = 64 << 10;
/// The most samples of a layer.
const SAMPLES: u64 = 8;

/// Looks at each layer once, however many images have it.
#[derive(Debug)]
pub struct Rough<'a> {
    store: &'a Store,
    /// What was estimated, by diff ID.
    known: BTreeMap<Digest, Option<u64>>,
}

impl<'a> Rough<'a> {
    /// Has looked at nothing yet.
    #[must_use]
    pub const fn new(store: &'a Store) -> Self {
        Rough {
            store,
            known: BTreeMap::new(),
        }
    }

    /// The compressed size of an image: counted where all of its layers have been compressed; `None` where one of them is neither
    /// compressed nor here.
    ///
    /// # Errors
    /// The database fails.
    pub fn image(&mut self, manifest: &Digest) -> Result<Option<Size>, StoreError> {
        let mut sum = Size::default();
        for layer in self.store.images().layer_sizes(manifest)? {
            let Some(size) = self.layer(&layer) else {
                return Ok(None);
            };
            sum += size;
        }
        Ok(Some(sum))
    }

    fn layer(&mut self, layer: &LayerSize) -> Option<Size> {
        if let Some(bytes) = layer.compressed {
            return Some(Size::counted(bytes));
        }
        let path = self.store.blobs().path(&layer.diff_id);
        let known = self.known.entry(layer.diff_id);
        let bytes = *known.or_insert_with(|| {
            let tar = File::open(path).ok()?;
            estimate(&tar, layer.bytes).ok()
        });
        let is_estimate = true;
        bytes.map(|bytes| Size { bytes, is_estimate })
    }
}

/// Bytes of a tar of this size with gzip.
fn estimate(tar: &File, total: u64) -> io::Result<u64> {
    let count = total.div_ceil(SAMPLE).clamp(1, SAMPLES);
    let (mut seen, mut compressed) = (0, 0);
    for sample in 0..count {
        let start = total / count * sample;
        let length = (total - start).min(SAMPLE);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        tar.read_exact_at(&mut bytes, start)?;
        let mut encoder = LayerCompression::gzip().encoder(Vec::new(), 1)?;
        encoder.write_all(&bytes)?;
        compressed += encoder.finish()?.len() as u64;
        seen += length;
    }
    let whole = u128::from(compressed) * u128::from(total) / u128::from(seen.max(1));
    Ok(u64::try_from(whole).unwrap_or(u64::MAX))
}
