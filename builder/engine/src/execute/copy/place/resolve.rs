//! What is at a path of a destination, below or just added, and where links in it lead: always inside the root. Adds nothing.

use super::{Content, Placement};
use crate::execute::copy::{join, parent, shown};
use crate::failure::CopyError;
use kiln_cache::{Entry, EntryKind, Found};

/// Symbolic links followed in one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// What stands at a path.
pub(super) enum Seen {
    Nothing,
    Directory,
    Link(Vec<u8>),
    Other,
}

impl Placement<'_> {
    /// What is at a path whose parents are no links.
    pub(super) fn see(&self, path: &[u8]) -> Seen {
        if path.is_empty() {
            return Seen::Directory;
        }
        if let Some(placed) = self.placed.get(path) {
            return match &placed.content {
                Content::Directory => Seen::Directory,
                Content::Entry(_, entry, _) | Content::Below(Found { entry, .. }, _) => {
                    see_entry(entry)
                }
                Content::Inline(_) => Seen::Other,
            };
        }
        self.below
            .lookup(path)
            .map_or(Seen::Nothing, |found| see_entry(found.entry))
    }

    /// Follows links in `path`, all of them, inside the root, also through what was added.
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, CopyError> {
        let mut todo: Vec<Vec<u8>> = components(path);
        let mut done: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(component) = todo.pop() {
            if component == b".." {
                done = parent(&done).to_vec();
                continue;
            }
            let at = join(&done, &component);
            let Seen::Link(target) = self.see(&at) else {
                done = at;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(CopyError::NotADirectory(shown(path)));
            }
            if target.starts_with(b"/") {
                done.clear();
            }
            todo.extend(components(&target));
        }
        Ok(done)
    }
}

fn see_entry(entry: &Entry) -> Seen {
    match &entry.kind {
        EntryKind::Directory { .. } => Seen::Directory,
        EntryKind::Symlink { target } => Seen::Link(target.to_vec()),
        _ => Seen::Other,
    }
}

/// Components in reverse order, without `.` and empty ones.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
