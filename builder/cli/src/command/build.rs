//! `kiln build`: arguments into request, events into a renderer, failures into carets and hints.

mod call;
mod failures;
pub mod flag;
mod kaniko_context;
mod source;

use crate::environment::{self, Globals};
use crate::failure::Failure;
use crate::render::{Background, Progress};
use crate::{session, signals, table};
use clap::Args;
use flag::{Flag, Flags};
use kiln_engine::event::{Cancel, Events};
use kiln_engine::{Build, BuildError, DockerfileText, Request, chain_of_causes, open};
use source::Source;

/// Arguments of `kiln build`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    flags: Flags,
}

impl Arguments {
    fn request(&self) -> Result<Request, Failure> {
        self.flags.stdin.check(self.source.reads_stdin())?;
        let mut request = self.source.read()?;
        self.flags.apply(&mut request)?;
        self.flags
            .output
            .check(&request, self.flags.allow.deletes())?;
        Ok(request)
    }
}

/// Builds.
///
/// # Errors
/// With what went wrong, where, and what to do.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    arguments.flags.begins()?;
    let method = arguments.flags.call.method()?;
    let mut request = arguments.request()?;
    let flags = &arguments.flags;
    if let Some(method) = method {
        let build = match Build::unfetched(request.clone()) {
            Some(build) => build,
            None => open_quietly(request, flags, globals)?,
        };
        return method.run(&build, globals);
    }
    let globals = flags.retry.globals(globals);
    let globals = &flags.registries.globals(&globals, &request)?;
    let log = flags.logfile.open(flags.show.progress(), &request)?;
    if log.progress == Progress::Quiet {
        // what somebody asked for and does not get is no progress
        request
            .notices
            .drain(..)
            .for_each(|notice| table::warning(&notice));
    }
    let cancel = Cancel::default();
    let (events, stream) = Events::new(build_id());
    let session = session::open(globals, events, cancel.clone())?;
    let watch = signals::Watch::start(&cancel)?;
    let renderer = log.renderer(environment::no_color());
    let shown = Background::start(renderer, stream, log.sink.clone())?;
    let mut dockerfile = text(&request);
    let streams = streams(&request);
    let result = open(&session, request, std::io::stdin())
        .and_then(|build| preprocessed(build, flags))
        .and_then(|build| {
            dockerfile.clone_from(&build.dockerfile);
            kiln_engine::build(&session, &build)
        });
    let findings = session.findings.clone();
    // with its way to registries the store would go on sending events
    let store = session.store.without_fetcher();
    drop(session);
    let shown = shown.finish();
    let result = result.map_err(|error| failures::failure(&dockerfile, streams, error, &watch));
    let ended = watch.end();
    if shown.is_ok() && ended.is_ok() {
        failures::warnings(&dockerfile, &findings.all(), log.progress, &log.sink);
    }
    let built = result?;
    shown.and(ended)?;
    flags.finished(&built)?;
    flags.logfile.check(&log)?;
    if let Err(error) = store.settle() {
        // The image is built and named; what was left undone is done by the next command.
        tracing::warn!("the store was not tidied up: {}", chain_of_causes(&error));
    }
    Ok(())
}

/// The Dockerfile, as far as it is here.
fn text(request: &Request) -> DockerfileText {
    let text = request.sources.dockerfile.text();
    text.cloned().unwrap_or_default()
}

/// Whether an output goes to standard output.
fn streams(request: &Request) -> bool {
    let mut outputs = request.goal.outputs.iter();
    outputs.any(|output| output.is_stream())
}

/// Opens what is outside for a command that only looks at the Dockerfile.
fn open_quietly(request: Request, flags: &Flags, globals: &Globals) -> Result<Build, Failure> {
    let cancel = Cancel::default();
    let session = session::open(globals, Events::ignored(), cancel.clone())?;
    let watch = signals::Watch::start(&cancel)?;
    let dockerfile = text(&request);
    open(&session, request, std::io::stdin())
        .and_then(|build| preprocessed(build, flags))
        .map_err(|error| failures::failure(&dockerfile, false, error, &watch))
}

/// A Dockerfile that came from outside is preprocessed when it is there.
fn preprocessed(mut build: Build, flags: &Flags) -> Result<Build, BuildError> {
    let path = build.dockerfile.name.clone().into();
    let folder = build.context.folder();
    let preprocessed = flags.cpp_flag.preprocess(&mut build.dockerfile, folder);
    preprocessed.map_err(|error| BuildError::File {
        path,
        message: error.to_string(),
    })?;
    Ok(build)
}

fn build_id() -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!(
        "{:012x}",
        (nanos ^ (u128::from(std::process::id()) << 32)) & 0xffff_ffff_ffff
    )
}
