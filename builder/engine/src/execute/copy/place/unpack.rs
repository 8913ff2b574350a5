//! Where what `ADD` unpacks goes. Rules (docker's): what an archive holds replaces what was there, directories merge and look as it says;
//! `--chmod` changes nothing, parents that it implies are root's; user attributes are dropped. Unaware of how archives are read.

use super::resolve::Seen;
use super::{Changes, Content, Placement, prefixes};
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
        meta
    }
}

impl<'a> Placement<'a> {
    /// The directory that `destination` means, made if it is missing, for what is unpacked there. Archives say themselves
    /// what modes their files have: `--chmod` touches neither these nor the directory.
    pub fn unpack_directory(&mut self, destination: &str) -> Result<Vec<u8>, CopyError> {
        let chmod = self.changes.chmod.take();
        let target = self.directory(destination);
        self.changes.chmod = chmod;
        target
    }

    /// Puts an entry of an archive at `path`, whose parents may be links; whatever was there gives way.
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
        let mut content = Content::Directory;
        if !entry.is_directory() {
            self.drop_below(&target);
            content = Content::Entry(source, entry, layer);
        }
        self.insert(target, meta, content);
        Ok(())
    }

    /// Puts a hard link of an archive that is unpacked in `destination` and does not hold the file itself: it becomes another name of
    /// what was there before, which takes what the archive says of it. False where nothing is there that could have another name.
    pub fn unpack_link(
        &mut self,
        destination: &[u8],
        link: &OutsideLink,
    ) -> Result<bool, CopyError> {
        let path = join(destination, &link.path);
        let folder = self.resolve(parent(&path))?;
        let path = join(&folder, base_name(&path));
        let target = join(destination, &link.target);
        let target = join(&self.resolve(parent(&target))?, base_name(&target));
        let content = self.content(&target);
        let content = content.filter(|content| !content.is_directory() && path != target);
        let Some(content) = content else {
            return Ok(false);
        };
        self.make_unpack_directories(&folder);
        self.drop_below(&path);
        let meta = self.changes.of_link(link, &content);
        if let Content::Below(..) = content {
            self.insert(target, meta.clone(), content.clone());
        }
        self.insert(path, meta, content);
        Ok(true)
    }

    /// What is at a path, added or below.
    fn content(&self, path: &[u8]) -> Option<Content<'a>> {
        let below = self.below;
        let content = |found| Content::Below(found, path.to_vec());
        match self.placed.get(path) {
            Some(placed) => Some(placed.content.clone()),
            None => below.lookup(path).map(content),
        }
    }

    /// Directories that an archive implies: root's, whatever `--chown` says.
    fn make_unpack_directories(&mut self, path: &[u8]) {
        for prefix in prefixes(path) {
            if !matches!(self.see(prefix), Seen::Directory) {
                let meta = Meta::root(0o755, self.changes.now);
                self.insert(prefix.to_vec(), meta, Content::Directory);
            }
        }
    }

    fn drop_below(&mut self, path: &[u8]) {
        let start = [path, b"/"].concat();
        let from = self.placed.range(start.clone()..).map(|(path, _)| path);
        let below = from.take_while(|path| path.starts_with(&start)).cloned();
        for path in below.collect::<Vec<_>>() {
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
