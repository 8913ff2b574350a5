//! `kiln build`: flags make a request, which is opened and built; events go into a renderer, failures into carets and hints. Unaware of
//! single flags.

use crate::call::Method;
use crate::environment::{self, Globals};
use crate::failure::{Failure, build as failures};
use crate::flag::context::Source;
use crate::flag::on_error::OnError;
use crate::flag::{Flag, Flags, Setup};
use crate::remembered::Remembered;
use crate::render::{self, Background, Ending, Log, Progress};
use crate::tidy::tidy;
use crate::{session, signals, stdout, transfer, upkeep};
use clap::Args;
use kiln_cache::{Budget, Store};
use kiln_engine::event::{Cancel, Events, Stream};
use kiln_engine::{Build, BuildError, Built, DockerfileText, Request, Session};
use kiln_engine::{chain_of_causes, open};
use std::str::FromStr;

/// Arguments of `kiln build`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    flags: Flags,
}

impl Arguments {
    /// Takes a step that stands in the place of the context.
    pub fn take_step<S: FromStr>(&mut self) -> Option<S> {
        self.source.take_step()
    }

    /// The same command line with a Dockerfile that is in no file.
    pub fn with_dockerfile(mut self, text: Option<&str>) -> Self {
        self.source.dockerfile_text = text.map(str::to_owned);
        self
    }

    /// What is asked for, and the flags that say so.
    ///
    /// # Errors
    /// A value is malformed, or a file cannot be read.
    pub fn prepared(self) -> Result<(Request, Flags), Failure> {
        let Arguments { source, flags } = self;
        flags.begins(&source)?;
        let mut request = source.read()?;
        flags.apply(&mut request)?;
        Ok((request, flags))
    }
}

/// Builds.
///
/// # Errors
/// With what went wrong, where, and what to do.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let build = new_id();
    let (progress, logfile) = arguments.flags.shown();
    let ending = Ending::new(progress, logfile, &build);
    let ended = ending.tell(built(arguments, globals, build));
    if ended.is_err() {
        tidy(globals);
    }
    ended
}

/// The same without a word on how it ended. `build` names the events.
fn built(arguments: Arguments, globals: &Globals, build: String) -> Result<(), Failure> {
    let (request, flags) = arguments.prepared()?;
    let mut setup = Setup::new(globals);
    flags.set_up(&mut setup, &request)?;
    if let Some(question) = setup.question {
        return answer(question, request, &flags, &setup.globals);
    }
    let log = Log::open(setup.progress, setup.logfile.as_deref(), &setup.logs)?;
    let events = Events::new(build);
    let budget = upkeep::budget()?;
    let begun = (setup.globals, budget, setup.on_error);
    let (built, store) = shown(request, &flags, &begun, &log, events)?;
    flags.finished(&built)?;
    log.check().and_then(|()| stdout::check())?;
    upkeep::after(&store, &budget, Some(&built.manifest));
    Ok(())
}

/// Builds, while a log shows how.
fn shown(
    mut request: Request,
    flags: &Flags,
    (globals, budget, on_error): &(Globals, Budget, OnError),
    log: &Log,
    (events, stream): (Events, Stream),
) -> Result<(Built, Store), Failure> {
    if log.progress == Progress::Quiet {
        // what somebody asked for and does not get is no progress
        let notices = request.notices.drain(..);
        notices.for_each(|notice| render::warning(&notice));
    }
    let cancel = Cancel::default();
    let session = Session {
        budget: *budget,
        ..session::open(globals, events, cancel.clone())?
    };
    let watch = signals::Watch::put_off(&cancel);
    upkeep::before(&session.store, budget);
    let renderer = log.renderer(environment::no_color());
    let (renderer, remembered) = Remembered::begin(renderer, &request);
    request.project = Some(remembered.project());
    let sink = log.sink.clone();
    let shown = Background::put_off(Box::new(renderer), stream, sink, &cancel);
    let streams = request.goal.outputs.iter().any(|output| output.is_stream());
    let mut dockerfile = text(&request);
    let mut left = None;
    let result = opened(&session, request, flags).and_then(|build| {
        dockerfile.clone_from(&build.dockerfile);
        kiln_engine::try_build(&session, &build).map_err(|failed| {
            left = failed.left.map(|left| on_error.equipped(&session, left));
            failed.error
        })
    });
    shown.check()?;
    let findings = session.findings.clone();
    // the renderer ends with the last sender of events
    let session = transfer::silent(session);
    let store = session.store.clone();
    let shown = shown.finish();
    remembered.end(&store, &dockerfile, &result);
    let result =
        result.map_err(|error| failures::failure(&dockerfile, streams, error, watch.kind()));
    let ended = watch.end();
    if shown.is_ok() && ended.is_ok() {
        failures::warnings(&dockerfile, &findings.all(), log.progress, &log.sink);
    }
    let built = result.map_err(|failure| match left {
        Some(Ok(left)) => on_error.with(session, left, failure),
        Some(Err(error)) => failure.hint(format!("--tools: {}", chain_of_causes(&error))),
        None => failure,
    })?;
    shown.and(ended)?;
    Ok((built, store))
}

/// Answers a question about the Dockerfile. Only one that is outside takes a session.
///
/// # Errors
/// The Dockerfile cannot be read, or is wrong.
pub fn answer(
    question: Method,
    request: Request,
    flags: &Flags,
    globals: &Globals,
) -> Result<(), Failure> {
    if let Some(build) = Build::unfetched(request.clone()) {
        return question.run(&build, globals);
    }
    let cancel = Cancel::default();
    let session = session::open(globals, Events::ignored(), cancel.clone())?;
    let watch = signals::Watch::start(&cancel)?;
    let dockerfile = text(&request);
    let build = opened(&session, request, flags)
        .map_err(|error| failures::failure(&dockerfile, false, error, watch.kind()))?;
    question.run(&build, globals)
}

/// The build of a request, with what flags do to it.
///
/// # Errors
/// The Dockerfile or the context cannot be read.
pub fn opened(session: &Session, request: Request, flags: &Flags) -> Result<Build, BuildError> {
    let mut build = open(session, request, std::io::stdin())?;
    flags.opened(&mut build)?;
    Ok(build)
}

/// The Dockerfile, as far as it is here.
pub fn text(request: &Request) -> DockerfileText {
    let text = request.sources.dockerfile.text();
    text.cloned().unwrap_or_default()
}

/// The name of a build that begins now.
pub fn new_id() -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!(
        "{:012x}",
        (nanos ^ (u128::from(std::process::id()) << 32)) & 0xffff_ffff_ffff
    )
}
