//! `kiln run`: an image is tried out on the spot, in the sandbox of RUN, with docker's flags. Unaware of how a process is run and attended.

pub mod attended;
mod foreign;
mod image;
mod mounts;
mod of_build;
pub mod ports;
mod process;
pub mod variables;

use crate::attendant::background::{self, UNSEEN};
use crate::attendant::{Streams, judged};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::flag::{Flag, Setup, network, resources, volume};
use crate::pflag::Takes;
use crate::{containers, render};
use clap::{ArgAction, Args};
use image::Found;
use kiln_engine::Session;
use kiln_engine::trial::{self, Container, Draft, Held};
use kiln_engine::{ContextSource, DockerfileSource, DockerfileText, MainSource, Request};
use kiln_oci::{Digest, RuntimeConfig};
use of_build::OfBuild;
pub use process::check_name;
use std::time::{SystemTime, UNIX_EPOCH};

/// The exit code of a container that was not started, as docker's.
const NOT_STARTED: u8 = 125;

/// Arguments of `kiln run`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)] // docker's -h is the host name
pub struct Arguments {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Keep standard input open
    #[arg(short, long, add = Takes::Switch)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long, add = Takes::Switch)]
    tty: bool,
    /// Run in the background: print the ID of the container, and log what it prints
    #[arg(short, long, add = Takes::Switch)]
    detach: bool,
    /// Remove the container when it ends
    #[arg(long, add = Takes::Switch)]
    rm: bool,
    #[command(flatten)]
    process: process::Flags,
    #[command(flatten)]
    volumes: OfBuild<volume::Flags>,
    #[command(flatten)]
    mounts: mounts::Flags,
    #[command(flatten)]
    network: OfBuild<network::Flags>,
    #[command(flatten)]
    ports: ports::Flags,
    #[command(flatten)]
    resources: OfBuild<resources::Flags>,
    #[command(flatten)]
    confined: OfBuild<crate::flag::process::Flags>,
    #[command(flatten)]
    image: image::Flags,
    #[command(flatten)]
    foreign: crate::flag::foreign::Given<foreign::OfRun>,
    /// Image name or ID; one that is not in the store is pulled
    #[arg(value_name = "IMAGE", add = Takes::Rest)]
    named: String,
    /// Command and its arguments, instead of the image's CMD
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs.
///
/// # Errors
/// The command ends with another exit code than 0, or is not started.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    if arguments.detach && background::subject().is_none() {
        return background::start(arguments.process.name.as_deref().unwrap_or_default());
    }
    if !arguments.detach {
        Streams::check(arguments.interactive, arguments.tty).map_err(not_started)?;
    }
    let globals = Globals {
        will_run: true,
        ..globals.clone()
    };
    let (held, session) = created(&arguments, &globals, true).map_err(not_started)?;
    let memory = held.record.draft.container.options.limits.memory;
    let line = arguments.detach.then(|| held.record.id.clone());
    let exit = attended::attended(session, held, line).map_err(not_started)?;
    match arguments.detach {
        true => Ok(()),
        false => judged(&exit, memory),
    }
}

/// The same failure with the exit code that docker has for it.
pub fn not_started(failure: Failure) -> Failure {
    match failure.kind() {
        Kind::Interrupted | Kind::Terminated => failure,
        _ => failure.exits_with(NOT_STARTED),
    }
}

/// Makes the container, which this process `runs` too, or not. Must be called before any thread is started.
///
/// # Errors
/// There is no such image, or what is asked for is wrong.
pub fn created(
    arguments: &Arguments,
    globals: &Globals,
    runs: bool,
) -> Result<(Held, Session), Failure> {
    let request = arguments.request()?;
    let mut setup = Setup::new(globals);
    arguments.confined.0.set_up(&mut setup, &request)?;
    // before anything is pulled
    arguments.process.check()?;
    let (image, session) = arguments.image.get(&setup.globals, &arguments.named)?;
    request
        .notices
        .iter()
        .for_each(|notice| render::warning(notice));
    let draft = Draft {
        is_run_at_once: runs,
        ..arguments.draft(image, &request)?
    };
    let held = trial::create(&session.store, draft).map_err(containers::failure)?;
    Ok((held, session))
}

fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Arguments {
    /// What the flags say that builds have too.
    fn request(&self) -> Result<Request, Failure> {
        let nothing = DockerfileSource::Text(DockerfileText::default());
        let nowhere = MainSource::Named(ContextSource::Directory("/".into()));
        let mut request = Request::new(nothing, nowhere);
        self.volumes.0.apply(&mut request)?;
        self.network.0.apply(&mut request)?;
        self.ports.apply(&mut request)?;
        self.resources.0.apply(&mut request)?;
        self.confined.0.apply(&mut request)?;
        self.foreign.apply(&mut request)?;
        self.mounts.apply(&mut request)?;
        Ok(request)
    }

    /// What the container is to be.
    fn draft(&self, image: Found, request: &Request) -> Result<Draft, Failure> {
        let (process, config) = (&self.process, &image.config.config);
        Ok(Draft {
            name: process.name.clone(),
            image: self.named.clone(),
            image_id: image.id,
            config: process.config(config, &self.command)?,
            created_us: micros(SystemTime::now()),
            stop_signal: process.stop_signal(config)?,
            is_interactive: self.interactive,
            is_temporary: self.rm,
            is_run_at_once: false,
            container: self.container(config, image.layers, request)?,
            base: image.config,
        })
    }

    fn container(
        &self,
        config: &RuntimeConfig,
        layers: Vec<Digest>,
        request: &Request,
    ) -> Result<Container, Failure> {
        let (process, network) = (&self.process, request.language.network);
        Ok(Container {
            layers,
            argv: process.argv(config, &self.command)?,
            env: process.env(config, self.tty)?,
            cwd: process.cwd(config)?,
            user: process.user(config),
            hostname: process.hostname(),
            network,
            ports: self.ports.ports(network, config.exposed_ports.keys())?,
            options: request.run.clone(),
            tmpfs: self.mounts.tmpfs()?,
            is_read_only: self.mounts.read_only,
            has_init: process.init,
            terminal: self.tty.then_some(UNSEEN),
        })
    }
}
