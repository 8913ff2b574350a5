//! The files of an image as folders with sizes. What is below a thousandth of the whole is summed up, so that a tree of a million files has
//! some hundred entries. Unaware of how it is drawn.

use crate::classify::Classified;
use crate::image::Image;
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries of less than the whole divided by this are summed up.
const PARTS: u64 = 1000;
/// No deeper than this: what comes is hostile at worst.
const DEPTH: usize = 64;
/// Characters of a name that are kept.
const NAME: usize = 120;

/// A folder or a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// Its name; that of the root is empty.
    pub name: String,
    /// Bytes of the files in it that a container sees, each content once.
    pub bytes: u64,
    /// What is in it, by name; smaller entries are one at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Folder>,
}

/// A folder that grows.
#[derive(Default)]
struct Growing {
    bytes: u64,
    children: BTreeMap<Vec<u8>, Growing>,
}

/// The files of an image that a container sees.
#[must_use]
pub fn tree(image: &Image, classified: &Classified) -> Folder {
    let mut root = Growing::default();
    for (layer, classified) in image.layers.iter().zip(&classified.layers) {
        for (entry, fate) in layer.entries().iter().zip(&classified.fates) {
            if fate.hidden_by.is_none() && fate.bytes > 0 {
                root.add(&entry.path, fate.bytes);
            }
        }
    }
    let least = root.bytes / PARTS;
    root.finished(&[], least)
}

impl Growing {
    fn add(&mut self, path: &[u8], bytes: u64) {
        self.bytes += bytes;
        let mut folder = self;
        for part in path.splitn(DEPTH, |byte| *byte == b'/') {
            folder = folder.children.entry(part.to_vec()).or_default();
            folder.bytes += bytes;
        }
    }

    fn finished(self, name: &[u8], least: u64) -> Folder {
        let (large, small): (Vec<_>, Vec<_>) = self
            .children
            .into_iter()
            .partition(|(_, child)| child.bytes >= least);
        let large = large.into_iter();
        let mut children: Vec<Folder> = large
            .map(|(name, child)| child.finished(&name, least))
            .collect();
        let count = small.len();
        let bytes = small.iter().map(|(_, child)| child.bytes).sum();
        if bytes > 0 && !children.is_empty() {
            children.push(Folder {
                name: format!("({count} smaller)"),
                bytes,
                children: Vec::new(),
            });
        }
        Folder {
            name: String::from_utf8_lossy(name).chars().take(NAME).collect(),
            bytes: self.bytes,
            children,
        }
    }
}
