//! Hard links among files that are written one after another: the first name of an inode is the file, later ones link to it.
//! Unaware of how inodes are told apart.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The first name of each inode so far. `I` tells inodes apart.
#[derive(Debug)]
pub struct FirstNames<I>(HashMap<I, Vec<u8>>);

impl<I> Default for FirstNames<I> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: Eq + Hash> FirstNames<I> {
    /// The earlier name of an inode; `None` where `path` is its first. An inode that has one name only is `None`.
    pub fn earlier(&mut self, inode: Option<I>, path: &[u8]) -> Option<Vec<u8>> {
        match self.0.entry(inode?) {
            Entry::Occupied(first) => Some(first.get().clone()),
            Entry::Vacant(place) => {
                place.insert(path.to_vec());
                None
            }
        }
    }
}
