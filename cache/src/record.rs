//! Records: key -> result of one operation.
//!
//! A record is found by its key only while its layer is in the store, or was imported from a shared cache, and only by a build that names all
//! caches that it rests on ([`crate::exchange`]). Unaware of how keys are made.

use kiln_oci::Digest;
use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::exchange::Caches;
use crate::store::database::{digest, optional_digest, signed, unsigned};
use crate::store::used::Thing;
use crate::{Isolation, Records, Store, StoreError};

/// What an operation made, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Digest of the operation and of its inputs' content.
    pub key: Digest,
    /// Digest of the operation alone: what was asked, whatever it was asked about.
    pub definition: Digest,
    /// Names and digests that went into the key, in order.
    pub inputs: Vec<(String, Digest)>,
    /// The layer, or `None` when the operation changed nothing.
    pub diff_id: Option<Digest>,
    /// Digest of the layer's tree without times; of the empty tree when there is no layer.
    pub tree: Digest,
    /// Time of the first execution, seconds since 1970; a cached result keeps it.
    pub created: i64,
    /// Time of the latest execution by the clock. `created` may say something else: a `SOURCE_DATE_EPOCH`, or the time of an equal result.
    pub made: i64,
    /// Wall time of the execution in milliseconds: what removing the result would cost.
    pub cost_ms: u64,
    /// Line in the Dockerfile, from 1; 0 where there is none.
    pub dockerfile_line: u32,
    /// What a person reads: `RUN make`.
    pub title: String,
    /// The shared caches that it rests on: one said it, or the operation read what one had said. They mean nothing elsewhere.
    #[serde(skip)]
    pub caches: Caches,
    /// The weakest isolation of the commands that have made it and what it was made of.
    #[serde(default)]
    pub isolation: Isolation,
}

const COLUMNS: &str = "key, definition, inputs, records.diff_id, records.tree, created, records.cost_ms, line, title, made, caches, \
                       isolation";

/// What a layer holds is known since it is here; a record that says something else never counts.
const NOT_REFUTED: &str = "FROM records LEFT JOIN layers ON layers.diff_id = records.diff_id \
                           WHERE (layers.tree IS NULL OR layers.tree = records.tree)";

impl Records<'_> {
    /// The result of a key, pinned; a record whose layer is gone is a miss. What this store made itself comes before what caches say,
    /// and those in the order in which the build names them.
    ///
    /// # Errors
    /// The database fails.
    pub fn lookup(&self, key: &Digest) -> Result<Option<Record>, StoreError> {
        let query = format!("SELECT {COLUMNS} {NOT_REFUTED} AND key = ?1");
        let mut found = self.select(&query, key)?;
        found.sort_by_cached_key(|record| self.store.rank(&record.caches));
        for record in found {
            if self.holds(&record)? {
                self.store.exchange().believe(&record)?;
                self.store.touch(Thing::Record, key);
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Whether the record's layer is here, and from now on stays, or can be fetched from an origin.
    fn holds(&self, record: &Record) -> Result<bool, StoreError> {
        let Some(diff_id) = record.diff_id else {
            return Ok(true);
        };
        self.store.leases().pin(&[diff_id])?;
        self.store.touch(Thing::Layer, &diff_id);
        // what a power cut has torn is no result
        Ok(
            self.store.blobs().verify(&diff_id)?
                || self.store.exchange().is_importable(&diff_id)?,
        )
    }

    /// Writes a record; one with the same key that rests on the same caches is replaced.
    ///
    /// # Errors
    /// The database fails.
    pub fn put(&self, record: &Record) -> Result<(), StoreError> {
        self.store.writable()?;
        self.put_all(std::iter::once(record))
    }

    /// Writes records, all or none.
    pub(crate) fn put_all<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), StoreError> {
        let now = self.store.now();
        let mut rows = Vec::new();
        for record in records {
            let inputs = serde_json::to_string(&record.inputs);
            let inputs = inputs.map_err(|_| StoreError::Damaged {
                what: "the inputs of a record".to_owned(),
            })?;
            rows.push((record, inputs));
        }
        self.store.db().write(|transaction| {
            rows.iter()
                .try_for_each(|(record, inputs)| insert(transaction, record, inputs, now))
        })
    }

    /// Whether there is a record of this key, even one that does not count.
    ///
    /// # Errors
    /// The database fails.
    pub fn has(&self, key: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM records WHERE key = ?1";
        let found = self.store.db().row(query, [key.as_bytes()], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Whether any record that counts has this definition: if not, no key of it can hit.
    ///
    /// # Errors
    /// The database fails.
    pub fn has_definition(&self, definition: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT caches, isolation FROM records WHERE definition = ?1";
        let parameters = [definition.as_bytes()];
        let made = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let counts = |(caches, isolation): &_| counts(self.store, caches, *isolation);
        let found: Option<(Caches, Isolation)> =
            self.store.db().first(query, parameters, made, counts)?;
        Ok(found.is_some())
    }

    /// The oldest record of an operation that counts, has this tree and is `wanted`.
    ///
    /// # Errors
    /// The database fails.
    pub fn oldest_with(
        &self,
        definition: &Digest,
        tree: &Digest,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Option<Record>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} {NOT_REFUTED} AND definition = ?1 AND records.tree = ?2 ORDER BY created, key, caches"
        );
        let is_it = |record: &Record| {
            counts(self.store, &record.caches, record.isolation) && wanted(record)
        };
        let parameters = [definition.as_bytes(), tree.as_bytes()];
        self.store.db().first(&query, parameters, from_row, is_it)
    }

    /// Those that count.
    fn select(&self, query: &str, digest: &Digest) -> Result<Vec<Record>, StoreError> {
        let database = self.store.db();
        let mut records: Vec<Record> = database.rows(query, [digest.as_bytes()], from_row)?;
        records.retain(|record| counts(self.store, &record.caches, record.isolation));
        Ok(records)
    }
}

/// Whether the build takes what rests on these caches and was made in this isolation.
pub(crate) fn counts(store: &Store, caches: &Caches, isolation: Isolation) -> bool {
    store.counts(caches) && isolation >= store.isolation
}

fn insert(
    transaction: &Transaction<'_>,
    record: &Record,
    inputs: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let replace = "INSERT OR REPLACE INTO records (key, definition, inputs, diff_id, tree, created, cost_ms, line, title, made, caches, \
                   isolation, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let (key, definition, tree) = (record.key, record.definition, record.tree);
    let (cost, diff_id) = (signed(record.cost_ms), record.diff_id);
    transaction.prepare_cached(replace)?.execute(params![
        key.as_bytes(),
        definition.as_bytes(),
        inputs,
        diff_id.map(|diff_id| *diff_id.as_bytes()),
        tree.as_bytes(),
        record.created,
        cost,
        record.dockerfile_line,
        record.title,
        record.made,
        record.caches,
        record.isolation,
        now,
    ])?;
    // only what it cost here decides
    if let Some(diff_id) = diff_id.filter(|_| record.caches.is_empty()) {
        let update = "UPDATE layers SET cost_ms = max(cost_ms, ?1) WHERE diff_id = ?2";
        let mut update = transaction.prepare_cached(update)?;
        update.execute((cost, diff_id.as_bytes()))?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Record> {
    let inputs: String = row.get(2)?;
    let inputs = serde_json::from_str(&inputs).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Record {
        key: digest(row, 0)?,
        definition: digest(row, 1)?,
        inputs,
        diff_id: optional_digest(row, 3)?,
        tree: digest(row, 4)?,
        created: row.get(5)?,
        cost_ms: unsigned(row.get(6)?),
        dockerfile_line: row.get(7)?,
        title: row.get(8)?,
        made: row.get(9)?,
        caches: row.get(10)?,
        isolation: row.get(11)?,
    })
}
