//! The content of single files of an image: kept when its layers were read, else from their tars in the store. Unaware of what the
//! files are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use kiln_cache::{ContentHasher, EntryKind, Store};

use crate::diff::Side;
use crate::image::Image;

/// A larger file is no database of packages.
const MOST: u64 = 512 << 20;

/// An image whose files can be read.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    image: &'a Image,
    store: Option<&'a Store>,
    /// The tar that was read last, by its position.
    open: Option<(usize, File)>,
}

impl<'a> Contents<'a> {
    pub(super) const fn new(image: &'a Image, store: Option<&'a Store>) -> Self {
        Contents {
            image,
            store,
            open: None,
        }
    }

    /// The content of a file, checked against the index; or why it cannot be read.
    pub(super) fn read(&mut self, path: &[u8], side: Side) -> Result<Vec<u8>, String> {
        let at = side.layer.unwrap_or(usize::MAX);
        let layer = self.image.layers.get(at);
        if let Some(kept) = layer.and_then(|layer| layer.kept.get(path)) {
            return Ok(kept.clone());
        }
        let entry = layer.and_then(|layer| layer.index.tree.get(path));
        let Some(EntryKind::File {
            size,
            offset,
            content,
        }) = entry.map(|entry| &entry.kind)
        else {
            return Err("is no file".to_owned());
        };
        if *size > MOST {
            return Err("is too large".to_owned());
        }
        let bytes = read(self.tar(at)?, *offset, *size).map_err(|error| error.to_string())?;
        let mut hasher = ContentHasher::new();
        hasher.update(&bytes);
        let whole = (hasher.finish() == *content).then_some(bytes);
        whole.ok_or_else(|| "is damaged in the store".to_owned())
    }

    /// The tar of a layer.
    fn tar(&mut self, at: usize) -> Result<&mut File, String> {
        let Some(store) = self.store else {
            return Err("it was too large to be kept".to_owned());
        };
        let open = match self.open.take().filter(|(open, _)| *open == at) {
            Some(open) => open,
            None => {
                let diff_id = &self.image.layers[at].index.diff_id;
                let file = File::open(store.blobs().path(diff_id));
                (at, file.map_err(|error| error.to_string())?)
            }
        };
        Ok(&mut self.open.insert(open).1)
    }
}

fn read(tar: &mut File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tar.seek(SeekFrom::Start(offset))?;
    tar.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}
