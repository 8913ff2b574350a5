//! What the store holds, by class.

/// Number and bytes of one class of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// How many.
    pub count: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes that a prune without a budget would free.
    pub reclaimable: u64,
}

/// Disk usage of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tars and indexes of layers.
    pub layers: Class,
    /// Compressed layers, kept for verbatim manifests.
    pub compressed: Class,
    /// Unpacked layers.
    pub views: Class,
    /// Manifests and configs.
    pub images: Class,
    /// Results: rows of the database.
    pub records: Class,
    /// Stat indexes of contexts.
    pub contexts: Class,
    /// Scratch of living processes.
    pub scratch: Class,
    /// Removed, but still on disk.
    pub trash: Class,
}

impl crate::Store {
    /// What the store holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn df(&self) -> Result<Usage, crate::StoreError> {
        Err(crate::StoreError::Damaged {
            what: "unfinished".to_owned(),
        })
    }
}
