//! A comparison as CSV (RFC 4180): a line for each variant, plain numbers of bytes and seconds. A name that a spreadsheet would run as a
//! formula gets a `'` before it.

use super::metric::{METRICS, Metric, columns};
use super::table::one_line;
use super::{Comparison, Variant};

/// The lines, the names of the columns first.
#[must_use]
pub fn csv(comparison: &Comparison) -> String {
    let keys = METRICS.iter().map(|metric| metric.key.to_owned());
    let head = ["variant".to_owned(), "id".to_owned()];
    let mut text = line(head.into_iter().chain(keys));
    for variant in columns(comparison) {
        text += &row(variant);
    }
    text
}

fn row(variant: &Variant) -> String {
    let cell = |metric: &Metric| {
        let amount = (metric.of)(variant);
        amount.map_or_else(String::new, |amount| amount.plain())
    };
    let cells = METRICS.iter().map(cell);
    let head = [field(&variant.name), field(&variant.id)];
    line(head.into_iter().chain(cells))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", one_line(text).replace('"', "\"\""))
}
