//! `kiln build`: arguments into options, events into a renderer, failures into carets and hints.

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
use kiln_engine::event::Events;
use kiln_engine::event::cancel::Cancel;
use kiln_engine::failure::BuildError;
use kiln_engine::request::options::BuildOptions;
use kiln_engine::source::open::open;
use kiln_engine::{build, chain_of_causes};
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
    fn options(&self) -> Result<BuildOptions, Failure> {
        self.flags.stdin.check(self.source.reads_stdin())?;
        let mut options = self.source.read()?;
        self.flags.apply(&mut options)?;
        self.flags
            .output
            .check(&options, self.flags.allow.deletes())?;
        Ok(options)
    }
}

/// Builds.
///
/// # Errors
/// With what went wrong, where, and what to do.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    arguments.flags.begins()?;
    let method = arguments.flags.call.method()?;
    let mut options = arguments.options()?;
    if let Some(method) = method {
        open_quietly(&mut options, &arguments.flags, globals)?;
        return method.run(&options, globals);
    }
    let flags = &arguments.flags;
    let globals = flags.retry.globals(globals);
    let globals = &flags.registries.globals(&globals, &options)?;
    let log = flags.logfile.open(flags.show.progress(), &options)?;
    if log.progress == Progress::Quiet {
        // what somebody asked for and does not get is no progress
        options
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
    let result = open(&session, &mut options, std::io::stdin())
        .and_then(|()| preprocess(&mut options, flags))
        .and_then(|()| build(&session, &options));
    let findings = session.findings.clone();
    // with its way to registries the store would go on sending events
    let store = session.store.without_source();
    drop(session);
    let shown = shown.finish();
    let result = result.map_err(|error| failures::failure(&options, error, &watch));
    let ended = watch.end();
    if shown.is_ok() && ended.is_ok() {
        failures::warnings(&options, &findings.all(), log.progress, &log.sink);
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

/// Opens what is outside for a command that only looks at the Dockerfile.
fn open_quietly(
    options: &mut BuildOptions,
    flags: &Flags,
    globals: &Globals,
) -> Result<(), Failure> {
    if options.unread.is_none() {
        return Ok(());
    }
    let cancel = Cancel::default();
    let session = session::open(globals, Events::ignored(), cancel.clone())?;
    let watch = signals::Watch::start(&cancel)?;
    open(&session, options, std::io::stdin())
        .and_then(|()| preprocess(options, flags))
        .map_err(|error| failures::failure(options, error, &watch))
}

/// A Dockerfile that came from outside is preprocessed when it is there.
fn preprocess(options: &mut BuildOptions, flags: &Flags) -> Result<(), BuildError> {
    let path = options.dockerfile.name.clone().into();
    let preprocessed = flags.cpp_flag.preprocess(options);
    preprocessed.map_err(|error| BuildError::File {
        path,
        message: error.to_string(),
    })
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
