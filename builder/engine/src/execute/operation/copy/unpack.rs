//! The archives that an `ADD` unpacks: which of the picked files they are, and where their entries go. Unaware of keys and of how archives
//! are read.

use super::Copy;
use crate::execute::copy::place::Placement;
use crate::execute::copy::select::Picked;
use crate::execute::copy::{join, shown};
use crate::failure::CopyError;
use crate::source::archive;
use kiln_cache::{Chain, OutsideLink};
use kiln_parser::graph::{CopyOp, CopySource, Unpack};
use std::collections::BTreeMap;
use std::path::Path;

/// The sources with the archives among the picked files.
pub(super) struct Unpacked {
    /// All sources; an archive is one of its own.
    pub sources: Vec<Chain>,
    /// Which of them holds the content of each picked archive.
    pub places: Vec<Vec<Option<usize>>>,
    /// What each archive says of files that it does not hold.
    links: BTreeMap<usize, Vec<OutsideLink>>,
}

impl Unpacked {
    /// Reads the archives; what they hold is kept in `scratch`. Without one nothing is unpacked.
    pub fn of(copy: &Copy<'_>, scratch: Option<&Path>) -> Result<Self, CopyError> {
        let mut unpacked = Unpacked {
            sources: copy
                .sources
                .iter()
                .map(|source| source.files.clone())
                .collect(),
            places: Vec::new(),
            links: BTreeMap::new(),
        };
        let sources = copy.op.sources.iter().zip(copy.sources);
        for ((named, source), picked) in sources.zip(&copy.picked) {
            // What was fetched is unpacked only where the Dockerfile says so.
            let is_local = matches!(named, CopySource::Files { .. });
            let scratch = scratch.filter(|_| is_local || copy.op.unpack == Unpack::Yes);
            let place = |picked| unpacked.place(&source.files, picked, scratch);
            let places = picked.iter().map(place).collect::<Result<_, _>>()?;
            unpacked.places.push(places);
        }
        Ok(unpacked)
    }

    fn place(
        &mut self,
        files: &Chain,
        picked: &Picked<'_>,
        scratch: Option<&Path>,
    ) -> Result<Option<usize>, CopyError> {
        let Some(scratch) = scratch else {
            return Ok(None);
        };
        let archive = archive::unpack(files, &picked.root, scratch)?;
        Ok(archive.map(|archive| {
            let number = self.sources.len();
            self.sources.push(archive.files);
            self.links.insert(number, archive.links);
            number
        }))
    }

    /// Puts what an archive holds into the destination. Hard links to what was there before come first: what the archive holds under
    /// the same names counts from then on.
    pub fn put<'p>(
        &'p self,
        placement: &mut Placement<'p>,
        archive: usize,
        picked: &Picked<'_>,
        copy: &CopyOp,
    ) -> Result<(), CopyError> {
        let target = placement.unpack_directory(&copy.destination)?;
        for link in &self.links[&archive] {
            if !placement.unpack_link(&target, link)? {
                return Err(archive::dangling(&shown(&picked.name), link));
            }
        }
        for (tree, _) in self.sources[archive].layers() {
            for entry in tree.entries().iter().filter(|entry| !entry.path.is_empty()) {
                placement.unpack_entry(archive, Some(0), entry, &join(&target, &entry.path))?;
            }
        }
        Ok(())
    }
}
