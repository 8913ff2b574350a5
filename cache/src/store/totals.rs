//! How much the store holds, as sums that triggers of the database keep (`database/schema.rs`): one look, however many things there
//! are. They lack what has no row: indexes of layers, scratch, trash. Unaware of what may go.

use std::path::Path;

use kiln_oci::locked;

use crate::store::database::{signed, unsigned};
use crate::usage::measured;
use crate::{Store, StoreError};

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Bytes of blobs, views and cache mounts.
    pub(crate) held: u64,
    /// What the store held when nothing more could go.
    pub(crate) left: u64,
    /// When that was.
    pub(crate) left_at: i64,
}

impl Store {
    pub(crate) fn totals(&self) -> Result<Totals, StoreError> {
        let query = "SELECT sum(bytes), max(left_over), max(left_at) FROM totals";
        let totals = self.db().row(query, [], |row| {
            Ok(Totals {
                held: unsigned(row.get(0)?),
                left: unsigned(row.get(1)?),
                left_at: row.get(2)?,
            })
        })?;
        Ok(totals.unwrap_or_default())
    }

    /// Notes that nothing more can go of what there is now.
    pub(crate) fn leave_in_peace(&self) -> Result<(), StoreError> {
        let update = "UPDATE totals SET left_at = ?1, left_over = (SELECT sum(bytes) FROM totals)";
        self.db().execute(update, [self.now()])
    }

    /// Measures the cache mounts that this process has used since the last time.
    pub(crate) fn measure_mounts(&self) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *locked(&self.inner.mounts));
        let upsert =
            "INSERT INTO mounts (path, bytes) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET bytes = ?2";
        used.iter().try_for_each(|path| {
            let bytes = measured(path, true).bytes;
            self.db()
                .execute(upsert, (self.mount_name(path), signed(bytes)))
        })
    }

    /// What the table calls a cache mount: its path below the store.
    pub(crate) fn mount_name<'a>(&self, path: &'a Path) -> std::borrow::Cow<'a, str> {
        path.strip_prefix(self.root())
            .unwrap_or(path)
            .to_string_lossy()
    }
}
