//! Logs: what steps printed. Unaware of steps, and of what in a log is secret: who keeps one has taken that out.
//!
//! `logs/<build>-<step>.zst` is a log in one zstd frame, and a row of the table `logs` says whose it is: the build in which the step ran,
//! the step's number there, and the key of its result, by which builds find it in which the result came from the cache. A step that failed
//! or was stopped has no key. A step that printed nothing has no log. Nothing is synced: a row without its file is a log that is lost, and a
//! file without its row goes with the next prune.
//!
//! All logs together take at most [`MOST_BYTES`]: the oldest go when a build ends. Those of a build that is forgotten go with it, unless the
//! store still has the result.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use kiln_oci::Digest;
use kiln_oci::compression::{Encoding, decoder};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::inventory::list;
use crate::store::database::{rows, signed, unsigned};
use crate::store::folders::{folder, private};
use crate::{Logs, StoreError};

/// Bytes on the disk that all logs may take together.
pub const MOST_BYTES: u64 = 256 << 20;
/// What a file takes at least, and in what steps it grows.
const BLOCK: u64 = 4096;
/// How long after its file a log has its row at the latest.
const SETTLED: Duration = Duration::from_secs(3600);
/// zstd's own default.
const LEVEL: i32 = 3;

/// Whose log it is.
#[derive(Clone, Copy, Debug)]
pub struct LogOf<'a> {
    /// The build.
    pub build: &'a str,
    /// The step, as the events of the build number it.
    pub step: usize,
    /// Under which key its result is recorded.
    pub key: Option<&'a Digest>,
}

/// A log that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLog {
    /// The build in which the step ran.
    pub build: String,
    /// The step there.
    pub step: usize,
}

impl KeptLog {
    fn name(&self) -> String {
        format!("{}-{}.zst", self.build, self.step)
    }
}

impl Logs<'_> {
    /// Keeps a log: what `write` writes. One of the same step of the same build is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(
        &self,
        of: LogOf<'_>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.store.writable()?;
        let kept = KeptLog {
            build: of.build.to_owned(),
            step: of.step,
        };
        let size = self.write(&kept, write)?;
        let replace = "INSERT OR REPLACE INTO logs (build, step, key, kept, size) VALUES (?1, ?2, ?3, ?4, ?5)";
        let key = of.key.map(|key| *key.as_bytes());
        let (step, size, now) = (of.step as i64, signed(size), self.store.now());
        let row = params![of.build, step, key, now, size];
        self.store.db().execute(replace, row)
    }

    /// Writes the file; the bytes that it takes.
    fn write(
        &self,
        log: &KeptLog,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, StoreError> {
        let scratch = self.store.scratch().path("log")?;
        let compressed = || {
            let out = BufWriter::new(private(&scratch)?);
            let mut encoder = zstd::Encoder::new(out, LEVEL)?;
            write(&mut encoder)?;
            let file = encoder.finish()?.into_inner()?;
            file.metadata()
        };
        let path = self.path(log);
        let failed = |source| StoreError::io("write", &path, source);
        let placed = folder(&self.folder()).and_then(|()| compressed());
        let placed = placed.map_err(failed).and_then(|metadata| {
            self.store.scratch().put_in_place(&scratch, &path)?;
            Ok(metadata.len().max(1).next_multiple_of(BLOCK))
        });
        // what stays goes with the lease
        placed.inspect_err(|_| drop(std::fs::remove_file(&scratch)))
    }

    /// The log of a step that ran in this build; else, where its result came from the cache, that of the build before this moment, in seconds
    /// since 1970, which made the result.
    ///
    /// # Errors
    /// The database fails.
    pub fn find(&self, of: LogOf<'_>, moment: i64) -> Result<Option<KeptLog>, StoreError> {
        let query = "SELECT build, step FROM logs WHERE build = ?1 AND step = ?2";
        let own = self
            .store
            .db()
            .row(query, (of.build, of.step as i64), kept)?;
        let Some(key) = of.key.filter(|_| own.is_none()) else {
            return Ok(own);
        };
        let query =
            "SELECT build, step FROM logs WHERE key = ?1 ORDER BY kept <= ?2 DESC, number DESC";
        self.store.db().row(query, (key.as_bytes(), moment), kept)
    }

    /// Reads a log; none where its file is gone.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self, log: &KeptLog) -> Result<Option<impl Read + use<>>, StoreError> {
        let path = self.path(log);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.and_then(|file| decoder(file, Encoding::Zstd)),
        };
        opened
            .map(Some)
            .map_err(|source| StoreError::io("read", &path, source))
    }

    /// Bytes that all logs take on the disk.
    pub(crate) fn bytes(&self) -> Result<u64, StoreError> {
        let query = "SELECT coalesce(sum(size), 0) FROM logs";
        let bytes = self.store.db().row(query, [], |row| row.get(0))?;
        Ok(unsigned(bytes.unwrap_or(0)))
    }

    /// Removes files without rows. One that is new may be waiting for its row.
    pub(crate) fn remove_strays(&self) -> Result<(), StoreError> {
        let query = "SELECT build, step FROM logs";
        let known: Vec<KeptLog> = self.store.db().rows(query, [], kept)?;
        let known: BTreeSet<String> = known.iter().map(KeptLog::name).collect();
        for entry in list(&self.folder())? {
            let is_known = entry
                .file_name()
                .to_str()
                .is_some_and(|name| known.contains(name));
            let changed = entry.metadata().and_then(|found| found.modified());
            let age = changed.ok().and_then(|time| time.elapsed().ok());
            if !is_known && age.is_some_and(|age| age > SETTLED) {
                // what stays goes with another prune
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.store.root().join("logs")
    }

    fn path(&self, log: &KeptLog) -> PathBuf {
        self.folder().join(log.name())
    }

    /// Removes the files of logs whose rows are gone.
    pub(crate) fn remove(&self, logs: &[KeptLog]) {
        for log in logs {
            // what stays has no row, and goes with the next prune
            let _ = std::fs::remove_file(self.path(log));
        }
    }
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptLog> {
    Ok(KeptLog {
        build: row.get(0)?,
        step: usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
    })
}

/// Forgets the logs of a build that is forgotten, but for those of results that the store has; which they are.
pub(crate) fn forget_build(
    transaction: &Transaction<'_>,
    build: &str,
) -> rusqlite::Result<Vec<KeptLog>> {
    let delete = "DELETE FROM logs WHERE build = ?1 AND (key IS NULL OR NOT EXISTS (SELECT 1 FROM records WHERE records.key = logs.key)) RETURNING build, step";
    rows(transaction, delete, [build], kept)
}

/// Forgets the oldest logs, if `build` has kept any, until the others take no more than `most` bytes; which they are.
pub(crate) fn forget_oldest(
    transaction: &Transaction<'_>,
    build: &str,
    most: u64,
) -> rusqlite::Result<Vec<KeptLog>> {
    let query = "SELECT 1 FROM logs WHERE build = ?1";
    let kept_any = transaction
        .prepare_cached(query)?
        .query_row([build], |_| Ok(()))
        .optional()?;
    match kept_any {
        None => Ok(Vec::new()),
        Some(()) => forget_down_to(transaction, most, i64::MAX),
    }
}

/// Forgets the oldest logs of before the second `limit` until the others take no more than `most` bytes; which they are.
pub(crate) fn forget_down_to(
    transaction: &Transaction<'_>,
    most: u64,
    limit: i64,
) -> rusqlite::Result<Vec<KeptLog>> {
    let query = "SELECT number, size FROM logs ORDER BY number DESC";
    let read = |row: &Row<'_>| Ok((row.get(0)?, unsigned(row.get(1)?)));
    let newest_first: Vec<(i64, u64)> = rows(transaction, query, [], read)?;
    let mut held = 0_u64;
    let is_beyond = |(_, size): &&(i64, u64)| {
        held = held.saturating_add(*size);
        held > most
    };
    let Some((newest_to_go, _)) = newest_first.iter().find(is_beyond) else {
        return Ok(Vec::new());
    };
    let delete = "DELETE FROM logs WHERE number <= ?1 AND kept < ?2 RETURNING build, step";
    rows(transaction, delete, (newest_to_go, limit), kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PastBuild, PruneOptions, Store};

    fn of<'a>(build: &'a str, step: usize, key: Option<&'a Digest>) -> LogOf<'a> {
        LogOf { build, step, key }
    }

    fn keep(store: &Store, of: LogOf<'_>, text: &[u8]) {
        let kept = store.logs().keep(of, |out| out.write_all(text));
        kept.unwrap();
    }

    fn text(store: &Store, of: LogOf<'_>) -> Option<String> {
        let log = store.logs().find(of, i64::MAX).unwrap()?;
        let mut text = String::new();
        let mut file = store.logs().open(&log).unwrap()?;
        file.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn logs_are_found_by_their_step_and_by_their_result() {
        let (_folder, store) = crate::tests::store();
        let key = Digest::of(b"key");
        keep(&store, of("a", 1, Some(&key)), b"first");
        keep(&store, of("a", 1, Some(&key)), b"again");
        keep(&store, of("b", 7, Some(&key)), b"later");
        keep(&store, of("b", 8, None), b"failed");
        let found = |of: LogOf<'_>| text(&store, of);
        assert_eq!(found(of("a", 1, None)).as_deref(), Some("again"));
        assert_eq!(found(of("b", 8, None)).as_deref(), Some("failed"));
        assert_eq!(found(of("c", 1, Some(&key))).as_deref(), Some("later"));
        assert_eq!(found(of("c", 1, None)), None);
        assert_eq!(found(of("c", 1, Some(&Digest::of(b"other")))), None);
        std::fs::remove_file(store.logs().folder().join("b-8.zst")).unwrap();
        assert_eq!(found(of("b", 8, None)), None);
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let (_folder, store) = crate::tests::store();
        for step in 0..5 {
            keep(&store, of("a", step, None), b"text");
        }
        let forget = |build: &str, most| {
            let forgotten = store
                .db()
                .write(|transaction| forget_oldest(transaction, build, most));
            let forgotten = forgotten.unwrap();
            store.logs().remove(&forgotten);
            forgotten.iter().map(|log| log.step).collect::<Vec<_>>()
        };
        assert_eq!(forget("other", 0), [0; 0]);
        assert_eq!(forget("a", 5 * BLOCK), [0; 0]);
        assert_eq!(forget("a", 2 * BLOCK + 1), [0, 1, 2]);
        assert_eq!(store.logs().bytes().unwrap(), 2 * BLOCK);
        assert_eq!(list(&store.logs().folder()).unwrap().len(), 2);
    }

    #[test]
    fn logs_go_with_their_build_and_with_a_prune() {
        let (_folder, store) = crate::tests::store();
        let build = |id: &str| PastBuild {
            id: id.to_owned(),
            ..PastBuild::default()
        };
        store.history().put(&build("a"), &[]).unwrap();
        keep(&store, of("a", 1, Some(&Digest::of(b"no record"))), b"text");
        for number in 0..crate::history::MOST {
            store
                .history()
                .put(&build(&format!("b{number}")), &[])
                .unwrap();
        }
        assert_eq!(text(&store, of("a", 1, None)), None);
        assert!(list(&store.logs().folder()).unwrap().is_empty());
        keep(&store, of("b1", 1, None), b"text");
        let images = PruneOptions {
            cache: false,
            ..PruneOptions::default()
        };
        store.garbage().prune(images).unwrap();
        store.garbage().prune(Some(1 << 30)).unwrap();
        assert!(text(&store, of("b1", 1, None)).is_some());
        let report = store.garbage().prune(None).unwrap();
        assert_eq!((report.builds, report.freed), (200, BLOCK));
        assert_eq!(text(&store, of("b1", 1, None)), None);
        assert_eq!(store.history().builds().unwrap(), []);
    }
}
