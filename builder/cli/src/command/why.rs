//! `kiln why`: why the steps of a build were executed, as it was told then, or in what they differ from those of another build.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::form::{Format, json};
use crate::pflag::Takes;
use crate::printable::printable;
use crate::render::{clip, note};
use crate::step_name::StepName;
use crate::{past, session, stdout};
use clap::Args;
use kiln_cache::{PastBuild, PastStep, Reason, StepEnding, Store};
use serde::Serialize;

/// Characters of an instruction that are shown.
const TITLE: usize = 100;

/// Arguments of `kiln why`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A step of the last build (STAGE N/M, STAGE N or Dockerfile:LINE), or the name or ID of an image or build; the last build of all
    /// without it
    #[arg(value_name = "STEP|IMAGE")]
    what: Option<String>,
    /// Only this step: STAGE N/M, STAGE N or Dockerfile:LINE
    #[arg(long, value_name = "STEP", add = Takes::Single)]
    step: Option<StepName>,
    /// Compare with this build (its ID, or the name or ID of its image) instead of the one before
    #[arg(long, value_name = "BUILD", add = Takes::Single)]
    against: Option<String>,
    /// How to show it
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT", add = Takes::Single)]
    format: Format,
}

/// A step with its reasons.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    step: PastStep,
    /// Why it was executed, in words; what it says of a step without reasons.
    because: Vec<String>,
}

/// Shows.
///
/// # Errors
/// There is no such build or step, or the store cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading(globals)?;
    let (build, step) = meant(&store, &arguments)?;
    let named = past::steps(&store, &build, step.as_ref())?;
    let against = arguments.against.as_deref();
    let told = match against {
        None => named.into_iter().map(then).collect(),
        Some(name) => compared(&store, &build, named, name)?,
    };
    if arguments.format == Format::Json {
        stdout::print(json(&told)?.as_bytes());
        return Ok(());
    }
    show(&told, step.is_some(), against.is_some());
    Ok(())
}

/// The build that is meant, and the step if one is.
fn meant(store: &Store, arguments: &Arguments) -> Result<(PastBuild, Option<StepName>), Failure> {
    let what = arguments.what.as_deref();
    let step = what.and_then(|what| what.parse::<StepName>().ok());
    if let Some(step) = step.filter(|_| arguments.step.is_none()) {
        let last = past::build(store, None)?;
        let is_there = past::steps(store, &last, Some(&step));
        let is_image = what.is_some_and(|what| past::build(store, Some(what)).is_ok());
        if is_there.is_ok() || !is_image {
            return is_there.map(|_| (last, Some(step)));
        }
    }
    Ok((past::build(store, what)?, arguments.step.clone()))
}

/// What was told then.
fn then(step: PastStep) -> Told {
    let because = match (&step.reasons[..], step.outcome) {
        ([], Some(StepEnding::Cached)) => vec!["it was in the cache".to_owned()],
        ([], _) if step.began_us.is_none() => vec!["the build did not get to it".to_owned()],
        ([], _) => vec!["no earlier build had it".to_owned()],
        (reasons, _) => texts(reasons),
    };
    Told { step, because }
}

/// In what the steps differ from those of the build of this name.
fn compared(
    store: &Store,
    build: &PastBuild,
    steps: Vec<PastStep>,
    against: &str,
) -> Result<Vec<Told>, Failure> {
    let other = past::build(store, Some(against))?;
    let (old, new) = (
        store.history().steps(&other.id)?,
        store.history().steps(&build.id)?,
    );
    let reasons = kiln_engine::why::compare(store, old, new);
    let told = |step: PastStep| {
        let reasons = reasons.get(&step.step).cloned().unwrap_or_default();
        let because = match &reasons[..] {
            [] => vec!["the same".to_owned()],
            reasons => texts(reasons),
        };
        Told {
            step: PastStep { reasons, ..step },
            because,
        }
    };
    Ok(steps.into_iter().map(told).collect())
}

fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(ToString::to_string).collect()
}

/// Prints the steps that have something to be told, or the one that was asked for.
fn show(told: &[Told], is_one: bool, is_comparison: bool) {
    let ran = |told: &&Told| told.step.began_us.is_some() && !is_comparison;
    let is_shown = |told: &&Told| is_one || ran(told) || !told.step.reasons.is_empty();
    let mut is_empty = true;
    for told in told.iter().filter(is_shown) {
        is_empty = false;
        let title = clip(&told.step.title, TITLE);
        let mut text = format!("[{}] {title}\n", past::short(&told.step));
        told.because
            .iter()
            .for_each(|reason| text.push_str(&format!("  {reason}\n")));
        let lines: Vec<String> = text.lines().map(|line| printable(line, false)).collect();
        stdout::print(format!("{}\n", lines.join("\n")).as_bytes());
    }
    match is_comparison {
        true if is_empty => note("no step differs"),
        false if is_empty => note("no step was executed: all were in the cache"),
        _ => {}
    }
}
