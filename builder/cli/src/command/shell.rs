//! `kiln shell`: a shell before or after a step of a build, with what a RUN there would see. Unaware of how it is made.

use crate::attendant::{self, Streams, judged};
use crate::command::build;
use crate::environment::Globals;
use crate::failure::{Failure, Kind, build as failures};
use crate::flag::{Flag, Flags, Setup};
use crate::pflag::Takes;
use crate::step_name::{StepName, StepPlace};
use crate::{catalog, render, transfer};
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use kiln_engine::event::StepInfo;
use kiln_engine::trial::{self, Opened, Place, TOOLS_CONTEXT};
use kiln_engine::{Request, Session};
use kiln_oci::Reference;
use kiln_sandbox::Exit;
use signal_hook::consts::SIGTERM;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// Arguments of `kiln shell`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    build: OfBuild,
    /// Step after which the shell is opened: STAGE N/M, STAGE N or Dockerfile:LINE [default: the last of the target]
    #[arg(value_name = "STEP")]
    step: Option<StepName>,
    /// Open the shell before the step
    #[arg(long, add = Takes::Switch)]
    before: bool,
    /// Keep what the shell changes, as an image of this name
    #[arg(long, value_name = "NAME", add = Takes::Single)]
    commit: Option<String>,
}

/// The command line of a build, whose context is the current folder without another word.
#[derive(Debug)]
struct OfBuild(build::Arguments);

impl Args for OfBuild {
    fn augment_args(command: Command) -> Command {
        let family = build::Arguments::augment_args(Command::default());
        family.get_arguments().fold(command, |command, argument| {
            command.arg(match argument.get_id() == "context" {
                false => argument.clone(),
                true => Arg::new("context")
                    .value_name("CONTEXT")
                    .value_parser(value_parser!(PathBuf))
                    .help("Files for COPY and ADD, as of `kiln build` [default: .]"),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OfBuild {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        build::Arguments::from_arg_matches(matches).map(OfBuild)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Builds as far as the place, and opens the shell.
///
/// # Errors
/// The build fails, has no such step, or the shell ends with another exit code than 0.
pub fn run(mut arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let step = arguments.build.0.take_step::<StepName>();
    let place = (step.or(arguments.step), arguments.before);
    let name = arguments.commit.as_deref().map(catalog::new_name);
    let name = name.transpose()?.map(Reference::with_default_tag);
    let (mut request, flags) = arguments.build.0.prepared()?;
    check(&request)?;
    if let Some(tools) = flags.tools()? {
        let contexts = &mut request.sources.contexts;
        contexts.insert(TOOLS_CONTEXT.to_owned(), tools);
    }
    let mut setup = Setup::new(globals);
    flags.set_up(&mut setup, &request)?;
    let memory = request.run.limits.memory;
    let shows = (setup.progress, "building");
    let (opened, session) = transfer::session_after(&setup.globals, shows, |session| {
        opened(session, request, &flags, place)
    })?;
    judged(&attended(session, &opened, name.as_ref())?, memory)
}

/// Lets somebody use the shell, and says what is kept.
fn attended(session: Session, opened: &Opened, name: Option<&Reference>) -> Result<Exit, Failure> {
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let streams = Streams::new(true, has_terminal, SIGTERM);
    let (exit, _) = attendant::attended(session, streams, |session, streams| {
        opened.attend(session, streams.size(), name, streams)
    })?;
    if let Some(name) = name {
        render::note(&format!("what the shell has left is {}", name.familiar()));
    }
    Ok(exit)
}

/// That nothing else is asked for than a shell.
fn check(request: &Request) -> Result<(), Failure> {
    if request.form.platforms.len() > 1 {
        return Err(Failure::usage(
            "a shell is of one platform: give one --platform",
        ));
    }
    if request.goal.names().is_empty() && request.goal.outputs.is_empty() {
        return Ok(());
    }
    let failure = Failure::usage("a shell makes no image: it takes no --tag and no --output");
    Err(failure.hint("--commit NAME keeps what the shell has changed"))
}

/// Builds as far as the place.
fn opened(
    session: &Session,
    request: Request,
    flags: &Flags,
    (step, is_before): (Option<StepName>, bool),
) -> Result<Opened, Failure> {
    let text = build::text(&request);
    let failed = |text: &_, error| failures::failure(text, false, error, Kind::Interrupted);
    let build = build::opened(session, request, flags);
    let build = build.map_err(|error| failed(&text, error))?;
    let failed = |error| failed(&build.dockerfile, error);
    let line = |step: &StepName| {
        let steps = trial::steps(session, &build).map_err(failed)?;
        line(step, &steps, &build.dockerfile.name)
    };
    let line = step.as_ref().map(line).transpose()?;
    let before = "--before opens the shell before the step";
    let hint = (step.is_some() && !is_before).then_some(before);
    let opened = trial::open(session, &build, Place { line, is_before });
    let opened = opened.map_err(|error| failed(error).hints(hint))?;
    let nothing = "nothing is before FROM, nor before what ONBUILD adds to it";
    let failure = || Failure::new(Kind::Build, "the Dockerfile has no such step");
    opened.ok_or_else(|| failure().hints(is_before.then_some(nothing)))
}

/// The line of a step. A line may also be that of an instruction that is no step.
fn line(name: &StepName, steps: &[StepInfo], file: &str) -> Result<u32, Failure> {
    let is_meant = |step: &&StepInfo| {
        name.names(StepPlace {
            file,
            line: step.line,
            stage: &step.stage,
            number: step.number,
            of: step.of,
        })
    };
    match (steps.iter().find(is_meant), name) {
        (Some(step), _) => Ok(step.line),
        (None, StepName::InFile { line, .. }) => Ok(*line),
        (None, StepName::InStage { .. }) => {
            let short = |step: &StepInfo| format!("{} {}/{}", step.stage, step.number, step.of);
            let known: Vec<String> = steps.iter().map(short).collect();
            let failure = Failure::new(Kind::Build, "the build has no such step");
            Err(failure.hint(format!("its steps are {}", known.join(", "))))
        }
    }
}
