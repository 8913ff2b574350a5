//! `kiln plan`: what a build with the same flags would do: which steps have a result, which are executed and why, how long that takes, and what is
//! fetched. Nothing is executed, and nothing is written to the store.

mod mermaid;
mod tree;

use super::build;
use crate::environment::Globals;
use crate::failure::{Failure, Kind, build as failures};
use crate::flag::{Flag, Flags, Setup};
use crate::pflag::Takes;
use crate::render::warning;
use crate::{form, remembered, session, signals, stdout, table};
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use kiln_cache::{PastStep, Project, Store, StoreError};
use kiln_engine::event::{Cancel, EventKind, Events, Stream};
use kiln_engine::forecast::{Forecast, ForecastImage, ForecastStage};
use kiln_engine::forecast::{ForecastStep, Verdict, forecast};
use kiln_engine::{BuildError, Request, Session};
use kiln_report::stats::{Earlier, critical_path, usual_us};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Builds of the project whose times count.
const BUILDS: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Stages and their steps
    Tree,
    /// All that is known
    Json,
    /// A flowchart for Mermaid
    Mermaid,
}

/// Arguments of `kiln plan`: those of `kiln build`, and how to show the plan.
#[derive(Debug)]
pub struct Arguments {
    build: build::Arguments,
    shown: Shown,
}

#[derive(Debug, Args)]
#[group(skip)]
struct Shown {
    /// How to show the plan
    #[arg(long, id = "plan format", value_enum, default_value = "tree", value_name = "FORMAT", add = Takes::Single)]
    format: Format,
}

impl Args for Arguments {
    fn augment_args(command: Command) -> Command {
        let of_build = build::Arguments::augment_args(command);
        // another engine's flag of `build` has the name
        Shown::augment_args(of_build.mut_arg("foreign format", |flag| flag.long("image-format")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Arguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Arguments {
            build: build::Arguments::from_arg_matches(matches)?,
            shown: Shown::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A plan as it is shown.
#[derive(Debug, Serialize)]
struct Planned {
    stages: Vec<ForecastStage>,
    steps: Vec<PlannedStep>,
    images: Vec<ForecastImage>,
    fetch: u64,
    /// Microseconds of all steps that run, or may, and of those on the critical path, as far as earlier builds tell.
    expected_us: u64,
    critical_us: u64,
}

/// A step.
#[derive(Debug, Serialize)]
struct PlannedStep {
    #[serde(flatten)]
    step: ForecastStep,
    /// The reasons in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<String>,
    /// What it takes if it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_us: Option<u64>,
    is_critical: bool,
}

/// Shows.
///
/// # Errors
/// As a build before its first step.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let format = arguments.shown.format;
    let (request, flags) = arguments.build.prepared()?;
    let mut setup = Setup::new(globals);
    flags.set_up(&mut setup, &request)?;
    if setup.question.is_some() {
        return Err(Failure::usage(
            "--call answers another question than a plan",
        ));
    }
    let planned = planned(request, &flags, &setup.globals)?;
    match format {
        Format::Tree => table::print_text(&tree::text(&planned)),
        Format::Mermaid => table::print_text(&mermaid::text(&planned)),
        Format::Json => stdout::print(form::json(&planned)?.as_bytes()),
    }
    Ok(())
}

/// Looks at what a build would do, with what earlier builds tell of times.
fn planned(mut request: Request, flags: &Flags, globals: &Globals) -> Result<Planned, Failure> {
    let scratch = tempfile::Builder::new().prefix("kiln-plan").tempdir();
    let scratch = scratch
        .map_err(|error| Failure::new(Kind::Environment, format!("no scratch folder: {error}")))?;
    let cancel = Cancel::default();
    let (events, stream) = Events::new(build::new_id());
    let session = session::open_to_look(globals, events, cancel.clone(), scratch.path())?;
    let watch = signals::Watch::start(&cancel)?;
    request.notices.iter().for_each(|notice| warning(notice));
    request.project = Some(remembered::project(&request));
    let found = found(&session, request, flags, &watch);
    let store = session.store.without_fetcher();
    drop(session);
    warn(&stream);
    let ended = watch.end();
    let (found, project) = found?;
    ended?;
    timed(&store, &project, found)
}

/// The plan, and the project that it is of.
fn found(
    session: &Session,
    request: Request,
    flags: &Flags,
    watch: &signals::Watch,
) -> Result<(Forecast, Project), Failure> {
    let mut dockerfile = build::text(&request);
    let found = build::opened(session, request, flags).and_then(|build| {
        dockerfile.clone_from(&build.dockerfile);
        let found = forecast(session, &build)?;
        Ok((found, build.project.unwrap_or_default()))
    });
    found.map_err(|error| {
        let unread = unread(&error);
        unread.unwrap_or_else(|| failures::failure(&dockerfile, false, error, watch.kind()))
    })
}

/// Says what a build would warn of.
fn warn(events: &Stream) {
    while let Ok(event) = events.next(Duration::ZERO) {
        if let EventKind::Warning { message } = event.kind {
            warning(&message);
        }
    }
}

/// What has to be in the store before there can be a plan.
fn unread(error: &BuildError) -> Option<Failure> {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    });
    let is_write = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(StoreError::ReadOnly { .. }))
    };
    causes.any(is_write).then(|| {
        let what =
            "this build reads a context that is not in the store, and a plan takes nothing into it";
        Failure::new(Kind::Build, what)
            .hint("a plan reads folders, and what an earlier build has fetched")
    })
}

/// Adds what earlier builds tell of times.
fn timed(store: &Store, project: &Project, found: Forecast) -> Result<Planned, Failure> {
    let builds = store.history().last_of(project, BUILDS)?.into_iter();
    let builds: Vec<Earlier> = builds.map(|(_, steps)| Earlier { steps }).collect();
    let expected = |step: &ForecastStep| {
        let before = step.before.as_ref()?;
        usual_us(before, &builds).or(before.took_us)
    };
    let expected: Vec<Option<u64>> = found.steps.iter().map(expected).collect();
    let steps = found.steps.iter().zip(&expected);
    let executed: Vec<PastStep> = steps.map(|(step, took)| executed(step, *took)).collect();
    let (critical, critical_us) = critical_path(&executed);
    let steps = found.steps.into_iter().zip(&expected);
    let steps = steps.map(|(step, expected)| shown(step, *expected, &critical));
    Ok(Planned {
        steps: steps.collect(),
        stages: found.stages,
        images: found.images,
        fetch: found.fetch,
        expected_us: expected.iter().flatten().sum(),
        critical_us,
    })
}

fn shown(step: ForecastStep, expected_us: Option<u64>, critical: &BTreeSet<usize>) -> PlannedStep {
    PlannedStep {
        because: step.reasons.iter().map(ToString::to_string).collect(),
        is_critical: critical.contains(&step.info.step),
        expected_us,
        step,
    }
}

/// The step as if it had been executed and had taken what is expected.
fn executed(step: &ForecastStep, took_us: Option<u64>) -> PastStep {
    PastStep {
        step: step.info.step,
        needs: step.info.needs.clone(),
        began_us: (step.verdict != Verdict::Hit).then_some(0),
        took_us,
        ..PastStep::default()
    }
}

/// What becomes of a step, in a word.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Hit => "hit",
        Verdict::Runs => "runs",
        Verdict::Depends => "depends",
    }
}
