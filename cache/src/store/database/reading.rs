//! Opens the database without writing anything beside it. What is in its log counts too: a process that was killed, or one that still
//! lives, has not moved it into the database yet. Unaware of what is read.

use std::fs::metadata;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::beside;
use super::busy::busy;

/// Opens it, whatever the file system allows.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let has_log = metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let is_shared = beside(path, "-shm").exists();
    match (has_log, is_shared) {
        // nothing but the database, which nobody changes
        (false, _) => open(path, "immutable=1"),
        // the locks of those who may live are heeded
        (true, true) => open(path, ""),
        // the log of a copy, or of a machine that went down: nobody lives who uses it, and its index can be in memory alone
        (true, false) => {
            let connection = open(path, "vfs=unix-none")?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            Ok(connection)
        }
    }
}

/// Puts a copy of a table, in memory, in the place of the table, unless there is one. SQLite looks for names among temporary tables first.
pub(super) fn shadow(connection: &Connection, table: &str, unique: &str) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TEMP TABLE IF NOT EXISTS {table} AS SELECT * FROM main.{table};
         CREATE UNIQUE INDEX IF NOT EXISTS temp.{table}_key ON {table} ({unique});"
    ))
}

fn open(path: &Path, parameters: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_ONLY;
    let uri = format!("{}?{parameters}", uri(path));
    let mut connection = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
    connection.busy_handler(Some(busy))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn uri(path: &Path) -> String {
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
    uri
}

#[cfg(test)]
mod tests {
    use super::super::busy::patiently;
    use super::*;
    use crate::{Silent, Waiter};
    use std::sync::Arc;
    use std::time::Duration;

    /// A database with one row in it and another in its log.
    fn database(folder: &Path) -> (std::path::PathBuf, Connection) {
        let path = folder.join("a b.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer
            .execute_batch(
                "CREATE TABLE t (n); INSERT INTO t VALUES (1); PRAGMA wal_checkpoint(TRUNCATE)",
            )
            .unwrap();
        writer.execute("INSERT INTO t VALUES (2)", []).unwrap();
        (path, writer)
    }

    fn sum(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT sum(n) FROM t", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn what_is_in_the_log_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (path, writer) = database(folder.path());
        let reader = connect(&path).unwrap();
        assert_eq!(sum(&reader), 3);
        writer.execute("INSERT INTO t VALUES (4)", []).unwrap();
        assert_eq!(sum(&reader), 7);
    }

    #[test]
    fn what_is_written_to_a_shadow_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (path, writer) = database(folder.path());
        let before = std::fs::read(beside(&path, "-wal")).unwrap();
        let reader = connect(&path).unwrap();
        for _ in 0..2 {
            shadow(&reader, "t", "n").unwrap();
            let insert = "INSERT OR REPLACE INTO t VALUES (2), (5)";
            reader.execute(insert, []).unwrap();
            assert_eq!(sum(&reader), 8);
        }
        assert_eq!(sum(&writer), 3);
        assert_eq!(std::fs::read(beside(&path, "-wal")).unwrap(), before);
    }

    #[test]
    fn a_reader_waits_for_who_has_it_all() {
        let folder = tempfile::tempdir().unwrap();
        let (path, writer) = database(folder.path());
        writer
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .unwrap();
        writer.execute("INSERT INTO t VALUES (4)", []).unwrap();
        let end = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(writer);
        });
        let waiter: Arc<dyn Waiter> = Arc::new(Silent);
        let read = || connect(&path).map(|reader| sum(&reader));
        assert_eq!(patiently(&waiter, false, read).unwrap(), 7);
        end.join().unwrap();
    }

    #[test]
    fn a_copy_is_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _writer) = database(folder.path());
        let copy = folder.path().join("copy.db");
        for end in ["", "-wal"] {
            std::fs::copy(beside(&path, end), beside(&copy, end)).unwrap();
        }
        let before = std::fs::read(beside(&copy, "-wal")).unwrap();
        for _ in 0..2 {
            assert_eq!(sum(&connect(&copy).unwrap()), 3);
        }
        assert_eq!(std::fs::read(beside(&copy, "-wal")).unwrap(), before);
        assert!(!beside(&copy, "-shm").exists());
        std::fs::remove_file(beside(&copy, "-wal")).unwrap();
        assert_eq!(sum(&connect(&copy).unwrap()), 1);
    }
}
