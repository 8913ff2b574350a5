//! The layer that a step made in the build before: most of its files are those of today, and it is one file, which is read faster than many.
//! Unaware of why the step is executed again.

use crate::execute::step::Step;
use kiln_cache::{Chain, EntryKind, Found, SmallFile};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// Fewer files are read as fast as the index of a layer; the index of more takes too much memory.
const WORTHWHILE: RangeInclusive<usize> = 1000..=300_000;

/// See the module. It is looked for when the first file is.
pub struct Earlier<'a> {
    step: &'a Step<'a>,
    layer: OnceLock<Option<Chain>>,
    is_worthwhile: bool,
}

impl<'a> Earlier<'a> {
    /// For a step that writes so many files.
    pub fn of(step: &'a Step<'a>, files: usize) -> Self {
        Earlier {
            step,
            layer: OnceLock::new(),
            is_worthwhile: WORTHWHILE.contains(&files),
        }
    }

    /// What is to be at a path, if it is small and was there already with the same content.
    pub fn small(&self, path: &[u8], wanted: &Found<'_>) -> Option<SmallFile> {
        if !self.is_worthwhile {
            return None;
        }
        let layer = self.layer.get_or_init(|| layer(self.step)).as_ref()?;
        let found = layer.lookup(path)?;
        let content = |found: &Found<'_>| match found.entry.kind {
            EntryKind::File { content, .. } => Some(content),
            _ => None,
        };
        (content(&found)? == content(wanted)?).then(|| layer.read_small(&found))?
    }
}

/// The layer, if it is known and still there: nothing is fetched for this.
fn layer(step: &Step<'_>) -> Option<Chain> {
    let store = &step.session.store;
    let before = step.past?.counterpart(step.node.id.0)?;
    let record = store.records().lookup(&before.key?).ok()??;
    let diff_id = record.diff_id?;
    let is_here = store.blobs().has(&diff_id).ok()?;
    let layer = is_here.then(|| store.layers().get(&diff_id).ok())??;
    Some(Chain::new(vec![layer.origin()]))
}
