//! `.env` files: lines of `NAME=value`, with quotes, `export` and variables. Unaware of what the names are for.

use super::interpolate::interpolated;
use crate::error::Worded;
use std::collections::BTreeMap;

/// Reads a file; what it names is looked up in it first.
///
/// # Errors
/// A line has no name, or a quote no end.
pub fn read(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Worded<BTreeMap<String, String>> {
    let mut read: BTreeMap<String, String> = BTreeMap::new();
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    for (number, line) in text.lines().enumerate().filter(|(_, line)| says(line)) {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let wrong = |why: &str| format!("line {}: {why}", number + 1);
        let split = line.split_once(['=', ':']);
        let (name, value) = split.unwrap_or((line, ""));
        if name.trim().contains(char::is_whitespace) {
            return Err(wrong("a name has no blanks"));
        }
        let look = |name: &str| lookup(name).or_else(|| read.get(name).cloned());
        let value = match split {
            None => lookup(name.trim()).unwrap_or_default(),
            Some(_) => meant(value.trim(), &look).map_err(|why| wrong(&why))?,
        };
        read.insert(name.trim().to_owned(), value);
    }
    Ok(read)
}

/// What stands behind the `=`: in single quotes as it is, else with variables; without quotes up to a comment.
fn meant(value: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Worded<String> {
    let quoted = |quote: char| {
        let rest = value.strip_prefix(quote)?;
        Some(rest.rfind(quote).map(|end| &rest[..end]))
    };
    match (quoted('\''), quoted('"')) {
        (Some(Some(text)), _) => Ok(text.to_owned()),
        (_, Some(Some(text))) => {
            let text = text.replace("\\n", "\n").replace("\\\"", "\"");
            interpolated(&text, lookup, &mut |_| {})
        }
        (Some(None), _) | (_, Some(None)) => Err("a quote has no end".to_owned()),
        (None, None) => {
            let end = value.find(" #").unwrap_or(value.len());
            interpolated(value[..end].trim_end(), lookup, &mut |_| {})
        }
    }
}
