//! Records: key -> result of one operation.
//!
//! A record is found by its key only while its layer is in the store, or offered by a shared cache. Unaware of how keys are made.

use kiln_oci::Digest;
use rusqlite::{OptionalExtension, Row, Transaction, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::store::database::{digest, optional_digest, signed, unsigned};
use crate::store::used::Thing;
use crate::{Store, StoreError};

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
    /// Time of the latest execution, by the clock; whatever `created` says, which a `SOURCE_DATE_EPOCH` or an earlier equal result decides.
    pub made: i64,
    /// Wall time of the execution in milliseconds: what removing the result would cost.
    pub cost_ms: u64,
    /// Line in the Dockerfile, from 1; 0 where there is none.
    pub dockerfile_line: u32,
    /// What a person reads: `RUN make`.
    pub title: String,
}

const COLUMNS: &str = "key, definition, inputs, diff_id, tree, created, cost_ms, line, title, made";

impl Store {
    /// The result of a key, pinned; a record whose layer is gone is a miss.
    ///
    /// # Errors
    /// The database fails.
    pub fn lookup(&self, key: &Digest) -> Result<Option<Record>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM records WHERE key = ?1");
        let row = self.database().read(|connection| {
            let mut statement = connection.prepare_cached(&query)?;
            statement.query_row([key.as_bytes()], from_row).optional()
        })?;
        let Some(record) = row else {
            return Ok(None);
        };
        if !self.holds(&record)? {
            return Ok(None);
        }
        self.touch(Thing::Record, key);
        Ok(Some(record))
    }

    /// Whether the record's layer is here, and from now on stays, or is offered by a place that can be reached.
    fn holds(&self, record: &Record) -> Result<bool, StoreError> {
        let Some(diff_id) = record.diff_id else {
            return Ok(true);
        };
        self.pin(&[diff_id])?;
        self.touch(Thing::Layer, &diff_id);
        // what a power cut has torn is no result
        Ok(self.verify_blob(&diff_id)? || self.is_offered(&diff_id)?)
    }

    /// Writes a record; one with the same key is replaced.
    ///
    /// # Errors
    /// The database fails.
    pub fn record(&self, record: &Record) -> Result<(), StoreError> {
        self.record_all(std::iter::once(record))
    }

    /// Writes records, all or none.
    pub(crate) fn record_all<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), StoreError> {
        self.writable()?;
        let now = self.now();
        let mut rows = Vec::new();
        for record in records {
            let inputs = serde_json::to_string(&record.inputs);
            let inputs = inputs.map_err(|_| StoreError::Damaged {
                what: "the inputs of a record".to_owned(),
            })?;
            rows.push((record, inputs));
        }
        self.database().write(|transaction| {
            rows.iter()
                .try_for_each(|(record, inputs)| insert(transaction, record, inputs, now))
        })
    }

    /// Whether any record has this definition: if not, no key of it can hit.
    ///
    /// # Errors
    /// The database fails.
    pub fn has_definition(&self, definition: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM records WHERE definition = ?1)";
        self.database().read(|connection| {
            connection
                .prepare_cached(query)?
                .query_row([definition.as_bytes()], |row| row.get(0))
        })
    }

    /// The layer of an earlier result of the same operation with the same tree, still in the store: the new one can be dropped.
    /// The earliest, by time and then by key.
    ///
    /// # Errors
    /// The database fails.
    pub fn result_with_tree(
        &self,
        definition: &Digest,
        tree: &Digest,
    ) -> Result<Option<Digest>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM records WHERE definition = ?1 AND tree = ?2 AND diff_id IS NOT NULL ORDER BY created, key"
        );
        for record in self.select(&query, &[definition, tree])? {
            if self.holds(&record)? {
                return Ok(record.diff_id);
            }
        }
        Ok(None)
    }

    /// All records of an operation, the latest first: why did it miss?
    ///
    /// # Errors
    /// The database fails.
    pub fn records_of_definition(&self, definition: &Digest) -> Result<Vec<Record>, StoreError> {
        self.select(
            &format!(
                "SELECT {COLUMNS} FROM records WHERE definition = ?1 ORDER BY created DESC, key"
            ),
            &[definition],
        )
    }

    fn select(&self, query: &str, digests: &[&Digest]) -> Result<Vec<Record>, StoreError> {
        self.database().read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map(
                params_from_iter(digests.iter().map(|digest| *digest.as_bytes())),
                from_row,
            )?;
            rows.collect()
        })
    }
}

fn insert(
    transaction: &Transaction<'_>,
    record: &Record,
    inputs: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let replace = format!(
        "INSERT OR REPLACE INTO records ({COLUMNS}, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    let cost = signed(record.cost_ms);
    let row = (
        record.key.as_bytes(),
        record.definition.as_bytes(),
        inputs,
        record.diff_id.map(|diff_id| *diff_id.as_bytes()),
        record.tree.as_bytes(),
        record.created,
        cost,
        record.dockerfile_line,
        &record.title,
        record.made,
        now,
    );
    transaction.prepare_cached(&replace)?.execute(row)?;
    if let Some(diff_id) = record.diff_id {
        let update = "UPDATE layers SET cost_ms = max(cost_ms, ?1) WHERE diff_id = ?2";
        transaction
            .prepare_cached(update)?
            .execute((cost, diff_id.as_bytes()))?;
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
    })
}
