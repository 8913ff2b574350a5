//! Archives that are unpacked onto other files (`ADD`), read by the rules of layers but for two: what they say of their root
//! counts for nothing, whatever it is, and a hard link may lead to a file that was there before. Unaware of these files.

use std::collections::BTreeMap;
use std::io::Read;

use kiln_oci::Digested;
use kiln_oci::tarfile::Entry as TarEntry;

use super::{Draft, converted, read_failed, read_into};
use crate::{ContentDigest, LayerError, LayerIndex, Meta};

/// A hard link to something that an archive did not hold before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideLink {
    /// The other name, clean.
    pub path: Box<[u8]>,
    /// What it is a name of, clean.
    pub target: Box<[u8]>,
    /// What the archive says of the inode.
    pub meta: Meta,
}

/// Hard links that lead out of an archive, by their path.
pub(super) type OutsideLinks = BTreeMap<Box<[u8]>, OutsideLink>;

/// Reads an uncompressed archive to its end: what it holds, and the hard links that lead out of it, sorted by path.
///
/// # Errors
/// The tar is malformed or holds what layers cannot.
pub fn index_archive(reader: impl Read) -> Result<(LayerIndex, Vec<OutsideLink>), LayerError> {
    let mut reader = Digested::new(reader);
    let mut draft = Draft {
        outside: Some(OutsideLinks::new()),
        ..Draft::default()
    };
    read_into(&mut draft, &mut reader, &mut ())?;
    let links = draft.outside.take().unwrap_or_default();
    let tree = draft.finish()?.into();
    let (diff_id, tar_size) = reader.finish().map_err(read_failed)?;
    let index = LayerIndex {
        diff_id,
        tar_size,
        tree,
    };
    Ok((index, links.into_values().collect()))
}

impl Draft {
    /// Makes `path` another name of what the archive does not hold, or not yet.
    pub(super) fn link_outside(
        &mut self,
        path: &[u8],
        target: &[u8],
        entry: TarEntry,
    ) -> Result<(), LayerError> {
        self.make_parents(path)?;
        self.entries.remove(path);
        self.remove_below(path);
        let Some(outside) = &mut self.outside else {
            return Ok(());
        };
        let known = outside.get(target).map(|other| other.target.clone());
        let link = OutsideLink {
            path: path.into(),
            target: known.unwrap_or_else(|| target.into()),
            meta: converted(path, entry, ContentDigest::NONE).meta(),
        };
        outside.insert(path.into(), link);
        Ok(())
    }
}
