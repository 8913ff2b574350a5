//! Removal of what is worth least, down to a budget.

/// What a prune did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Bytes that are gone or in the trash.
    pub freed: u64,
    /// Layers removed.
    pub layers: u64,
    /// Views removed.
    pub views: u64,
    /// Results that can no longer be found.
    pub records: u64,
    /// Untagged images removed.
    pub images: u64,
    /// Bytes that the store still holds.
    pub kept: u64,
}

impl crate::Store {
    /// Removes what is worth least until the store holds at most `budget` bytes; without a budget, all that no tag, record of a
    /// living process or lease needs.
    ///
    /// # Errors
    /// The database or a rename fails.
    pub fn prune(&self, budget: Option<u64>) -> Result<PruneReport, crate::StoreError> {
        let _ = budget;
        Err(crate::StoreError::Damaged {
            what: "unfinished".to_owned(),
        })
    }
}
