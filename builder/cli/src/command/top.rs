//! `kiln top`: the processes of a container, as this machine's `ps` shows them.

use crate::environment::{self, Globals};
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{containers, session, table};
use clap::Args;
use kiln_sandbox::host_program;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What `ps` is asked for; docker's.
const USUAL: &str = "-ef";
/// How wide a column is at least, and what is between two; docker's numbers.
const NARROWEST: usize = 20;
const BETWEEN: usize = 3;

/// Arguments of `kiln top`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name or ID of the container
    #[arg(value_name = "CONTAINER", add = Takes::Rest)]
    name: String,
    /// What `ps` is asked for instead of -ef
    #[arg(value_name = "PS_OPTION")]
    options: Vec<String>,
}

/// Lists them.
///
/// # Errors
/// The container does not run, or there is no `ps`.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading(globals)?;
    let kept = containers::find(&store, &arguments.name)?;
    let mut line = containers::line(&store, &kept)?;
    let process = line.process().map_err(containers::failure)?;
    let number = process.number();
    let number = number.map_err(|_| ended(kept.title()))?;
    let family = family(number).ok_or_else(|| ended(kept.title()))?;
    let text = ps(&arguments.options)?;
    let rows = rows(&text, &family).ok_or_else(|| {
        let failure = Failure::usage("there is no column PID in what ps shows");
        failure.hint("leave the options of ps out, or add `-o pid`")
    })?;
    table::print_text(&aligned(&rows));
    Ok(())
}

fn ended(name: &str) -> Failure {
    Failure::new(
        Kind::Build,
        format!("the container {name} has ended meanwhile"),
    )
}

/// The processes in the PID namespace of one.
fn family(first: i32) -> Option<BTreeSet<String>> {
    let namespace = |folder: &Path| fs::read_link(folder.join("ns/pid")).ok();
    let own = namespace(Path::new(&format!("/proc/{first}")))?;
    let all = fs::read_dir("/proc").ok()?.flatten();
    let inside = all.filter(|entry| namespace(&entry.path()).is_some_and(|other| other == own));
    Some(
        inside
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect(),
    )
}

fn ps(options: &[String]) -> Result<String, Failure> {
    let mut ps = host_program("ps", &environment::variable("PATH").unwrap_or_default());
    match options.is_empty() {
        true => ps.arg(USUAL),
        false => ps.args(options),
    };
    let failed = |why: String| Failure::new(Kind::Environment, format!("ps: {why}"));
    let output = ps.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.trim_end().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The titles, and the rows of some processes; none without a column of their numbers. The last column may have spaces.
fn rows(text: &str, processes: &BTreeSet<String>) -> Option<Vec<Vec<String>>> {
    let mut lines = text.lines();
    let titles: Vec<String> = words(lines.next()?, usize::MAX);
    let at = titles.iter().position(|title| title == "PID")?;
    let rows = lines.map(|line| words(line, titles.len()));
    let rows = rows.filter(|row| row.get(at).is_some_and(|number| processes.contains(number)));
    let rows: Vec<_> = rows.collect();
    Some([vec![titles], rows].concat())
}

/// At most so many words; the last one is the rest.
fn words(line: &str, most: usize) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim());
    while words.len() + 1 < most
        && let Some((word, others)) = rest.split_once(char::is_whitespace)
    {
        words.push(word.to_owned());
        rest = others.trim_start();
    }
    words.push(rest.to_owned());
    words
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widest = cells
            .map(|cell: &String| cell.chars().count() + BETWEEN)
            .max();
        widest.unwrap_or_default().max(NARROWEST)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            match at + 1 == columns {
                true => text.push_str(cell),
                false => text.push_str(&format!("{cell:<width$}", width = widths[at])),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_container_and_commands_keep_their_spaces() {
        let text = "UID   PID  CMD\nroot    1  init\nroot   17  sh -c  a b\nroot  171  x\n";
        let rows = rows(text, &BTreeSet::from(["17".to_owned()])).unwrap();
        assert_eq!(rows[1..], [["root", "17", "sh -c  a b"].map(str::to_owned)]);
        let aligned = aligned(&rows);
        assert!(aligned.starts_with("UID                 PID                 CMD\nroot  "));
        assert!(super::rows("CMD\nx\n", &BTreeSet::new()).is_none());
    }
}
