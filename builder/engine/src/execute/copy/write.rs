//! The layer that a COPY, ADD or WORKDIR becomes: placed entries written in path order, while small files behind them are read ahead. Unaware
//! of why they are there.

use super::earlier::{Earlier, Files};
use super::place::{Content, Placed};
use crate::execute::step::Step;
use crate::failure::CopyError;
use kiln_cache::{Chain, Entry, Found, Layer, LayerWriter, SmallFile, Window, ahead};
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Writes `placed` with the contents of `sources` and of the destination `below`; `None` when there is nothing to write.
///
/// # Errors
/// When a source cannot be read (any more) or the layer cannot be written.
pub fn write(
    step: &Step<'_>,
    writer: LayerWriter,
    placed: &BTreeMap<Vec<u8>, Placed<'_>>,
    (sources, below): (&[Chain], &Chain),
) -> Result<Option<Layer>, CopyError> {
    let mut writing = Writing {
        writer,
        names: HashMap::new(),
        names_below: HashMap::new(),
    };
    let earlier = Earlier::of(step, placed.len());
    let mut files = earlier.as_ref().map(Earlier::files);
    let from = Sources { sources, below };
    let items = placed.iter();
    let items = items.map(|(path, placed)| Item::new(path, placed, from, files.as_mut()));
    let items: Vec<Item<'_>> = items.collect();
    let read = |batch: &[Item<'_>]| {
        let mut window = Window::default();
        let small = |item: &Item<'_>| item.small(earlier.as_ref(), &mut window);
        batch.iter().map(small).collect()
    };
    ahead(&items, read, |item, small| writing.put(item, small))?;
    Ok(writing.writer.finish()?)
}

/// Where contents are.
#[derive(Clone, Copy)]
struct Sources<'a> {
    sources: &'a [Chain],
    below: &'a Chain,
}

impl<'a> Sources<'a> {
    /// The entry that is copied; none for what comes from nowhere.
    fn find(self, placed: &Placed<'a>) -> Option<(&'a Chain, Found<'a>)> {
        match placed.content {
            Content::Directory | Content::Inline(_) => None,
            Content::Below(found, _) => Some((self.below, found)),
            Content::Entry(source, entry, layer) => {
                Some((&self.sources[source], Found { entry, layer }))
            }
        }
    }
}

/// What is to be written.
struct Item<'a> {
    path: &'a [u8],
    placed: &'a Placed<'a>,
    /// The entry that is copied.
    from: Option<(&'a Chain, Found<'a>)>,
    /// The same content in the layer that was made before.
    earlier: Option<&'a Entry>,
}

impl<'a> Item<'a> {
    fn new(
        path: &'a [u8],
        placed: &'a Placed<'a>,
        from: Sources<'a>,
        files: Option<&mut Files<'a>>,
    ) -> Self {
        let from = from.find(placed);
        // what has several names may be there already
        let alone = from.as_ref().filter(|(_, found)| found.entry.links == 0);
        let earlier = alone.and_then(|(_, found)| files?.same(path, found.entry));
        Item {
            path,
            placed,
            from,
            earlier,
        }
    }

    /// A small file, read whole. One with several names may be there already.
    fn small(&self, earlier: Option<&Earlier>, window: &mut Window) -> Option<SmallFile> {
        let (chain, found) = self.from.as_ref()?;
        let mut before = || earlier?.small(window, self.earlier?);
        let read = || before().or_else(|| chain.read_small(found));
        (found.entry.links == 0).then(read)?
    }
}

/// A layer that is being written.
struct Writing<'a> {
    writer: LayerWriter,
    /// The first names of files with several: by source, group, layer, and group of hard links.
    names: HashMap<(usize, usize, Option<usize>, u32), &'a [u8]>,
    /// The same of files of the destination, by their path there.
    names_below: HashMap<&'a [u8], &'a [u8]>,
}

impl<'a> Writing<'a> {
    fn put(&mut self, item: &Item<'a>, small: Option<SmallFile>) -> Result<(), CopyError> {
        let (path, placed, meta) = (item.path, item.placed, &item.placed.meta);
        let Some((chain, found)) = &item.from else {
            return self.put_new(path, placed);
        };
        match (self.earlier_name(path, placed), small) {
            (Some(first), _) => self.writer.hardlink(path, first)?,
            (None, Some(small)) => self.writer.small(path, meta, &small)?,
            (None, None) => self.writer.copy(path, meta, chain, found)?,
        }
        Ok(())
    }

    /// What no source has.
    fn put_new(&mut self, path: &[u8], placed: &Placed<'_>) -> Result<(), CopyError> {
        match placed.content {
            Content::Inline(bytes) => {
                let length = bytes.len() as u64;
                let written = self.writer.file(path, &placed.meta, length, &mut &*bytes);
                written.map(drop)?;
            }
            _ => self.writer.directory(path, &placed.meta)?,
        }
        Ok(())
    }

    /// The name that the layer has already for what is to be at `path`; none of a file with one name.
    fn earlier_name(&mut self, path: &'a [u8], placed: &'a Placed<'_>) -> Option<&'a [u8]> {
        match &placed.content {
            Content::Below(_, name) => first_name(&mut self.names_below, name, path),
            Content::Entry(source, entry, layer) if entry.links != 0 => {
                let file = (*source, placed.group, *layer, entry.links);
                first_name(&mut self.names, file, path)
            }
            _ => None,
        }
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
