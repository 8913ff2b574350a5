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

    /// The same, and tells every path that it looks at on its way, links and what they lead to: a change anywhere else leads nowhere
    /// else.
    ///
    /// # Errors
    /// As [`Chain::resolve`].
    pub fn resolve_by(
        &self,
        path: &[u8],
        follow_last: bool,
        look: &mut dyn FnMut(&[u8]),
    ) -> Result<Resolved<'_>, ResolveError> {
        let mut done: Vec<u8> = Vec::new();
        // components still to go, the next one last
        let mut todo: Vec<Box<[u8]>> = reversed(path);
        let mut links = 0;
        while let Some(component) = todo.pop() {
            match &*component {
                b"." => {}
                b".." => done.truncate(parent(&done).unwrap_or_default().len()),
                name => {
                    let next = join(&done, name);
                    look(&next);
                    let follow = follow_last || !todo.is_empty();
                    let Some(target) = self.link_at(&next).filter(|_| follow) else {
                        done = next;
                        continue;
                    };
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ResolveError::Loop {
                            path: display(path),
                        });
                    }
                    if target.first() == Some(&b'/') {
                        done.clear();
                    }
                    todo.append(&mut reversed(target));
                }
            }
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

fn reversed(path: &[u8]) -> Vec<Box<[u8]>> {
    components(path).rev().map(Into::into).collect()
}
