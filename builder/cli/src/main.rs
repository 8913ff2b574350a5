//! The binary `kiln`: arguments in, exit code out. Everything it does is in `command/`, everything it shows in `render/`.

mod catalog;
mod command;
mod diagnostics;
mod environment;
mod failure;
mod filter;
mod listing;
mod network;
mod output;
mod pflag;
mod render;
mod session;
mod signals;
mod table;
mod template;
mod transfer;
mod units;

use clap::{CommandFactory, FromArgMatches, Parser};
use std::process::ExitCode;

/// Builds images from Dockerfiles, without a daemon and without root.
#[derive(Debug, Parser)]
#[command(
    name = "kiln",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(flatten)]
    globals: environment::Globals,
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    // RUN steps start this binary again; nothing may happen before that is known.
    if let Some(code) = kiln_sandbox::main_if_reexecuted() {
        return code;
    }
    std::panic::set_hook(Box::new(|panic| {
        let defect = failure::Failure::new(
            failure::Kind::Internal,
            format!("a defect of kiln: {panic}"),
        );
        defect.report();
        std::process::exit(failure::Kind::Internal as i32);
    }));
    let arguments = match read() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    environment::start_tracing();
    match arguments.command.run(&arguments.globals) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The command line; the exit code where it is wrong, or only asks for help.
fn read() -> Result<Arguments, ExitCode> {
    let mut command = Arguments::command();
    let line = pflag::read(&command, std::env::args_os()).map_err(|failure| failure.report())?;
    let read = match command.try_get_matches_from_mut(line) {
        Ok(matches) => {
            Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
        }
        Err(error) => Err(error),
    };
    read.map_err(|error| {
        let _ = error.print();
        ExitCode::from(if error.use_stderr() {
            failure::USAGE
        } else {
            0
        })
    })
}
