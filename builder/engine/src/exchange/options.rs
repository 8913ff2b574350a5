//! A cache to import or export, as a caller describes it. Unaware of backends.

use std::collections::BTreeMap;
use std::fmt;

/// `type=` and the other keys that the backend of a cache reads. A key that is given twice has its last value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CacheOptions(BTreeMap<String, String>);

impl CacheOptions {
    /// The options of some pairs.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// All pairs.
    pub(super) fn pairs(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

/// Without the values, which may be secrets.
impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
