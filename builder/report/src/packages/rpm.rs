//! The database of rpm since 4.16: an SQLite file with a header of each package. Older formats are told apart and not read. Unaware of
//! images.
//!
//! A header is two numbers of four bytes, big endian like all of it, the number of index entries and the bytes of data; then the entries,
//! each tag, type, offset and count; then the data. Source: rpm's "Package Header".

use std::io::Write;

use rusqlite::{Connection, OpenFlags};

use super::Package;

const SQLITE: &[u8] = b"rpmdb.sqlite";
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const SIZE: u32 = 1009;
const LONG_SIZE: u32 = 5009;

/// The packages in it; or why it cannot be read.
pub(super) fn packages(name: &[u8], content: &[u8]) -> Result<Vec<Package>, String> {
    if name != SQLITE {
        return Err("is of a format that only rpm itself reads".to_owned());
    }
    let headers = headers(content).map_err(|error| error.to_string())?;
    let packages = headers.iter().filter_map(|header| package(header));
    // the keys of signatures
    Ok(packages
        .filter(|package| package.name != "gpg-pubkey")
        .collect())
}

/// SQLite wants a file of its own. Nothing of the database is executed: it is only read, and its schema is not trusted.
fn headers(content: &[u8]) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(content)?;
    file.flush()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file.path(), flags)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let mut statement = connection.prepare("SELECT blob FROM Packages")?;
    let headers = statement.query_map([], |row| row.get(0))?;
    Ok(headers.collect::<Result<_, _>>()?)
}

fn package(header: &[u8]) -> Option<Package> {
    let at = |tag| place(header, tag);
    let text = |tag| text(header, at(tag)?);
    let epoch = at(EPOCH).and_then(|at| number(header, at));
    let epoch = epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
    let long = at(LONG_SIZE).and_then(|at| header.get(at..)?.first_chunk::<8>());
    let long = long.map(|bytes| u64::from_be_bytes(*bytes));
    let short = || Some(number(header, at(SIZE)?)? as u64);
    let name = text(NAME)?;
    Some(Package {
        version: format!("{epoch}{}-{}", text(VERSION)?, text(RELEASE)?),
        name,
        bytes: long.or_else(short),
    })
}

/// Where the data of a tag begins.
fn place(header: &[u8], tag: u32) -> Option<usize> {
    let index = number(header, 0)?;
    let data = 8_usize.checked_add(index.checked_mul(16)?)?;
    let entries = header.get(8..data)?.chunks_exact(16);
    let mut entries = entries.filter(|entry| entry.starts_with(&tag.to_be_bytes()));
    data.checked_add(number(entries.next()?, 8)?)
}

fn number(header: &[u8], at: usize) -> Option<usize> {
    let bytes = header.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// Text up to its NUL byte.
fn text(header: &[u8], at: usize) -> Option<String> {
    let rest = header.get(at..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}
