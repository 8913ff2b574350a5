//! `kiln stats`: what the steps of a build took, compared with earlier builds, and which of them decided how long the whole took; or the steps
//! of the last builds of a project, summed up.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::form::json;
use crate::pflag::Takes;
use crate::render::clip;
use crate::sheet::{self, Sheet};
use crate::{output, past, session, table, units};
use clap::{Args, ValueEnum};
use kiln_cache::{PastBuild, Store};
use kiln_report::stats::cells::{self, Cells};
use kiln_report::stats::{Earlier, Stats, StepStats, Summary, stats, summaries, timeline};
use std::path::PathBuf;

/// Characters of an instruction in a table.
const TITLE: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for a terminal
    Table,
    /// All figures, in microseconds and bytes
    Json,
    /// One page with a timeline, for a browser
    Html,
}

/// Arguments of `kiln stats`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Build ID or the beginning of one, or the name or ID of an image: the last build that made it; the last build of all without it
    #[arg(value_name = "BUILD")]
    build: Option<String>,
    /// Sum up this build and the ones of the same project before it, so many in all
    #[arg(long, value_name = "NUMBER", add = Takes::Number)]
    last: Option<usize>,
    /// How to show the figures
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT", add = Takes::Single)]
    format: Format,
    /// File to write them to; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-", add = Takes::Single)]
    output: PathBuf,
}

/// Shows.
///
/// # Errors
/// There is no such build, or the store cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading(globals)?;
    let build = past::build(&store, arguments.build.as_deref())?;
    let earlier = earlier(&store, &build, arguments.last)?;
    let text = match arguments.last {
        Some(_) => of_builds(&store, &build, earlier, arguments.format)?,
        None => of_build(&store, &build, &earlier, arguments.format)?,
    };
    if arguments.output.as_os_str() == "-" {
        table::print_text(&text);
        return Ok(());
    }
    let path = arguments.output.display();
    let failed = |error| Failure::new(Kind::Environment, format!("{path}: {error}"));
    output::report(&arguments.output, &text).map_err(failed)
}

/// The builds of the project before this one, the latest first; with `last`, that many less this one.
fn earlier(store: &Store, build: &PastBuild, last: Option<usize>) -> Result<Vec<Earlier>, Failure> {
    let builds = store.history().builds()?;
    let before = builds
        .iter()
        .skip_while(|other| other.id != build.id)
        .skip(1);
    let project = build.project();
    let same = before.filter(|other| project.has(other));
    let most = last.map_or(usize::MAX, |last| last.saturating_sub(1));
    let mut earlier = Vec::new();
    for other in same.take(most) {
        let steps = store.history().steps(&other.id)?;
        earlier.push(Earlier { steps });
    }
    Ok(earlier)
}

/// The figures of a build in the form that was asked for.
fn of_build(
    store: &Store,
    build: &PastBuild,
    earlier: &[Earlier],
    format: Format,
) -> Result<String, Failure> {
    let steps = store.history().steps(&build.id)?;
    let stats = stats(build, &steps, earlier);
    Ok(match format {
        Format::Json => json(&stats)?,
        Format::Html => timeline::page(&stats, &past::name(build), &summary(&stats)),
        Format::Table => sheet::columns(&[sheet(&stats)]),
    })
}

fn sheet(stats: &Stats) -> Sheet {
    let headers = [
        "step",
        "instruction",
        "result",
        "time",
        "usual",
        "cpu",
        "memory",
        "written",
        "layer",
    ];
    let mut sheet = Sheet::new("", &headers);
    sheet.rows = stats.step_stats.iter().map(row).collect();
    sheet.note = Some(summary(stats));
    sheet
}

fn row(step: &StepStats) -> Vec<String> {
    let cells = Cells::of(step);
    let mark = if step.is_critical { "*" } else { "" };
    vec![
        cells.step + mark,
        clip(&step.past.title, TITLE),
        cells.result,
        cells.time,
        cells.usual,
        cells.cpu,
        cells.memory,
        cells.written,
        cells.layer,
    ]
}

/// The build in one sentence.
fn summary(stats: &Stats) -> String {
    let build = &stats.past;
    let took = units::duration(build.took_us);
    let cached = format!(
        "{} of {} cached",
        build.cached,
        units::counted(build.steps, "step")
    );
    let critical = match stats.critical_us {
        0 => String::new(),
        micros => format!(", {} on the critical path (*)", units::duration(micros)),
    };
    format!(
        "build {} {} in {took}{critical}; {cached}",
        stats.build,
        build.result.name()
    )
}

/// The steps of several builds, summed up.
fn of_builds(
    store: &Store,
    build: &PastBuild,
    earlier: Vec<Earlier>,
    format: Format,
) -> Result<String, Failure> {
    let steps = store.history().steps(&build.id)?;
    let all: Vec<Earlier> = std::iter::once(Earlier { steps }).chain(earlier).collect();
    let summaries = summaries(&all);
    match format {
        Format::Json => json(&summaries),
        Format::Html => Err(Failure::usage("the page shows one build: leave --last out")),
        Format::Table => {
            let builds = units::counted(all.len(), "build");
            Ok(sheet::columns(&[sheet_of_builds(&summaries, &builds)]))
        }
    }
}

fn sheet_of_builds(summaries: &[Summary], builds: &str) -> Sheet {
    let headers = [
        "stage",
        "instruction",
        "ran",
        "cached",
        "time",
        "slowest",
        "cpu",
        "memory",
        "written",
    ];
    let mut sheet = Sheet::new("", &headers);
    sheet.rows = summaries.iter().map(row_of_builds).collect();
    let meant = "the time is the middle of all runs, the rest the most of one";
    sheet.note = Some(format!("{builds}; {meant}"));
    sheet
}

fn row_of_builds(step: &Summary) -> Vec<String> {
    vec![
        step.stage.clone(),
        clip(&step.title, TITLE),
        step.ran.to_string(),
        step.cached.to_string(),
        cells::time(step.took_us),
        cells::time(step.slowest_us),
        cells::time(step.most.cpu_us),
        cells::amount(step.most.memory),
        cells::amount(step.most.written),
    ]
}
