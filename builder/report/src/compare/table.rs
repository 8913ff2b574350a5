//! A comparison as lines for a terminal: a row for each metric, a cell for each variant; cells end with tabs, for the caller to align.

use super::metric::{columns, rows};
use super::{Comparison, cause};

/// How many causes are told.
pub const CAUSES: usize = 5;

/// The rows, the names of the variants first.
#[must_use]
pub fn table(comparison: &Comparison) -> String {
    let columns = columns(comparison);
    let names = columns.iter().map(|variant| one_line(&variant.name));
    let rows = rows(comparison).into_iter();
    let rows = rows.map(|each| row(&each.title, each.cells));
    std::iter::once(row("", names)).chain(rows).collect()
}

/// The largest causes, a line each; empty where there are none.
#[must_use]
pub fn causes(comparison: &Comparison) -> String {
    let causes = cause::largest(comparison, CAUSES);
    let line = |cause: &cause::Cause| format!("  {}\n", one_line(&cause.text()));
    causes.iter().map(line).collect()
}

fn row(title: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut row = title.to_owned();
    for cell in cells {
        row.push('\t');
        row += &cell;
    }
    row.push('\n');
    row
}

/// Text from outside without what would break the table, or command the terminal that shows it.
pub(super) fn one_line(text: &str) -> String {
    let shown = |character: char| match character {
        '\t' | '\n' | '\r' => ' ',
        _ if character.is_control() => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    text.chars().map(shown).collect()
}
