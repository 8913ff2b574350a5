//! `kiln exec`: another command in a container that runs. Unaware of how it gets there.

use crate::attendant::{Streams, judged};
use crate::command::run::variables;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, session};
use clap::Args;
use kiln_engine::trial::{Attendant, Exec};
use kiln_sandbox::{KillHandle, Stdin, Stdio};
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Arguments of `kiln exec`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keep standard input open
    #[arg(short, long, add = Takes::Switch)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long, add = Takes::Switch)]
    tty: bool,
    /// Leave the command on its own in the container
    #[arg(short, long, add = Takes::Switch)]
    detach: bool,
    #[command(flatten)]
    variables: variables::Flags,
    /// Folder to start in [default: the container's]
    #[arg(short, long, value_name = "PATH", add = Takes::Single)]
    workdir: Option<String>,
    /// User and group: names of the container, or numbers [default: the container's]
    #[arg(short, long, value_name = "USER[:GROUP]", add = Takes::Single)]
    user: Option<String>,
    /// Refused: kiln gives no rights over this machine
    #[arg(long, hide = true, add = Takes::Switch)]
    privileged: bool,
    /// Name or ID of the container
    #[arg(value_name = "CONTAINER", add = Takes::Rest)]
    name: String,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", required = true)]
    command: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// The command ends with another exit code than 0, or is not started.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    arguments.refuse()?;
    let (is_interactive, has_terminal) = (arguments.interactive, arguments.tty);
    let store = session::reading(globals)?;
    let kept = containers::find(&store, &arguments.name)?;
    let line = containers::line(&store, &kept)?;
    let streams = Streams::beside_others(is_interactive, has_terminal);
    let command = Exec {
        env: arguments.variables.above(&[], has_terminal)?,
        argv: arguments.command,
        cwd: arguments.workdir,
        user: arguments.user,
        terminal: streams.size(),
        is_detached: arguments.detach,
    };
    if arguments.detach {
        let started = line.exec(command, &Nobody);
        return started.map(drop).map_err(containers::failure);
    }
    let exit = line.exec(command, &streams);
    let exit = exit.map_err(containers::failure)?;
    exit.map_or(Ok(()), |exit| judged(&exit, None))
}

impl Arguments {
    /// Refuses what cannot be done.
    fn refuse(&self) -> Result<(), Failure> {
        if self.privileged {
            let failure = Failure::usage("--privileged is not supported");
            return Err(failure.hint("kiln exec gives no rights over this machine"));
        }
        match self.detach {
            true => Ok(()),
            false => Streams::check(self.interactive, self.tty),
        }
    }
}

/// Who attends a command that is on its own.
#[derive(Debug)]
struct Nobody;

impl Attendant for Nobody {
    fn streams(&self) -> io::Result<Stdio> {
        let null = || File::options().read(true).write(true).open("/dev/null");
        Ok(Stdio {
            stdin: Stdin::Null,
            stdout: null()?.into(),
            stderr: null()?.into(),
        })
    }

    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn note(&self, _note: &str) {}

    fn started(&self, _process: KillHandle, _terminal: Option<OwnedFd>) -> io::Result<()> {
        Ok(())
    }

    fn ended(&self) {}

    fn leave(&self) {}
}
