//! Looking at the content of some files of a tar that is read once and not stored, and keeping what is asked for by name, while it is
//! small. Unaware of who wants it.

use std::collections::BTreeMap;

/// Contents by path, as the tar names it.
pub type Kept = BTreeMap<Box<[u8]>, Vec<u8>>;

/// A larger file is not kept.
const LARGEST: u64 = 32 << 20;
/// Bytes that are kept of one tar.
const MOST: u64 = 96 << 20;

/// Somebody who looks at files while they pass by. Several of the same path may come; the last one counts.
pub trait Watch: Send {
    /// A file of so many bytes begins; whether its content is shown.
    fn begin(&mut self, path: &[u8], size: u64) -> bool;
    /// The next bytes of a file whose content is shown.
    fn see(&mut self, bytes: &[u8]);
    /// All of it was shown.
    fn end(&mut self);
}

/// Nobody.
impl Watch for () {
    fn begin(&mut self, _: &[u8], _: u64) -> bool {
        false
    }

    fn see(&mut self, _: &[u8]) {}

    fn end(&mut self) {}
}

/// Keeps contents.
#[derive(Debug)]
pub struct Keeper {
    is_wanted: fn(&[u8]) -> bool,
    kept: Kept,
    left: u64,
    open: Option<(Box<[u8]>, Vec<u8>)>,
}

impl Keeper {
    /// Keeps the small files whose paths are wanted.
    #[must_use]
    pub fn new(is_wanted: fn(&[u8]) -> bool) -> Self {
        Keeper {
            is_wanted,
            kept: Kept::new(),
            left: MOST,
            open: None,
        }
    }

    /// What was kept.
    #[must_use]
    pub fn finish(self) -> Kept {
        self.kept
    }
}

impl Watch for Keeper {
    fn begin(&mut self, path: &[u8], size: u64) -> bool {
        let is_kept = size <= LARGEST.min(self.left) && (self.is_wanted)(path);
        self.open = is_kept.then(|| (path.into(), Vec::new()));
        is_kept
    }

    fn see(&mut self, bytes: &[u8]) {
        if let Some((_, content)) = &mut self.open {
            content.extend_from_slice(bytes);
        }
    }

    fn end(&mut self) {
        if let Some((path, content)) = self.open.take() {
            self.left = self.left.saturating_sub(content.len() as u64);
            self.kept.insert(path, content);
        }
    }
}
