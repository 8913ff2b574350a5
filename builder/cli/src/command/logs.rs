//! `kiln logs`: what the steps of a build have printed, those from the cache when they ran. Values of secrets are not in it. And what a
//! container in the background has printed.

mod container;

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::printable::{printable, printed};
use crate::render::{clip, note};
use crate::step_name::StepName;
use crate::{containers, past, session, stdout};
use clap::Args;
use kiln_cache::{KeptLog, LogOf, PastBuild, PastStep, StepEnding, Store};
use std::io::{self, BufRead, BufReader, Read, Write};

/// Characters of an instruction that are shown.
const TITLE: usize = 100;
/// A longer line is shown on a terminal in pieces.
const LONGEST_LINE: u64 = 64 << 10;

/// Arguments of `kiln logs`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name or ID of a container; or a build ID or the beginning of one, or the name or ID of an image: the last build that made it; the last
    /// build of all without it
    #[arg(value_name = "CONTAINER|BUILD")]
    build: Option<String>,
    /// Show only this step, as it printed: STAGE N/M, STAGE N or Dockerfile:LINE
    #[arg(long, value_name = "STEP", add = Takes::Single)]
    step: Option<StepName>,
    #[command(flatten)]
    of_container: container::Flags,
}

/// Shows.
///
/// # Errors
/// There is no such container, build or step, or the store cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading(globals)?;
    let of_container = &arguments.of_container;
    let named = arguments
        .build
        .as_ref()
        .filter(|_| arguments.step.is_none());
    let kept = named.map(|name| containers::known(&store, name));
    if let Some(kept) = kept.transpose()?.flatten() {
        return of_container.show(&store, &kept);
    }
    of_container.refuse()?;
    let build = past::build(&store, arguments.build.as_deref())?;
    let steps = past::steps(&store, &build, arguments.step.as_ref())?;
    show_all(&store, &build, &steps, arguments.step.is_none())
}

/// Shows what steps of a build have printed.
fn show_all(
    store: &Store,
    build: &PastBuild,
    steps: &[PastStep],
    is_whole: bool,
) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for step in steps {
        kept.extend(log(store, build, step)?.map(|log| (step, log)));
    }
    let has_headings = kept.len() > 1 || is_whole;
    for (at, (step, log)) in kept.iter().enumerate() {
        if has_headings {
            let between = if at > 0 { "\n" } else { "" };
            stdout::print(format!("{between}{}\n", heading(build, step, log)).as_bytes());
        }
        show(store, log)?;
    }
    if kept.is_empty() {
        note("nothing is kept: nothing was printed, or it is kept no longer");
    }
    Ok(())
}

/// What a step of a build has printed.
fn log(store: &Store, build: &PastBuild, step: &PastStep) -> Result<Option<KeptLog>, Failure> {
    let is_cached = step.outcome == Some(StepEnding::Cached);
    let of = LogOf {
        build: &build.id,
        step: step.step,
        key: step.key.as_ref().filter(|_| is_cached),
    };
    let took = i64::try_from(build.took_us).unwrap_or(i64::MAX);
    let ended_us = build.began_us.saturating_add(took);
    Ok(store.logs().find(of, ended_us.div_euclid(1_000_000))?)
}

fn heading(build: &PastBuild, step: &PastStep, log: &KeptLog) -> String {
    let title = clip(&step.title, TITLE);
    let before = match log.build == build.id {
        true => String::new(),
        false => format!(" (cached, ran in build {})", log.build),
    };
    let heading = format!("[{}] {title}{before}", past::short(step));
    printable(&heading, false)
}

/// Copies a log to standard output; a terminal gets no control bytes.
fn show(store: &Store, log: &KeptLog) -> Result<(), Failure> {
    let Some(mut text) = store.logs().open(log)? else {
        note("its log is kept no longer");
        return Ok(());
    };
    let damaged = |error: io::Error| {
        let message = format!("the log of build {} is damaged: {error}", log.build);
        Failure::new(Kind::Environment, message)
    };
    stdout::stream(|out| match stdout::is_terminal() {
        true => lines(text, out).map_err(damaged),
        false => io::copy(&mut text, out).map(drop).map_err(damaged),
    })
}

/// Lines as a terminal shows them.
fn lines(text: impl Read, out: &mut dyn Write) -> io::Result<()> {
    let mut text = BufReader::new(text);
    let mut line = Vec::new();
    while text
        .by_ref()
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)?
        > 0
    {
        let whole = String::from_utf8_lossy(&line);
        writeln!(out, "{}", printed(whole.trim_end_matches(['\n', '\r'])))?;
        line.clear();
    }
    Ok(())
}
