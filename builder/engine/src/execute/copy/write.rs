//! The layer that a COPY, ADD or WORKDIR becomes: placed entries written in path order. Unaware of why they are there.

use super::place::{Content, Placed};
use crate::failure::CopyError;
use kiln_cache::{Chain, Entry, Found, Layer, LayerWriter};
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Writes `placed` with the contents of `sources` and of the destination `below`; `None` when there is nothing to write.
///
/// # Errors
/// When a source cannot be read (any more) or the layer cannot be written.
pub fn write(
    writer: LayerWriter,
    placed: &BTreeMap<Vec<u8>, Placed<'_>>,
    sources: &[Chain],
    below: &Chain,
) -> Result<Option<Layer>, CopyError> {
    let mut writing = Writing {
        writer,
        sources,
        below,
        names: HashMap::new(),
        names_below: HashMap::new(),
    };
    for (path, placed) in placed {
        writing.put(path, placed)?;
    }
    Ok(writing.writer.finish()?)
}

/// A layer that is being written.
struct Writing<'a> {
    writer: LayerWriter,
    sources: &'a [Chain],
    below: &'a Chain,
    /// The first names of files with several: by source, group, layer, and group of hard links.
    names: HashMap<(usize, usize, Option<usize>, u32), &'a [u8]>,
    /// The same of files of the destination, by their path there.
    names_below: HashMap<&'a [u8], &'a [u8]>,
}

impl<'a> Writing<'a> {
    fn put(&mut self, path: &'a [u8], placed: &'a Placed<'_>) -> Result<(), CopyError> {
        let meta = &placed.meta;
        let (first, chain, found) = match &placed.content {
            Content::Directory => return Ok(self.writer.directory(path, meta)?),
            Content::Inline(bytes) => {
                let length = bytes.len() as u64;
                self.writer.file(path, meta, length, &mut &bytes[..])?;
                return Ok(());
            }
            Content::Below(found, name) => {
                let first = first_name(&mut self.names_below, name, path);
                (first, self.below, *found)
            }
            Content::Entry(source, entry, layer) => {
                let first = self.earlier_name(path, placed.group, *source, entry, *layer);
                let layer = *layer;
                (first, &self.sources[*source], Found { entry, layer })
            }
        };
        match first {
            Some(first) => self.writer.hardlink(path, first)?,
            None => self.writer.copy(path, meta, chain, &found)?,
        }
        Ok(())
    }

    /// The name that an entry of a source has already; a file with one name has none.
    fn earlier_name(
        &mut self,
        path: &'a [u8],
        group: usize,
        source: usize,
        entry: &Entry,
        layer: Option<usize>,
    ) -> Option<&'a [u8]> {
        if entry.links == 0 {
            return None;
        }
        first_name(&mut self.names, (source, group, layer, entry.links), path)
    }
}

/// The first name of a file, if `path` is not it.
fn first_name<'a, K: Hash + Eq>(
    names: &mut HashMap<K, &'a [u8]>,
    file: K,
    path: &'a [u8],
) -> Option<&'a [u8]> {
    match names.entry(file) {
        Slot::Occupied(first) => Some(first.get()),
        Slot::Vacant(slot) => {
            slot.insert(path);
            None
        }
    }
}
