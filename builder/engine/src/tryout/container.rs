//! A container: a process on the layers of an image, as a RUN's, that somebody attends. Images stay as they are. Unaware of command lines,
//! of how an image is found and of terminals.

use crate::execute::attend;
use crate::execute::live::Live;
use crate::execute::operation::accounts;
use crate::execute::process::{Mount, Process, ProcessNetwork};
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::execute::users::Accounts;
use crate::failure::{ContainerError, StepError};
use crate::plan::output::Stack;
use crate::request::RunOptions;
use crate::session::Session;
use kiln_cache::Times;
use kiln_oci::Digest;
use kiln_parser::graph::Network;
use kiln_sandbox::{Port, TerminalSize};
use serde::{Deserialize, Serialize};

/// What is run, and what it sees besides its image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Container {
    /// The layers of the image, bottom first.
    pub layers: Vec<Digest>,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// `NAME=value`. PATH, HOME and HOSTNAME are added where they are missing.
    pub env: Vec<String>,
    /// The folder to start in, absolute; it is made if it is missing.
    pub cwd: String,
    /// Who runs it, as in USER: names are looked up in the image.
    pub user: String,
    /// The host name; kiln's usual one without it.
    pub hostname: Option<String>,
    /// What it can reach; the default is what `options` say.
    pub network: Network,
    /// What leads into a network of its own from outside.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Hosts, folders of this machine, limits, as for RUN.
    pub options: RunOptions,
    /// Empty file systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Whether the root cannot be written to.
    pub is_read_only: bool,
    /// Whether a process of kiln's is the first one, takes in orphans and hands on signals.
    pub has_init: bool,
    /// The size of its terminal, if it has one.
    pub terminal: Option<TerminalSize>,
}

/// An empty file system in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Where: absolute, without `..`.
    pub target: String,
    /// Its size in bytes; half of the memory by default.
    pub size: Option<u64>,
    /// The mode of its root folder, `0o1777` for temporary files.
    pub mode: u32,
    /// Whether writes fail.
    pub read_only: bool,
}

/// Runs it to its end.
///
/// # Errors
/// When it cannot be started: a limit is impossible, the user is unknown, a mount or the sandbox fails.
pub fn attend(
    session: &Session,
    container: &Container,
    attended: (&dyn Attendant, Keeps<'_>),
) -> Result<Attended, ContainerError> {
    let files = session.store.layers().chain(&container.layers);
    let accounts = accounts(&files.map_err(StepError::from)?)?;
    let process = container.process(session, &accounts)?;
    let live = Live::finished(Stack::of_image(&container.layers));
    let how = (&container.options.limits, Times::Kept);
    attend::attend(session, how, &live, &process, attended)
}

impl Container {
    /// What it is for a runner.
    pub(super) fn process(
        &self,
        session: &Session,
        accounts: &Accounts,
    ) -> Result<Process, StepError> {
        let user = accounts.identity(&self.user)?;
        let (host, hostname) = (&session.host, self.hostname.as_deref());
        let mut process = Process::new(user, hostname, host, &self.options);
        process.argv.clone_from(&self.argv);
        process.env.clone_from(&self.env);
        process.cwd.clone_from(&self.cwd);
        let network = ProcessNetwork::of(self.network, &self.options.default_network);
        process.set_network(network, host);
        process.ports.clone_from(&self.ports);
        process.mounts.extend(self.tmpfs.iter().map(Tmpfs::mount));
        process.terminal = self.terminal;
        process.has_init = self.has_init;
        process.is_read_only = self.is_read_only;
        process.complete_env();
        Ok(process)
    }
}

impl Tmpfs {
    fn mount(&self) -> Mount {
        Mount {
            read_only: self.read_only,
            ..Mount::tmpfs(&self.target, self.size, self.mode)
        }
    }
}
