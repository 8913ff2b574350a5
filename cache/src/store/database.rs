//! The store's database: SQLite in WAL mode, which many processes may use at once.
//!
//! Everything in it describes files of the store and may be behind them: a row without its file is a miss. Opening costs
//! one file and one pragma when the schema exists. How one is opened only for reading, on a read-only file system or a full disk, is in
//! [`reading`].
//!
//! The threads of a process take turns at one connection, each for microseconds. Between processes, a read ([`Database::query`],
//! [`Database::row`], [`Database::rows`]) waits for nobody: it sees what was committed when it began. A write waits until the write of
//! another process has ended, for up to ten minutes, and then fails ([`busy`]); it is not tried again, since its body runs under SQLite's
//! one write lock from the start. How much a write survives is in the name of its method:
//!
//! | method | is | survives |
//! | --- | --- | --- |
//! | [`execute`](Database::execute) | one statement | a crash; a copy of the store may lack it |
//! | [`write_lightly`](Database::write_lightly) | a transaction | the same |
//! | [`write`](Database::write) | a transaction | a crash, and copies of the store have it |
//! | [`write_durably`](Database::write_durably), [`write_with`](Database::write_with) | a transaction | a power cut, from its return on |
//!
//! Digests are 32-byte blobs, times are seconds since 1970, `used` is the last use.

mod busy;
mod reading;
mod row;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kiln_oci::{Digest, locked};
use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Params, Row, Transaction,
    TransactionBehavior,
};

pub(crate) use row::{digest, execute_each, optional_digest, rows, signed, unsigned};

use crate::StoreError;
use crate::store::database::busy::{MOST, WRITES, busy, patiently};
use crate::store::database::schema::{SCHEMA, take_steps, taken};
use crate::store::folders::private;
use crate::store::waiting::{Wait, Waiter};

/// What this kiln understands, for the message about an older schema that may not be changed.
const KNOWN_SCHEMA: &str = "a newer one";

/// Bytes of the log above which it is emptied when the last process closes the database: to read it takes as long as a tenth of a build that
/// has nothing to do.
const LONGEST_LOG: u64 = 256 << 10;

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Mutex<Connection>,
    path: PathBuf,
    waiter: Arc<dyn Waiter>,
    /// Something was written that must be found without the log, when the store is copied or opened read-only.
    wrote: AtomicBool,
    /// What is still to be written is not worth a wait.
    is_closing: AtomicBool,
}

impl Database {
    /// Opens a database, and takes the steps of the schema that it lacks.
    pub(crate) fn open(
        path: &Path,
        read_only: bool,
        waiter: &Arc<dyn Waiter>,
    ) -> Result<Self, StoreError> {
        let mut wait = Wait::begin();
        loop {
            match Self::opened(path, read_only, waiter) {
                Err(error) if is_shut_out(&error) && wait.lasted() < MOST => {
                    wait.pause_or_stop(waiter.as_ref(), WRITES)?;
                }
                opened => return opened,
            }
        }
    }

    fn opened(path: &Path, read_only: bool, waiter: &Arc<dyn Waiter>) -> Result<Self, StoreError> {
        let database = Self::connected(path, read_only, waiter)?;
        match database.query(taken)? {
            0 => Err(lost(path, "it is empty".to_owned())),
            version if version == SCHEMA.len() => Ok(database),
            version if version < SCHEMA.len() && !read_only => {
                database.upgrade().map(|()| database)
            }
            version if version > SCHEMA.len() => Err(StoreError::Newer {
                path: path.parent().unwrap_or(path).to_owned(),
                found: version,
                known: SCHEMA.len(),
            }),
            version => Err(StoreError::Version {
                path: path.to_owned(),
                found: format!("schema {version}"),
                known: KNOWN_SCHEMA,
            }),
        }
    }

    /// Makes the database of a store that is being made, durably; one that is there stays. The caller has the turn. A lost one is
    /// made anew only where nothing is left that it could have described.
    pub(crate) fn make(path: &Path, waiter: &Arc<dyn Waiter>) -> Result<(), StoreError> {
        match Self::open(path, false, waiter) {
            Err(StoreError::DatabaseLost { blobs: 0, .. }) => Self::make_anew(path, waiter),
            outcome => outcome.map(drop),
        }
    }

    /// Makes an empty one, durably, whatever there was.
    pub(crate) fn make_anew(path: &Path, waiter: &Arc<dyn Waiter>) -> Result<(), StoreError> {
        for end in ["-wal", "-shm", "-journal"] {
            // of a database that is no more
            let _ = std::fs::remove_file(beside(path, end));
        }
        private(path).map_err(|source| StoreError::io("make", path, source))?;
        let database = Self::connected(path, false, waiter)?;
        database.upgrade()?;
        // closing it empties its log, with all syncs
        drop(database);
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|source| StoreError::io("sync", path, source))
    }

    fn connected(
        path: &Path,
        read_only: bool,
        waiter: &Arc<dyn Waiter>,
    ) -> Result<Self, StoreError> {
        let connected = patiently(waiter, false, || connect(path, read_only));
        let connection = connected.map_err(|source| failure(path, waiter.as_ref(), source))?;
        Ok(Self {
            waiter: waiter.clone(),
            is_closing: AtomicBool::new(false),
            connection: Mutex::new(connection),
            path: path.to_owned(),
            wrote: AtomicBool::new(false),
        })
    }

    fn upgrade(&self) -> Result<(), StoreError> {
        self.query(|connection| connection.pragma_update(None, "journal_mode", "WAL"))?;
        self.write(|transaction| take_steps(transaction))
    }

    /// Looks at every page and every index of the database.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let verdict: String = self.query(|connection| {
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        })?;
        match verdict.as_str() {
            "ok" => Ok(()),
            _ => Err(lost(&self.path, verdict)),
        }
    }

    /// Reads with several statements, each of which may see a later commit than the one before ([`Self::snapshot`] does not).
    pub(crate) fn query<T>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let outcome = self.patiently(|connection| body(connection));
        outcome.map_err(|source| self.failed(source))
    }

    /// Does something with the connection, as soon as no other thread does, and waits for other processes.
    fn patiently<T>(&self, body: impl FnOnce(&mut Connection) -> T) -> T {
        let mut connection = locked(&self.connection);
        let is_closing = self.is_closing.load(Ordering::Relaxed);
        patiently(&self.waiter, is_closing, || body(&mut connection))
    }

    /// What is written from now on is not worth a wait.
    pub(crate) fn hurry(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// The first row that a query gives.
    pub(crate) fn row<T>(
        &self,
        query: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement.query_row(parameters, read).optional()
        })
    }

    /// The first row of a query that is `wanted`; what comes after it is not read.
    pub(crate) fn first<T>(
        &self,
        query: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StoreError> {
        self.query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query_map(parameters, read)?;
            let is_end = |row: &rusqlite::Result<T>| row.as_ref().map_or(true, &wanted);
            rows.find(is_end).transpose()
        })
    }

    /// All rows that a query gives.
    pub(crate) fn rows<T, C: FromIterator<T>>(
        &self,
        query: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<C, StoreError> {
        self.query(|connection| rows(connection, query, parameters, read))
    }

    /// The digests in the first column of all rows that a query about one digest gives.
    pub(crate) fn digests<C: FromIterator<Digest>>(
        &self,
        query: &str,
        about: &Digest,
    ) -> Result<C, StoreError> {
        self.rows(query, [about.as_bytes()], |row| digest(row, 0))
    }

    /// Reads as of one moment.
    pub(crate) fn snapshot<T>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.query(|connection| body(&*connection.unchecked_transaction()?))
    }

    /// Writes with one statement; it may stay in the log.
    pub(crate) fn execute(
        &self,
        statement: &str,
        parameters: impl Params,
    ) -> Result<(), StoreError> {
        self.query(|connection| {
            let mut statement = connection.prepare_cached(statement)?;
            statement.execute(parameters).map(drop)
        })
    }

    /// From now on a table is a copy in memory that only this process has: for a database that is only read. `unique` are the columns of its key.
    pub(crate) fn shadow(&self, table: &str, unique: &str) -> Result<(), StoreError> {
        self.query(|connection| reading::shadow(connection, table, unique))
    }

    /// Writes in one transaction: all of it, or nothing.
    pub(crate) fn write<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.wrote.store(true, Ordering::Relaxed);
        self.write_lightly(body)
    }

    /// The same for what may stay in the log: pins and last use, which no copy of the store needs.
    pub(crate) fn write_lightly<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let written = self.patiently(|connection| transact(connection, |error| error, body));
        written.map_err(|source| self.failed(source))
    }

    /// The same, durable on return.
    pub(crate) fn write_durably<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.write_with(|transaction| body(transaction).map_err(|source| self.failed(source)))
    }

    /// The same with a body that also does what can fail outside SQLite. These decide what is removed, and a reference must be gone
    /// for good before the thing is.
    pub(crate) fn write_with<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.wrote.store(true, Ordering::Relaxed);
        let set = |connection: &Connection, level: &str| {
            let set = connection.pragma_update(None, "synchronous", level);
            set.map_err(|source| self.failed(source))
        };
        self.patiently(|connection| {
            set(connection, "FULL")?;
            let outcome = transact(connection, |source| self.failed(source), body);
            set(connection, "NORMAL")?;
            outcome
        })
    }

    /// What [`Self::write_with`] would do, taken back at once.
    pub(crate) fn rehearse<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.patiently(|connection| {
            let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
            body(&begun.map_err(|source| self.failed(source))?)
        })
    }

    /// Closing the last connection empties the log into the database, which takes two syncs: not worth it when nothing but
    /// pins, last use and history was written. A long log costs more: each process that opens the database reads all of it.
    pub(crate) fn spare_the_checkpoint(&self) {
        let log = std::fs::metadata(beside(&self.path, "-wal"));
        let is_long = log.is_ok_and(|log| log.len() > LONGEST_LOG);
        if !is_long && !self.wrote.load(Ordering::Relaxed) {
            let spare = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            // without it closing is only slower
            let _ = self.query(|connection| connection.set_db_config(spare, true).map(drop));
        }
    }

    pub(crate) fn failed(&self, source: rusqlite::Error) -> StoreError {
        failure(&self.path, self.waiter.as_ref(), source)
    }
}

/// Does `body` in a transaction that has the write lock from the start.
fn transact<T, E>(
    connection: &mut Connection,
    failed: impl Fn(rusqlite::Error) -> E,
    body: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(&failed)?;
    let value = body(&transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(value)
}

/// What an error of SQLite means. For its shared memory and its log it only says that input or output failed.
fn failure(path: &Path, waiter: &dyn Waiter, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) if waiter.is_stopped() => StoreError::Cancelled,
        Some(ErrorCode::DatabaseBusy) => StoreError::Busy { path },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly {
            path: path.parent().unwrap_or(&path).to_owned(),
        },
        Some(ErrorCode::DiskFull) => StoreError::NoSpace { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            lost(&path, source.to_string())
        }
        Some(ErrorCode::CannotOpen) if !path.is_file() => lost(&path, "it is not there".to_owned()),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_nearly_full(&path) => {
            StoreError::NoSpace { path }
        }
        _ => StoreError::Database { path, source },
    }
}

/// Whether SQLite has given up, after ten seconds, because another process keeps all that processes share for itself: it does not take that
/// for a wait.
fn is_shut_out(error: &StoreError) -> bool {
    let StoreError::Database { source, .. } = error else {
        return false;
    };
    source.sqlite_error_code() == Some(ErrorCode::FileLockingProtocolFailed)
}

/// A database that cannot be read, and what is left without it.
fn lost(path: &Path, problem: String) -> StoreError {
    let blobs = path.with_file_name("blobs/sha256");
    let shards = std::fs::read_dir(blobs).into_iter().flatten().flatten();
    let blobs = shards.flat_map(|shard| std::fs::read_dir(shard.path()).into_iter().flatten());
    StoreError::DatabaseLost {
        path: path.to_owned(),
        problem,
        blobs: blobs.count(),
    }
}

/// The name of a file that SQLite keeps beside a database.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Whether there is less room than SQLite needs for a page of its shared memory and some of its log.
fn is_nearly_full(path: &Path) -> bool {
    const NEEDED: u64 = 128 << 10;
    let folder = path.parent().unwrap_or(path);
    rustix::fs::statvfs(folder)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < NEEDED)
}

fn connect(path: &Path, read_only: bool) -> rusqlite::Result<Connection> {
    if read_only {
        return reading::connect(path);
    }
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(busy))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    fn open(path: &Path) -> Result<Database, StoreError> {
        let silent: Arc<dyn Waiter> = Arc::new(Silent);
        Database::open(path, false, &silent)
    }

    #[test]
    fn the_log_of_light_writes_stays_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kiln.db");
        let silent: Arc<dyn Waiter> = Arc::new(Silent);
        Database::make(&path, &silent).unwrap();
        let mut longest = 0;
        for number in 0..200 {
            let database = open(&path).unwrap();
            let insert = "INSERT INTO pins (lease, digest) VALUES (?1, zeroblob(32))";
            database.execute(insert, [number.to_string()]).unwrap();
            database.spare_the_checkpoint();
            drop(database);
            let log = std::fs::metadata(beside(&path, "-wal"));
            longest = longest.max(log.map_or(0, |log| log.len()));
        }
        // not emptied each time, and not much longer than it may be
        assert!(
            (LONGEST_LOG / 2..LONGEST_LOG + (64 << 10)).contains(&longest),
            "{longest}"
        );
    }

    #[test]
    fn a_store_of_an_older_kiln_gets_the_tables_that_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kiln.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(SCHEMA[0]).unwrap();
        let row = "INSERT INTO image_layers (manifest, position, diff_id, blob) VALUES (x'00', 0, x'01', x'02')";
        old.execute(row, []).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        for _ in 0..2 {
            let database = open(&path).unwrap();
            let query = "SELECT size, (SELECT count(*) FROM forms) FROM image_layers";
            let found: (i64, i64) = database
                .query(|connection| {
                    connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
                })
                .unwrap();
            assert_eq!(found, (0, 0));
        }
        let newer = Connection::open(&path).unwrap();
        newer
            .pragma_update(None, "user_version", SCHEMA.len() as i64 + 1)
            .unwrap();
        drop(newer);
        assert!(open(&path).is_err());
    }

    #[test]
    fn what_images_need_of_caches_outlives_what_caches_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kiln.db");
        let old = Connection::open(&path).unwrap();
        SCHEMA[..7]
            .iter()
            .for_each(|step| old.execute_batch(step).unwrap());
        old.execute_batch(
            "INSERT INTO image_layers (manifest, position, diff_id, blob, size) VALUES (x'00', 0, x'01', x'01', 5);
             INSERT INTO offered VALUES (x'01', x'02', 3, 5, 'gzip:6'), (x'03', x'04', 3, 5, 'gzip:6');
             INSERT INTO origins VALUES (x'02', 'r.test/cache', x'02'), (x'04', 'r.test/cache', x'04');
             INSERT INTO records VALUES (x'05', x'06', x'03', x'07', 1, 1, 1, 'RUN', '[]', 1, 1);
             INSERT INTO memos VALUES (x'05', x'00', '', 1);
             PRAGMA user_version = 7;",
        )
        .unwrap();
        drop(old);
        let database = open(&path).unwrap();
        let query = "SELECT group_concat(hex(diff_id) || place || cache), (SELECT count(*) FROM records), (SELECT count(*) FROM memos) \
                     FROM offered";
        let found: (String, i64, i64) = database
            .query(|connection| {
                connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            })
            .unwrap();
        assert_eq!(found, ("01r.test/cache".to_owned(), 0, 0));
    }
}
