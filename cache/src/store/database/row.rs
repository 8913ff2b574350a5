//! Rows on their way into the database and out of it. Unaware of tables.

use kiln_oci::Digest;
use rusqlite::{Connection, Params, Row, Transaction};

/// Executes a statement once with each of `parameters`.
pub(crate) fn execute_each<P: Params>(
    transaction: &Transaction<'_>,
    statement: &str,
    parameters: impl IntoIterator<Item = P>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(statement)?;
    let mut parameters = parameters.into_iter();
    parameters.try_for_each(|parameters| statement.execute(parameters).map(drop))
}

/// All rows that a query gives.
pub(crate) fn rows<T, C: FromIterator<T>>(
    connection: &Connection,
    query: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<C> {
    let mut statement = connection.prepare_cached(query)?;
    statement.query_map(parameters, read)?.collect()
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
