//! `--cache-ttl`: which results are too old to be used again. Unaware of how they are found.

use super::{Execution, Key};
use kiln_cache::Record;

impl Execution<'_> {
    /// Whether a result was made longer ago than `--cache-ttl` allows. Old stores do not know when; then its own time counts.
    pub(super) fn is_too_old(&self, record: &Record) -> bool {
        let made = match record.made {
            0 => record.created,
            made => made,
        };
        let age = self.session.host.seconds().saturating_sub(made);
        self.build.reuse.cache_ttl.is_some_and(|most| age > most)
    }

    /// Why the result of a key that is known is not used.
    pub(super) fn age(&self, key: &Key) -> Option<String> {
        let record = self.session.store.records().lookup(&key.digest).ok()??;
        self.is_too_old(&record)
            .then(|| "its result is older than --cache-ttl".to_owned())
    }
}
