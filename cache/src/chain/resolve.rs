//! Symbolic links in a chain, followed as the kernel would for a process that has the chain as its root.

use crate::path::{components, display, join, parent};
use crate::{Chain, EntryKind, ResolveError, Resolved};

/// Links that one resolution follows: the kernel's limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

impl Chain {
    /// Follows symbolic links as a process would whose root is this chain: absolute links and `..` stay inside. `path` may be
    /// absolute and dirty. Components that do not exist are kept by name.
    ///
    /// # Errors
    /// More than 40 links, as in the kernel.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Resolved<'_>, ResolveError> {
        self.resolve_by(path, follow_last, &mut |_| ())
    }

    /// The same, and calls `look` with every path that it looks at on its way: a change of any other path changes nothing.
    ///
    /// # Errors
    /// As [`Chain::resolve`].
    pub fn resolve_by(
        &self,
        path: &[u8],
        follow_last: bool,
        look: &mut dyn FnMut(&[u8]),
    ) -> Result<Resolved<'_>, ResolveError> {
        let (mut done, mut links): (Vec<u8>, _) = (Vec::new(), 0);
        // components still to go, the next one last
        let mut todo: Vec<&[u8]> = components(path).rev().collect();
        while let Some(component) = todo.pop() {
            match component {
                b"." => continue,
                b".." => {
                    done.truncate(parent(&done).unwrap_or_default().len());
                    continue;
                }
                name => done = join(&done, name),
            }
            look(&done);
            let follow = follow_last || !todo.is_empty();
            let Some(target) = self.link_at(&done).filter(|_| follow) else {
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                let path = display(path);
                return Err(ResolveError::Loop { path });
            }
            let is_absolute = target.first() == Some(&b'/');
            let directory = parent(&done).filter(|_| !is_absolute).unwrap_or_default();
            let kept = directory.len();
            done.truncate(kept);
            todo.extend(components(target).rev());
        }
        let found = self.lookup(&done);
        Ok(Resolved { path: done, found })
    }

    fn link_at(&self, path: &[u8]) -> Option<&[u8]> {
        match &self.lookup(path)?.entry.kind {
            EntryKind::Symlink { target } => Some(target),
            _ => None,
        }
    }
}
