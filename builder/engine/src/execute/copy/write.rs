//! The layer that a COPY, ADD or WORKDIR becomes: placed entries written in path order. Unaware of why they are there.

use super::place::{Content, Placed};
use crate::failure::CopyError;
use kiln_cache::{Chain, Found, Layer, LayerWriter};
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};

/// Writes `placed` with the contents of `sources` and of the destination `below`; `None` when there is nothing to write.
///
/// # Errors
/// When a source cannot be read (any more) or the layer cannot be written.
pub fn write(
    mut writer: LayerWriter,
    placed: &BTreeMap<Vec<u8>, Placed<'_>>,
    sources: &[Chain],
    below: &Chain,
) -> Result<Option<Layer>, CopyError> {
    let mut first_names: HashMap<(usize, usize, Option<usize>, u32), &[u8]> = HashMap::new();
    let mut renamed: HashMap<&[u8], &[u8]> = HashMap::new();
    for (path, placed) in placed {
        let Placed {
            meta,
            content,
            group,
        } = placed;
        match content {
            Content::Directory => writer.directory(path, meta)?,
            Content::Inline(content) => {
                writer.file(path, meta, content.len() as u64, &mut &content[..])?;
            }
            Content::Below(found, name) => match renamed.entry(name) {
                Slot::Occupied(first) => writer.hardlink(path, first.get())?,
                Slot::Vacant(slot) => {
                    slot.insert(path);
                    writer.copy(path, meta, below, found)?;
                }
            },
            Content::Entry(source, entry, layer) => {
                if entry.links != 0 {
                    match first_names.entry((*source, *group, *layer, entry.links)) {
                        Slot::Occupied(first) => {
                            writer.hardlink(path, first.get())?;
                            continue;
                        }
                        Slot::Vacant(slot) => _ = slot.insert(path),
                    }
                }
                writer.copy(
                    path,
                    meta,
                    &sources[*source],
                    &Found {
                        entry,
                        layer: *layer,
                    },
                )?;
            }
        }
    }
    Ok(writer.finish()?)
}
