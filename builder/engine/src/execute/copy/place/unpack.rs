//! Where what `ADD` unpacks goes. Rules (docker's): what an archive holds replaces what was there, directories merge and look as it says;
//! `--chmod` changes nothing, parents that it implies are root's; user attributes are dropped. Unaware of how archives are read.

use super::resolve::Seen;
use super::{Changes, Content, Placed, Placement, prefixes};
use crate::execute::copy::{base_name, join, parent};
use crate::failure::CopyError;
use kiln_cache::{Entry, Meta, OutsideLink};

impl Changes<'_> {
    /// Metadata of an archive's hard link to a file with this content.
    fn of_link(&self, link: &OutsideLink, content: &Content<'_>) -> Meta {
        let mut meta = unpacked_xattrs(link.meta.clone());
        (meta.uid, meta.gid) = self.owner.unwrap_or((meta.uid, meta.gid));
        if content.is_symlink() {
            meta.mode = 0o777;
        }
        meta.mtime = self.clamp(meta.mtime);
        meta
    }
}

impl<'a> Placement<'a> {
    /// The directory that `destination` means, made if it is missing, for what is unpacked there. Archives say themselves
    /// what modes their files have: `--chmod` touches neither these nor the directory.
    ///
    /// # Errors
    /// When something else is there.
    pub fn unpack_directory(&mut self, destination: &str) -> Result<Vec<u8>, CopyError> {
        let chmod = self.changes.chmod.take();
        let target = self.directory(destination);
        self.changes.chmod = chmod;
        target
    }

    /// Puts an entry of an archive at `path`, whose parents may be links; whatever was there gives way.
    ///
    /// # Errors
    /// When links go in circles.
    pub fn unpack_entry(
        &mut self,
        source: usize,
        layer: Option<usize>,
        entry: &'a Entry,
        path: &[u8],
    ) -> Result<(), CopyError> {
        let folder = self.resolve(parent(path))?;
        self.make_unpack_directories(&folder);
        let target = join(&folder, base_name(path));
        if *entry == Entry::implied_directory(&entry.path) {
            self.make_unpack_directories(&self.resolve(&target)?);
            return Ok(());
        }
        let unpacked = Changes {
            chmod: None,
            ..self.changes
        };
        let meta = unpacked_xattrs(unpacked.of_entry(entry));
        if !entry.is_directory() {
            self.drop_below(&target);
        }
        let content = if entry.is_directory() {
            Content::Directory
        } else {
            Content::Entry(source, entry, layer)
        };
        self.placed.insert(
            target,
            Placed {
                meta,
                content,
                group: self.group,
            },
        );
        Ok(())
    }

    /// Puts a hard link of an archive that is unpacked in `destination` and does not hold the file itself: it becomes another name of
    /// what was there before, which takes what the archive says of it. False where nothing is that could have another name.
    ///
    /// # Errors
    /// When links go in circles.
    pub fn unpack_link(
        &mut self,
        destination: &[u8],
        link: &OutsideLink,
    ) -> Result<bool, CopyError> {
        let (path, target) = (
            join(destination, &link.path),
            join(destination, &link.target),
        );
        let target = join(&self.resolve(parent(&target))?, base_name(&target));
        let folder = self.resolve(parent(&path))?;
        let path = join(&folder, base_name(&path));
        let below = self.below;
        let content = match self.placed.get(&target) {
            Some(placed) => Some(placed.content.clone()),
            None => below
                .lookup(&target)
                .map(|found| Content::Below(found, target.clone())),
        };
        let Some(content) = content.filter(|content| !content.is_directory() && path != target)
        else {
            return Ok(false);
        };
        self.make_unpack_directories(&folder);
        self.drop_below(&path);
        let is_below = matches!(content, Content::Below(..));
        for name in [Some(path), is_below.then_some(target)]
            .into_iter()
            .flatten()
        {
            let placed = Placed {
                meta: self.changes.of_link(link, &content),
                content: content.clone(),
                group: self.group,
            };
            self.placed.insert(name, placed);
        }
        Ok(true)
    }

    /// Directories that an archive implies: root's, whatever `--chown` says.
    fn make_unpack_directories(&mut self, path: &[u8]) {
        for prefix in prefixes(path) {
            if !matches!(self.see(prefix), Seen::Directory) {
                let meta = Meta::root(0o755, self.changes.clamp(self.changes.now));
                self.placed.insert(
                    prefix.to_vec(),
                    Placed {
                        meta,
                        content: Content::Directory,
                        group: self.group,
                    },
                );
            }
        }
    }

    fn drop_below(&mut self, path: &[u8]) {
        let start = [path, b"/"].concat();
        let below: Vec<Vec<u8>> = self
            .placed
            .range(start.clone()..)
            .map(|(p, _)| p)
            .take_while(|p| p.starts_with(&start))
            .cloned()
            .collect();
        for path in below {
            self.placed.remove(&path);
        }
    }
}

/// As docker unpacks: capabilities are kept, what users attached is not.
fn unpacked_xattrs(mut meta: Meta) -> Meta {
    meta.xattrs
        .retain(|(name, _)| **name == *b"security.capability");
    meta
}
