//! `kiln build`: arguments into options, events into a renderer, failures into carets and hints.

mod failures;
mod options;

use crate::environment::{self, Globals};
use crate::failure::{Failure, Kind};
use crate::render::{self, Progress};
use crate::{session, signals, table};
use clap::{Args, ValueEnum};
use kiln_engine::cancel::Cancel;
use kiln_engine::event::Events;
use kiln_engine::{Built, build, chain_of_causes};
use std::path::PathBuf;
use std::sync::mpsc::channel;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NetworkArgument {
    Default,
    None,
    Host,
}

/// Arguments of `kiln build`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder with the files that COPY and ADD can use
    #[arg(value_name = "CONTEXT")]
    context: PathBuf,
    /// Name of the image, as name:tag (may be repeated)
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
    /// The Dockerfile [default: Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Value of an ARG; without a value it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Label of the image
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Execute every step, whatever the cache holds
    #[arg(long)]
    no_cache: bool,
    /// Folder, host-tools:PROGRAM,… or docker-image://IMAGE that stages can name
    #[arg(long, value_name = "NAME=SOURCE")]
    build_context: Vec<String>,
    /// Secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME]
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// Network of RUN
    #[arg(long, value_enum, default_value = "default")]
    network: NetworkArgument,
    /// Entry of /etc/hosts in RUN, as HOST:ADDRESS
    #[arg(long, value_name = "HOST:ADDRESS")]
    add_host: Vec<String>,
    /// Size of /dev/shm in RUN
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
    /// What the image is for, such as linux/amd64 [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        env = "KILN_PROGRESS",
        hide_env = true
    )]
    progress: Progress,
    /// Print the image ID and nothing else
    #[arg(short, long)]
    quiet: bool,
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// RUNs at once [default: all that are ready]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Accepted for docker's sake: an image is always in kiln's own store
    #[arg(long)]
    load: bool,
}

/// Builds.
///
/// # Errors
/// With what went wrong, where, and what to do.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let options = arguments.options()?;
    let progress = if arguments.quiet {
        Progress::Quiet
    } else {
        arguments.progress
    };
    let (sender, receiver) = channel();
    let cancel = Cancel::default();
    let events = Events::new(build_id(), sender);
    let session = session::open(globals, events, cancel.clone())?;
    let watch = signals::Watch::start(&cancel);
    let renderer = std::thread::spawn(move || {
        render::drive(
            &mut *render::open(progress, environment::no_color()),
            &receiver,
        )
    });
    let result = build(&session, &options);
    let store = session.store.clone();
    drop(session);
    // The renderer ends when the last sender is gone; if it panicked, the build is still what counts.
    let _ = renderer.join();
    let built = result.map_err(|error| failures::failure(&options, error, &watch))?;
    failures::warnings(&options, &built.warnings, progress);
    arguments.announce(&built)?;
    if let Err(error) = store.settle() {
        // The image is built and named; what was left undone is done by the next command.
        tracing::warn!("the store was not tidied up: {}", chain_of_causes(&error));
    }
    Ok(())
}

impl Arguments {
    fn announce(&self, built: &Built) -> Result<(), Failure> {
        if let Some(file) = &self.iidfile {
            std::fs::write(file, built.id.to_string()).map_err(|error| {
                Failure::new(
                    Kind::Environment,
                    format!("--iidfile {}: {error}", file.display()),
                )
            })?;
        }
        if self.quiet {
            table::line(&built.id.to_string());
        }
        Ok(())
    }
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
