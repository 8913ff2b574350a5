//! The history of builds: which there were, how they ended, and what became of their steps. Unaware of how builds are carried out.
//!
//! A build that has ended is a row of the table `history`, written once and not synced: the last ones may be lost with the power. It holds
//! when the build began, and two JSON documents, so that a list of builds reads no steps: a [`PastBuild`] and its [`PastStep`]s.
//!
//! ```text
//! {"took_us":81250,"result":"built","file":"Dockerfile","project":"/src/app","names":["docker.io/library/app:v1"],"image":"sha256:…",
//!  "steps":4,"cached":3}
//! [{"step":2,"stage":"stage-0","number":1,"of":4,"line":2,"title":"RUN make","outcome":"ran","began_us":1200,"took_us":79000,"bytes":512},…]
//! ```
//!
//! What is not known is absent. What is new is a new field that may be absent: readers ignore fields that they do not know. The newest
//! [`MOST`] builds stay, the others go when a build is written, with their logs (`log.rs`).

use kiln_oci::Digest;
use rusqlite::{Row, Transaction};
use serde::{Deserialize, Serialize};

use crate::store::database::{rows, unsigned};
use crate::usage::Class;
use crate::{History, KeptLog, PruneOptions, Reason, StoreError, log};

/// How many builds are remembered.
pub const MOST: i64 = 200;

/// A build that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBuild {
    /// What names it: 12 hex digits, as in its events.
    #[serde(skip)]
    pub id: String,
    /// When it began, in microseconds since 1970.
    #[serde(skip)]
    pub began_us: i64,
    /// Microseconds from its beginning to its end.
    pub took_us: u64,
    /// How it ended.
    pub result: Ending,
    /// What it failed with, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The Dockerfile, as messages call it.
    pub file: String,
    /// The folder of its main context, if that was one: builds of the same file in the same folder are one project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What the image is called, or would have been.
    #[serde(default)]
    pub names: Vec<String>,
    /// The ID of the image, or the digest of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How many steps it had.
    pub steps: usize,
    /// How many of them came from the cache.
    pub cached: usize,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It gave what was asked for.
    #[default]
    Built,
    /// Something was wrong.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl Ending {
    /// As people and documents call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// How a step of a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepEnding {
    /// Its result was in the cache.
    Cached,
    /// It was executed and made something new.
    Ran,
    /// It was executed, and made the same as before.
    Unchanged,
    /// It failed.
    Failed,
}

/// What became of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastStep {
    /// Names it in the events of its build.
    pub step: usize,
    /// Its stage's name, else its number.
    pub stage: String,
    /// Position within the stage, from 1.
    pub number: usize,
    /// Steps of the stage.
    pub of: usize,
    /// Its line in the Dockerfile, from 1; 0 for none.
    pub line: u32,
    /// The beginning of the instruction, on one line.
    pub title: String,
    /// How it ended; absent where it was not reached, or was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepEnding>,
    /// Microseconds from the beginning of the build until it was executed; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_us: Option<u64>,
    /// Microseconds of its own work; of the first execution where it was cached, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// Bytes of its layer's tar, 0 for no layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Key of its result, or of the one that it would have had; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// The steps that it is made from, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<usize>,
    /// Why it was executed, where an earlier build of the project had it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What its command used of the machine.
    #[serde(flatten)]
    pub used: UsedByStep,
}

/// What a command used, as far as the kernel tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedByStep {
    /// Microseconds of processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Bytes of memory at its peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes that it wrote to disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
}

impl History<'_> {
    /// Remembers a build, and forgets the oldest where there are too many.
    ///
    /// # Errors
    /// The database fails.
    pub fn put(&self, build: &PastBuild, steps: &[PastStep]) -> Result<(), StoreError> {
        self.store.writable()?;
        let insert =
            "INSERT INTO history (build, began_us, document, steps) VALUES (?1, ?2, ?3, ?4)";
        let row = (&build.id, build.began_us, json(build), json(steps));
        let forgotten = self.store.db().write_lightly(|transaction| {
            transaction.prepare_cached(insert)?.execute(row)?;
            let last_to_go = transaction.last_insert_rowid() - MOST;
            let mut logs = log::forget_oldest(transaction, &build.id, log::MOST_BYTES)?;
            let delete = "DELETE FROM history WHERE number <= ?1 RETURNING build";
            let gone: Vec<String> = rows(transaction, delete, [last_to_go], |row| row.get(0))?;
            for build in gone {
                logs.extend(log::forget_build(transaction, &build)?);
            }
            Ok(logs)
        })?;
        self.store.logs().remove(&forgotten);
        Ok(())
    }

    /// All builds that are remembered, the newest first. One that another version wrote in its own way is left out.
    ///
    /// # Errors
    /// The database fails.
    pub fn builds(&self) -> Result<Vec<PastBuild>, StoreError> {
        let query = "SELECT build, began_us, document FROM history ORDER BY number DESC";
        let builds: Vec<Option<PastBuild>> = self.store.db().rows(query, [], read)?;
        Ok(builds.into_iter().flatten().collect())
    }

    /// The steps of a build, in the order of the Dockerfile; none where it is not remembered.
    ///
    /// # Errors
    /// The database fails.
    pub fn steps(&self, build: &str) -> Result<Vec<PastStep>, StoreError> {
        let query = "SELECT steps FROM history WHERE build = ?1 ORDER BY number DESC";
        let text: Option<String> = self.store.db().row(query, [build], |row| row.get(0))?;
        let steps = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(steps.unwrap_or_default())
    }
}

/// What a prune of the history gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pruned {
    /// Builds that are forgotten.
    pub(crate) builds: u64,
    /// Bytes of logs that are removed, and of those that stay.
    pub(crate) freed: u64,
    pub(crate) kept: u64,
}

impl History<'_> {
    /// Where all of the cache goes, forgets builds and logs of before `options.used_before`, else all; with a budget, removes the oldest logs
    /// until the store, of which everything else takes `others` bytes, is within it.
    pub(crate) fn prune(&self, options: &PruneOptions, others: u64) -> Result<Pruned, StoreError> {
        let (logs, database) = (self.store.logs(), self.store.db());
        let before = logs.bytes()?;
        let most = most(options, others);
        let forget = |transaction: &Transaction<'_>| forget(transaction, options, most);
        let (gone, builds, kept) = match options.dry_run {
            true => database.rehearse(|transaction| {
                forget(transaction).map_err(|source| database.failed(source))
            })?,
            false => database.write(forget)?,
        };
        if !options.dry_run {
            logs.remove(&gone);
        }
        if options.cache && !options.dry_run {
            logs.remove_strays()?;
        }
        let freed = before.saturating_sub(kept);
        Ok(Pruned {
            builds,
            freed,
            kept,
        })
    }

    /// How many builds are remembered, in so many bytes.
    pub(crate) fn usage(&self) -> Result<Class, StoreError> {
        let query = "SELECT count(*), coalesce(sum(length(document) + length(steps) + 64), 0) \
                     + (SELECT coalesce(sum(length(document) + 64), 0) FROM inputs) FROM history";
        let read = |row: &Row<'_>| {
            let bytes = unsigned(row.get(1)?);
            Ok(Class {
                count: unsigned(row.get(0)?),
                bytes,
                reclaimable: bytes,
            })
        };
        Ok(self.store.db().row(query, [], read)?.unwrap_or_default())
    }
}

/// Plain data of our own: serialising it cannot fail.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Option<PastBuild>> {
    let document: String = row.get(2)?;
    let Ok(build) = serde_json::from_str::<PastBuild>(&document) else {
        return Ok(None);
    };
    Ok(Some(PastBuild {
        id: row.get(0)?,
        began_us: row.get(1)?,
        ..build
    }))
}

/// Bytes that logs may take beside everything else.
fn most(options: &PruneOptions, others: u64) -> u64 {
    match options.budget {
        _ if options.is_choosy() => u64::MAX,
        Some(budget) => budget.saturating_sub(others),
        None if options.takes_all_cache() => 0,
        None => u64::MAX,
    }
}

/// Forgets what may go: the oldest logs, until the others take no more than `most` bytes, and builds. Which logs, how many builds, and how
/// many bytes of logs are left.
fn forget(
    transaction: &Transaction<'_>,
    options: &PruneOptions,
    most: u64,
) -> rusqlite::Result<(Vec<KeptLog>, u64, u64)> {
    let limit = options.used_before.unwrap_or(i64::MAX);
    let gone = log::forget_down_to(transaction, most, limit)?;
    let delete = "DELETE FROM history WHERE began_us < ?1";
    let builds = match options.takes_all_cache() {
        true => transaction.execute(delete, [limit.saturating_mul(1_000_000)])?,
        false => 0,
    };
    let are_builds_left = "SELECT EXISTS (SELECT 1 FROM history)";
    if !transaction.query_row(are_builds_left, [], |row| row.get(0))? {
        transaction.execute("DELETE FROM inputs", [])?;
    }
    let left = "SELECT coalesce(sum(size), 0) FROM logs";
    let left = transaction.query_row(left, [], |row| row.get(0))?;
    Ok((gone, builds as u64, unsigned(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(number: i64) -> PastBuild {
        PastBuild {
            id: format!("{number:012x}"),
            began_us: number,
            result: Ending::Failed,
            failure: Some("RUN failed".to_owned()),
            names: vec!["app".to_owned()],
            steps: 1,
            ..PastBuild::default()
        }
    }

    #[test]
    fn a_build_is_remembered_with_its_steps() {
        let (_folder, store) = crate::tests::store();
        let step = PastStep {
            title: "RUN make".to_owned(),
            outcome: Some(StepEnding::Unchanged),
            took_us: Some(5),
            ..PastStep::default()
        };
        let steps = [step, PastStep::default()];
        store.history().put(&build(1), &steps).unwrap();
        assert_eq!(store.history().builds().unwrap(), [build(1)]);
        assert_eq!(store.history().steps(&build(1).id).unwrap(), steps);
        assert_eq!(store.history().steps("other").unwrap(), []);
    }

    #[test]
    fn the_oldest_go_and_what_cannot_be_read_is_left_out() {
        let (_folder, store) = crate::tests::store();
        for number in 1..=MOST + 2 {
            store.history().put(&build(number), &[]).unwrap();
        }
        let builds = store.history().builds().unwrap();
        assert_eq!(builds.len(), 200);
        assert_eq!((builds[0].began_us, builds[199].began_us), (MOST + 2, 3));
        let damage = "UPDATE history SET document = '{}' WHERE began_us = 3";
        store.db().execute(damage, []).unwrap();
        assert_eq!(store.history().builds().unwrap().len(), 199);
    }
}
