//! Flags that docker has before its commands (`docker -H HOST build`), for scripts that give them: those that mean something here do it, and a
//! daemon that is named is answered with a hint, as kiln has no daemon. Unaware of commands.

use crate::environment::variable;
use crate::failure::Failure;
use crate::network;
use crate::pflag::Takes;
use crate::render;
use crate::{daemon, plugin};
use clap::{ArgAction, Args};
use std::path::PathBuf;

const HEADING: &str = "docker's, before a command";
/// docker's levels.
const LEVELS: [&str; 5] = ["debug", "info", "warn", "error", "fatal"];

/// The flags.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Flags {
    /// Folder with docker's config.json, which holds credentials [default: ~/.docker]
    #[arg(long, value_name = "DIR", help_heading = HEADING, add = Takes::Single)]
    config: Option<PathBuf>,
    /// Log what kiln does, as KILN_LOG=debug
    #[arg(short = 'D', long, help_heading = HEADING, add = Takes::Switch)]
    debug: bool,
    /// Log as much as debug, info, warn, error or fatal says; only debug is more than usual
    #[arg(short, long, value_name = "LEVEL", help_heading = HEADING, add = Takes::Single)]
    log_level: Option<String>,
    /// The daemon that --load=docker loads into; kiln builds without one
    #[arg(short = 'H', long, value_name = "HOST", help_heading = HEADING, add = Takes::List)]
    host: Vec<String>,
    /// docker's context with the daemon that --load=docker loads into
    #[arg(short, long, value_name = "NAME", hide = true, add = Takes::Single)]
    context: Option<String>,
    /// The daemon wants TLS, which kiln does not speak to daemons
    #[arg(long, hide = true, action = ArgAction::SetTrue, add = Takes::Switch)]
    tls: bool,
    /// The daemon wants TLS, which kiln does not speak to daemons
    #[arg(long, hide = true, action = ArgAction::SetTrue, add = Takes::Switch)]
    tlsverify: bool,
    /// No effect: kiln has no daemon
    #[arg(long, value_name = "FILE", hide = true, add = Takes::Single)]
    tlscacert: Option<PathBuf>,
    /// No effect: kiln has no daemon
    #[arg(long, value_name = "FILE", hide = true, add = Takes::Single)]
    tlscert: Option<PathBuf>,
    /// No effect: kiln has no daemon
    #[arg(long, value_name = "FILE", hide = true, add = Takes::Single)]
    tlskey: Option<PathBuf>,
}

impl Flags {
    /// Does what they ask for.
    ///
    /// # Errors
    /// The level is not one of docker's.
    pub fn apply(&self) -> Result<(), Failure> {
        if let Some(folder) = &self.config {
            network::use_docker_config(folder);
        }
        if let Some(level) = self
            .log_level
            .as_deref()
            .filter(|level| !LEVELS.contains(level))
        {
            let message = format!("--log-level {level}: docker has no such level");
            return Err(Failure::usage(message).hint(format!("choose {}", LEVELS.join(", "))));
        }
        let has_tls = self.tls || self.tlsverify;
        daemon::choose(self.context.as_ref(), self.host.last(), has_tls);
        let daemon = self.host.last().or(self.context.as_ref());
        let daemon = daemon.filter(|daemon| *daemon != "default");
        if let Some(daemon) = daemon.filter(|_| !plugin::is_active()) {
            render::warning(&format!(
                "the daemon {daemon} only gets what --load=docker loads: kiln builds on this machine"
            ));
        }
        Ok(())
    }

    /// What is logged, in tracing's words.
    pub fn filter(&self) -> Option<String> {
        let is_wordy = self.debug || self.log_level.as_deref() == Some("debug");
        variable("KILN_LOG").or_else(|| is_wordy.then(|| "debug".to_owned()))
    }
}
