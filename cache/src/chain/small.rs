//! Small files that are read whole before their turn, so that other threads may do it. Unaware of what they are read for.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use crate::{Chain, ContentDigest, EntryKind, Found};

/// The most bytes of a small file: many of them are held at once.
const MOST: u64 = 32 << 10;
/// How much of a tar is read at once: two files at least.
const WINDOW: usize = 64 << 10;

/// A piece of a layer's tar, in which small files stand that follow each other.
#[derive(Debug, Default)]
pub struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Bytes of the tar, as far as it has them.
    fn read(&mut self, tar: &File, at: u64, size: usize) -> Option<&[u8]> {
        let start = |window: &Self| usize::try_from(at.checked_sub(window.at)?).ok();
        if start(self).is_none_or(|start| start.saturating_add(size) > self.bytes.len()) {
            self.at = at;
            self.bytes.resize(WINDOW, 0);
            let count = tar.read_at(&mut self.bytes, at).unwrap_or(0);
            self.bytes.truncate(count);
        }
        let start = start(self)?;
        self.bytes.get(start..start + size)
    }
}

/// The content of a regular file, as its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallFile {
    bytes: Vec<u8>,
    content: ContentDigest,
}

impl SmallFile {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The kind of its entry in a layer where its content begins at this offset.
    pub(crate) fn kind(&self, offset: u64) -> EntryKind {
        EntryKind::File {
            size: self.bytes.len() as u64,
            offset,
            content: self.content,
        }
    }
}

impl Chain {
    /// Reads a regular file with few bytes. `None` for what is no such file, and for one that is not what its entry says: who reads it in its
    /// turn tells why.
    #[must_use]
    pub fn read_small(&self, found: &Found<'_>) -> Option<SmallFile> {
        let EntryKind::File { size, content, .. } = found.entry.kind else {
            return None;
        };
        if size > MOST {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()? + 1);
        let reader = self.read_unchecked(found).ok()?;
        reader.take(size + 1).read_to_end(&mut bytes).ok()?;
        let is_meant = bytes.len() as u64 == size && ContentDigest::of(&bytes) == content;
        is_meant.then_some(SmallFile { bytes, content })
    }

    /// The same for files that follow each other in the tar of one layer, several of which are read at once.
    #[must_use]
    pub fn read_small_in(&self, window: &mut Window, found: &Found<'_>) -> Option<SmallFile> {
        let EntryKind::File {
            size,
            content,
            offset,
        } = found.entry.kind
        else {
            return None;
        };
        if size > MOST {
            return None;
        }
        let tar = self.opened_tar(found)?;
        let bytes = window.read(&tar, offset, usize::try_from(size).ok()?)?;
        (ContentDigest::of(bytes) == content).then(|| SmallFile {
            bytes: bytes.to_vec(),
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Meta;

    /// A layer with files of these sizes, `000`, `001` and so on.
    fn layer(sizes: &[usize]) -> (tempfile::TempDir, Chain) {
        let (folder, store) = crate::tests::store();
        let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
        for (number, &size) in sizes.iter().enumerate() {
            let content = vec![u8::try_from(number % 251).unwrap(); size];
            let path = format!("{number:03}");
            let meta = Meta::root(0o644, 0);
            let size = size as u64;
            let written = writer.file(path.as_bytes(), &meta, size, &mut &content[..]);
            written.unwrap();
        }
        let layer = writer.finish().unwrap().unwrap();
        (folder, Chain::new(vec![layer.origin()]))
    }

    #[test]
    fn what_is_read_at_once_is_what_is_read_alone() {
        let most = usize::try_from(MOST).unwrap();
        let sizes = [0, 1, 511, 512, 513, most, most, most - 1, 7, most + 1, 100];
        let (_folder, chain) = layer(&sizes);
        let (mut window, mut forth): (_, Vec<usize>) =
            (Window::default(), (0..sizes.len()).collect());
        let back: Vec<usize> = forth.iter().rev().copied().collect();
        forth.extend(back);
        for number in forth {
            let found = chain.lookup(format!("{number:03}").as_bytes()).unwrap();
            let alone = chain.read_small(&found);
            assert_eq!(alone.is_some(), sizes[number] <= most);
            assert_eq!(chain.read_small_in(&mut window, &found), alone);
        }
    }

    #[test]
    fn damage_is_not_read() {
        let (_folder, chain) = layer(&[600, 600]);
        let found = chain.lookup(b"001").unwrap();
        let path = chain.tar(&found).unwrap().path().to_owned();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[512 + 1024 + 512 + 5] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let mut window = Window::default();
        assert!(
            chain
                .read_small_in(&mut window, &chain.lookup(b"000").unwrap())
                .is_some()
        );
        assert_eq!(chain.read_small_in(&mut window, &found), None);
    }
}
