//! `--source-date-epoch`, `--timestamp`, `--reproducible`: one time for the whole image, as buildah and kaniko ask for it. All are
//! `SOURCE_DATE_EPOCH`, and so an ARG of that name too. Of what commands leave, `--source-date-epoch` changes only later times; the others
//! set all.

use super::Flag;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::Request;

/// The end of the year 9999: later times have no text.
pub(super) const LAST: i64 = 253_402_300_799;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Time for everything in the image, like SOURCE_DATE_EPOCH in the environment or as a --build-arg
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=LAST), add = Takes::Number)]
    source_date_epoch: Option<i64>,
    /// The same as --source-date-epoch, and the time of all that commands leave, also of older files
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=LAST), add = Takes::Number)]
    timestamp: Option<i64>,
    /// The same as --timestamp 0, as kaniko calls it
    #[arg(long, add = Takes::Switch)]
    reproducible: bool,
}

impl Flags {
    /// What was given, under the flags' names; at most one of them.
    fn given(&self) -> Result<Option<(&'static str, i64)>, Failure> {
        let all = [
            ("--source-date-epoch", self.source_date_epoch),
            ("--timestamp", self.timestamp),
            ("--reproducible", self.reproducible.then_some(0)),
        ];
        let mut given = all
            .into_iter()
            .filter_map(|(flag, value)| Some((flag, value?)));
        match (given.next(), given.next()) {
            (Some((one, _)), Some((other, _))) => Err(conflict(one, other)),
            (first, _) => Ok(first),
        }
    }
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let Some((flag, seconds)) = self.given()? else {
            return Ok(());
        };
        let argument = request.language.build_args.get("SOURCE_DATE_EPOCH");
        if argument.is_some_and(|argument| argument.trim() != seconds.to_string()) {
            return Err(conflict(flag, "--build-arg SOURCE_DATE_EPOCH"));
        }
        request.language.source_date_epoch = Some(seconds);
        request.form.sets_times = self.source_date_epoch.is_none();
        Ok(())
    }
}

/// What an output says of the time (`source-date-epoch=`), which is that of the whole image: all outputs show the same one. An empty
/// text says nothing.
///
/// # Errors
/// It is no time, or another one was given.
pub(super) fn of_output(text: &str, request: &mut Request) -> Result<(), Failure> {
    const KEY: &str = "source-date-epoch of --output";
    if text.is_empty() {
        return Ok(());
    }
    let seconds = text.parse().ok().filter(|seconds| *seconds <= LAST);
    let what = || format!("{KEY}: {text:?} is not a number of seconds before the year 10000");
    let seconds = seconds.ok_or_else(|| Failure::usage(what()))?;
    let is_named = request.language.build_args.get("SOURCE_DATE_EPOCH");
    let is_named = is_named.is_some_and(|argument| argument.trim().parse() != Ok(seconds));
    match request.language.source_date_epoch {
        Some(other) if other != seconds => Err(conflict(KEY, "SOURCE_DATE_EPOCH")),
        None if is_named => Err(conflict(KEY, "--build-arg SOURCE_DATE_EPOCH")),
        _ => {
            request.language.source_date_epoch = Some(seconds);
            Ok(())
        }
    }
}

fn conflict(one: &str, other: &str) -> Failure {
    Failure::usage(format!("{one} and {other} both set the time of the image"))
        .hint("give one of them")
}
