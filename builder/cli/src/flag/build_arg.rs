//! `--build-arg`, `--build-arg-file`: values of ARGs, and `SOURCE_DATE_EPOCH`, which may come from here or from the environment.

use super::source_date_epoch::LAST;
use super::{Flag, pairs};
use crate::environment;
use crate::failure::{Failure, Fault};
use crate::pflag::Takes;
use kiln_engine::Request;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The argument that says the time of the image.
const EPOCH: &str = "SOURCE_DATE_EPOCH";
/// A file of arguments of more bytes is refused.
const MAX_FILE: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Value of an ARG; without =VALUE, it is taken from the environment (may be repeated)
    #[arg(long, value_name = "NAME[=VALUE]", add = Takes::StrictList)]
    build_arg: Vec<String>,
    /// File with NAME=VALUE lines, one for each --build-arg; the command line takes precedence (may be repeated)
    #[arg(long, value_name = "FILE", add = Takes::List)]
    build_arg_file: Vec<PathBuf>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for file in &self.build_arg_file {
            let lines = lines("--build-arg-file", file)?;
            let given = pairs("--build-arg-file", &lines, environment::variable)?;
            request.language.build_args.extend(given);
        }
        let given = pairs("--build-arg", &self.build_arg, environment::variable)?;
        request.language.build_args.extend(given);
        let given = request.language.build_args.get(EPOCH).cloned();
        let epoch = given.or_else(|| environment::variable(EPOCH).filter(|text| !text.is_empty()));
        let Some(epoch) = epoch else {
            return Ok(());
        };
        request.language.source_date_epoch = seconds(&epoch)?;
        if request.language.source_date_epoch.is_none() {
            // it may name something that has a time, which only the Dockerfile tells
            request.language.build_args.insert(EPOCH.to_owned(), epoch);
        }
        Ok(())
    }
}

/// The lines of a file that say something: neither empty nor a comment (`#`).
pub fn lines(option: &str, path: &Path) -> Result<Vec<String>, Failure> {
    let wrong = |why: String| Failure::usage(format!("{option} {}: {why}", path.display()));
    let unread = |error: std::io::Error| wrong(error.to_string()).for_fault(Fault::among(&error));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unread)?;
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    read.map_err(unread)?;
    if text.len() as u64 > MAX_FILE {
        return Err(wrong(format!("it has more than {MAX_FILE} bytes")));
    }
    // as editors of Windows begin a file
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start);
    let said = lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    Ok(said.map(str::to_owned).collect())
}

/// None of what is no number.
fn seconds(epoch: &str) -> Result<Option<i64>, Failure> {
    let text = epoch.trim();
    let digits = text.trim_start_matches(['-', '+']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let seconds = text.parse().ok().filter(|seconds| *seconds <= LAST);
    seconds.map(Some).ok_or_else(|| {
        let what = "is not a number of seconds before the year 10000";
        Failure::usage(format!("{EPOCH}: {epoch:?} {what}"))
    })
}
