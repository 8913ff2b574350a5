//! `kiln run`: an image is tried out on the spot, in the sandbox of RUN, with docker's flags. The container is gone when its command ends, with
//! all that it changed. Unaware of how a process is run and attended.

mod foreign;
mod image;
mod mounts;
mod of_build;
mod process;

use crate::attendant::{self, Streams, judged};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::flag::{Flag, Setup, network, resources, volume};
use crate::pflag::Takes;
use crate::render;
use clap::Args;
use kiln_engine::trial::{self, Container};
use kiln_engine::{ContextSource, DockerfileSource, DockerfileText, MainSource, Request};
use kiln_oci::RuntimeConfig;
use kiln_sandbox::Exit;
use of_build::OfBuild;

/// The exit code of a container that was not started, as docker's.
const NOT_STARTED: u8 = 125;

/// Arguments of `kiln run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keep standard input open
    #[arg(short, long, add = Takes::Switch)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long, add = Takes::Switch)]
    tty: bool,
    /// Remove the container when it ends, which is always so
    #[arg(long = "rm", add = Takes::Switch)]
    _rm: bool,
    #[command(flatten)]
    process: process::Flags,
    #[command(flatten)]
    volumes: OfBuild<volume::Flags>,
    #[command(flatten)]
    mounts: mounts::Flags,
    #[command(flatten)]
    network: OfBuild<network::Flags>,
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
    let not_started = |failure: Failure| match failure.kind() {
        Kind::Interrupted | Kind::Terminated => failure,
        _ => failure.exits_with(NOT_STARTED),
    };
    let request = arguments.request().map_err(not_started)?;
    let exit = ran(&arguments, &request, globals).map_err(not_started)?;
    judged(&exit, request.run.limits.memory)
}

/// Runs it to its end.
fn ran(arguments: &Arguments, request: &Request, globals: &Globals) -> Result<Exit, Failure> {
    let mut setup = Setup::new(globals);
    arguments.confined.0.set_up(&mut setup, request)?;
    // before anything is pulled
    arguments.process.check()?;
    let (is_interactive, has_terminal) = (arguments.interactive, arguments.tty);
    Streams::check(is_interactive, has_terminal)?;
    let (image, session) = arguments.image.get(&setup.globals, &arguments.named)?;
    request
        .notices
        .iter()
        .for_each(|notice| render::warning(notice));
    let config = image.config();
    let stop_signal = arguments.process.stop_signal(config)?;
    let streams = Streams::new(is_interactive, has_terminal, stop_signal);
    let container = Container {
        layers: image.layers.clone(),
        terminal: streams.size(),
        ..arguments.container(config, request)?
    };
    attendant::attended(session, &streams, |session| {
        trial::run(session, &container, &streams)
    })
}

impl Arguments {
    /// What the flags say that builds have too.
    fn request(&self) -> Result<Request, Failure> {
        let nothing = DockerfileSource::Text(DockerfileText::default());
        let nowhere = MainSource::Named(ContextSource::Directory("/".into()));
        let mut request = Request::new(nothing, nowhere);
        self.volumes.0.apply(&mut request)?;
        self.network.0.apply(&mut request)?;
        self.resources.0.apply(&mut request)?;
        self.confined.0.apply(&mut request)?;
        self.foreign.apply(&mut request)?;
        self.mounts.apply(&mut request)?;
        Ok(request)
    }

    /// The container, still without its layers and its terminal.
    fn container(&self, config: &RuntimeConfig, request: &Request) -> Result<Container, Failure> {
        let process = &self.process;
        Ok(Container {
            layers: Vec::new(),
            argv: process.argv(config, &self.command)?,
            env: process.env(config, self.tty)?,
            cwd: process.cwd(config)?,
            user: process.user(config),
            hostname: process.hostname(),
            network: request.language.network,
            options: request.run.clone(),
            tmpfs: self.mounts.tmpfs()?,
            is_read_only: self.mounts.read_only,
            has_init: process.init,
            terminal: None,
        })
    }
}
