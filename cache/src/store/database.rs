//! The store's database: SQLite in WAL mode, which many processes may use at once.
//!
//! Everything in it describes files of the store and may be behind them: a row without its file is a miss. Opening costs
//! one file and one pragma when the schema exists. A store that is opened only for reading is opened `immutable`, so that it
//! can be on a read-only file system.
//!
//! Digests are 32-byte blobs, times are seconds since 1970, `used` is the last use.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kiln_oci::Digest;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};

use crate::StoreError;
use crate::store::open::private;

/// What this kiln understands, for whoever meets a newer schema.
const KNOWN_SCHEMA: &str = "an older one";
/// How long a writer waits for another process's transaction; those take milliseconds.
const BUSY: Duration = Duration::from_secs(60);

/// The schema, step by step: `PRAGMA user_version` counts the steps that a database has taken, and opening one takes the rest.
/// A step never changes once it was released; what is new is a new step at the end.
///
/// `boot` is the boot that wrote the blob, or digested it last; `synced` says that it was made durable. `forms` holds what a layer
/// is in a compression; `origins` which repositories hold a blob or manifest, and as what: `there` is another digest where a push
/// compressed layers. `image_layers.size` is that of the blob. `tags.manifest` and `memos.manifest` may name an index; its children
/// are images or indexes, here or not. `index_blobs` are what it has beside images, as far as it came along. `tags.tagged` is 0 for
/// names of before there was the column, as is `records.made`. `offered` describes layers that shared caches hold as blobs; `cache` is
/// the one that said it, empty for what an image of this store needs. `caches` are those that a result rests on, empty for this store's
/// own. Results of before there was the column cannot be told from claims, and are found by no key of today: they go.
const SCHEMA: [&str; 8] = [
    "
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY, size INTEGER NOT NULL, boot TEXT NOT NULL, synced INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE layers (
    diff_id BLOB PRIMARY KEY, tree BLOB NOT NULL, tar_size INTEGER NOT NULL, compressed BLOB, compressed_size INTEGER,
    cost_ms INTEGER NOT NULL DEFAULT 0, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE views (
    id_map TEXT NOT NULL, diff_id BLOB NOT NULL, size INTEGER NOT NULL, boot TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (id_map, diff_id)
) WITHOUT ROWID;
CREATE TABLE records (
    key BLOB PRIMARY KEY, definition BLOB NOT NULL, diff_id BLOB, tree BLOB NOT NULL, created INTEGER NOT NULL,
    cost_ms INTEGER NOT NULL, line INTEGER NOT NULL, title TEXT NOT NULL, inputs TEXT NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX records_by_definition ON records (definition, tree);
CREATE INDEX records_by_layer ON records (diff_id);
CREATE TABLE memos (
    key BLOB PRIMARY KEY, manifest BLOB NOT NULL, bundle TEXT NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE images (
    manifest BLOB PRIMARY KEY, config BLOB NOT NULL, stored INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE image_layers (
    manifest BLOB NOT NULL, position INTEGER NOT NULL, diff_id BLOB NOT NULL, blob BLOB NOT NULL,
    PRIMARY KEY (manifest, position)
) WITHOUT ROWID;
CREATE TABLE tags (reference TEXT PRIMARY KEY, manifest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (lease TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (lease, digest)) WITHOUT ROWID;
",
    "CREATE TABLE fetched (key BLOB PRIMARY KEY, layer BLOB, document TEXT NOT NULL) WITHOUT ROWID;",
    "
ALTER TABLE image_layers ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
CREATE INDEX images_by_layer ON image_layers (diff_id);
CREATE TABLE forms (
    diff_id BLOB NOT NULL, compression TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (diff_id, compression)
) WITHOUT ROWID;
CREATE TABLE origins (
    digest BLOB NOT NULL, repository TEXT NOT NULL, there BLOB NOT NULL, PRIMARY KEY (digest, repository)
) WITHOUT ROWID;
",
    "
CREATE TABLE indexes (digest BLOB PRIMARY KEY, stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE index_children (
    digest BLOB NOT NULL, position INTEGER NOT NULL, child BLOB NOT NULL, PRIMARY KEY (digest, position)
) WITHOUT ROWID;
CREATE INDEX index_parents ON index_children (child);
",
    "
CREATE TABLE index_blobs (digest BLOB NOT NULL, blob BLOB NOT NULL, PRIMARY KEY (digest, blob)) WITHOUT ROWID;
ALTER TABLE tags ADD COLUMN tagged INTEGER NOT NULL DEFAULT 0;
",
    "ALTER TABLE records ADD COLUMN made INTEGER NOT NULL DEFAULT 0;",
    "
CREATE TABLE offered (
    diff_id BLOB NOT NULL, blob BLOB NOT NULL, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, compression TEXT NOT NULL,
    PRIMARY KEY (diff_id, blob)
) WITHOUT ROWID;
CREATE INDEX offered_blobs ON offered (blob);
",
    "
DROP TABLE records;
CREATE TABLE records (
    key BLOB NOT NULL, caches TEXT NOT NULL, definition BLOB NOT NULL, diff_id BLOB, tree BLOB NOT NULL, created INTEGER NOT NULL,
    made INTEGER NOT NULL, cost_ms INTEGER NOT NULL, line INTEGER NOT NULL, title TEXT NOT NULL, inputs TEXT NOT NULL,
    used INTEGER NOT NULL, PRIMARY KEY (key, caches)
) WITHOUT ROWID;
CREATE INDEX records_by_definition ON records (definition, tree);
CREATE INDEX records_by_layer ON records (diff_id);
DROP TABLE memos;
CREATE TABLE memos (
    key BLOB NOT NULL, caches TEXT NOT NULL, manifest BLOB NOT NULL, bundle TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (key, caches)
) WITHOUT ROWID;
ALTER TABLE offered RENAME TO offered_before;
CREATE TABLE offered (
    diff_id BLOB NOT NULL, blob BLOB NOT NULL, cache TEXT NOT NULL, place TEXT NOT NULL, size INTEGER NOT NULL, tar_size INTEGER NOT NULL,
    compression TEXT NOT NULL, PRIMARY KEY (diff_id, blob, cache, place)
) WITHOUT ROWID;
INSERT INTO offered SELECT diff_id, blob, '', repository, size, tar_size, compression FROM offered_before
    JOIN origins ON digest = blob AND there = blob WHERE diff_id IN (SELECT diff_id FROM image_layers);
DROP TABLE offered_before;
CREATE INDEX offered_blobs ON offered (blob);
",
];

/// An open database; calls from several threads take turns, they last microseconds.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// Something was written that must be found without the log, when the store is copied or opened read-only.
    wrote: AtomicBool,
}

impl Database {
    /// Opens a database, and takes the steps of the schema that it lacks.
    pub(crate) fn open(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        let database = Self::connected(path, read_only)?;
        match database.version()? {
            0 => Err(lost(path, "it is empty".to_owned())),
            version if version == SCHEMA.len() => Ok(database),
            version if version < SCHEMA.len() && !read_only => {
                database.upgrade().map(|()| database)
            }
            version => Err(StoreError::Version {
                path: path.to_owned(),
                found: format!("schema {version}"),
                known: KNOWN_SCHEMA,
            }),
        }
    }

    /// Makes the database of a store that is being made, durably; one that is there stays. The caller has the turn. One that is
    /// lost is made anew only where nothing is left that it could have described.
    pub(crate) fn make(path: &Path) -> Result<(), StoreError> {
        let is_lost =
            |error: &StoreError| matches!(error, StoreError::DatabaseLost { blobs: 0, .. });
        match Self::open(path, false) {
            Err(error) if is_lost(&error) => {}
            outcome => return outcome.map(drop),
        }
        Self::make_anew(path)
    }

    /// Makes an empty one, durably, whatever there was.
    pub(crate) fn make_anew(path: &Path) -> Result<(), StoreError> {
        for end in ["-wal", "-shm", "-journal"] {
            // of a database that is no more
            let _ = std::fs::remove_file(beside(path, end));
        }
        private(path).map_err(|source| StoreError::io("make", path, source))?;
        let database = Self::connected(path, false)?;
        database.upgrade()?;
        // closing it empties its log, with all syncs
        drop(database);
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|source| StoreError::io("sync", path, source))
    }

    fn connected(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        let connection = connect(path, read_only).map_err(|source| failure(path, source))?;
        Ok(Self {
            connection: Mutex::new(connection),
            path: path.to_owned(),
            wrote: AtomicBool::new(false),
        })
    }

    /// How many steps of the schema it has taken.
    fn version(&self) -> Result<usize, StoreError> {
        let version = self.query(|connection| {
            connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        })?;
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
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

    /// Takes the steps that are missing; another process may do so at the same time.
    fn upgrade(&self) -> Result<(), StoreError> {
        self.query(|connection| connection.pragma_update(None, "journal_mode", "WAL"))?;
        self.write(|transaction| {
            let taken: i64 =
                transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let taken = usize::try_from(taken).unwrap_or(SCHEMA.len());
            for step in SCHEMA.iter().skip(taken) {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", SCHEMA.len().max(taken) as i64)
        })
    }

    /// Reads. Also for single statements that write and need no transaction of their own.
    pub(crate) fn query<T>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        body(&connection).map_err(|source| self.failed(source))
    }

    /// Writes in one transaction, which waits for those of other processes first. It survives a crash of the process, and
    /// after a power cut is there as a whole or not at all.
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
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transact(&mut connection, body).map_err(|source| self.failed(source))
    }

    /// The same, durable on return.
    pub(crate) fn write_durably<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.wrote.store(true, Ordering::Relaxed);
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let set = |connection: &Connection, level: &str| {
            connection.pragma_update(None, "synchronous", level)
        };
        let outcome = set(&connection, "FULL").and_then(|()| transact(&mut connection, body));
        let restored = set(&connection, "NORMAL");
        outcome
            .and_then(|value| restored.map(|()| value))
            .map_err(|source| self.failed(source))
    }

    /// A transaction whose body also does what can fail outside SQLite. Durable on return: these decide what is removed, and a
    /// reference must be gone for good before the thing is.
    pub(crate) fn write_with<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.wrote.store(true, Ordering::Relaxed);
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let set = |connection: &Connection, level: &str| {
            let set = connection.pragma_update(None, "synchronous", level);
            set.map_err(|source| self.failed(source))
        };
        set(&connection, "FULL")?;
        let outcome = self.transact_with(&mut connection, body);
        set(&connection, "NORMAL")?;
        outcome
    }

    fn transact_with<T>(
        &self,
        connection: &mut Connection,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|source| self.failed(source))?;
        let value = body(&transaction)?;
        transaction.commit().map_err(|source| self.failed(source))?;
        Ok(value)
    }

    /// Reads several things as of one moment.
    pub(crate) fn snapshot<T>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.query(|connection| body(&*connection.unchecked_transaction()?))
    }

    /// Closing the last connection empties the log into the database, which takes two syncs: not worth it when nothing but
    /// pins and last use was written.
    pub(crate) fn spare_the_checkpoint(&self) {
        if !self.wrote.load(Ordering::Relaxed) {
            let spare = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            // without it closing is only slower
            let _ = self.query(|connection| connection.set_db_config(spare, true).map(drop));
        }
    }

    pub(crate) fn failed(&self, source: rusqlite::Error) -> StoreError {
        failure(&self.path, source)
    }
}

/// What an error of SQLite means. For its shared memory and its log it only says that input or output failed.
fn failure(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
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

fn transact<T>(
    connection: &mut Connection,
    body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = body(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn connect(path: &Path, read_only: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if read_only {
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        return Connection::open_with_flags(immutable_uri(path), flags);
    }
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn immutable_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                uri.push(char::from(byte))
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri + "?immutable=1"
}

/// Reads a digest column.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; 32]>(column).map(Digest::from_bytes)
}

/// Reads a digest column that may be null.
pub(crate) fn optional_digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    Ok(row
        .get::<_, Option<[u8; 32]>>(column)?
        .map(Digest::from_bytes))
}

/// A number as SQLite has it. Sizes and costs are far below the limit; one that is not is stored as the limit.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from SQLite that cannot be negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let database = Database::open(&path, false).unwrap();
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
        assert!(Database::open(&path, false).is_err());
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
        let database = Database::open(&path, false).unwrap();
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
