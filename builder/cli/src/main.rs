//! The binary `kiln`: arguments in, exit code out. Everything it does is in `command/`, everything it shows in `render/`.

mod attendant;
mod building;
mod call;
mod catalog;
mod command;
mod completion;
mod containers;
mod daemon;
mod diagnostics;
mod docker;
mod environment;
mod failure;
mod filter;
mod flag;
mod form;
mod help;
mod listing;
mod moment;
mod network;
mod output;
mod past;
mod pflag;
mod plugin;
mod printable;
mod remembered;
mod render;
mod retry;
mod session;
mod settings;
mod sheet;
mod signal_name;
mod signals;
mod source;
mod stdout;
mod step_name;
mod steps;
mod table;
mod tidy;
mod transfer;
mod units;
mod upkeep;
mod waits;
mod weigh;

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use failure::Failure;
use render::Ending;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::sync::mpsc::channel;

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
    frame: Frame,
    #[command(subcommand)]
    command: command::Command,
}

/// The flags of all commands.
#[derive(Debug, clap::Args)]
struct Frame {
    #[command(flatten)]
    globals: environment::Globals,
    #[command(flatten)]
    docker: docker::Flags,
}

fn main() -> ExitCode {
    // RUN steps start this binary again; nothing may happen before that is known.
    if let Some(code) = kiln_sandbox::main_if_reexecuted() {
        return code;
    }
    std::panic::set_hook(Box::new(|panic| {
        let failure = Failure::panicked(&panic.to_string());
        failure.report(color());
        std::process::exit(failure.kind() as i32);
    }));
    let words: Vec<OsString> = std::env::args_os().collect();
    if plugin::is_asked(&words) {
        table::line(&plugin::metadata());
        return ended(stdout::check());
    }
    let arguments = match read(helped(plugin::line(words))) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    environment::start_tracing(arguments.frame.docker.filter());
    signals::outlive_file_limits();
    ended(arguments.run().and_then(|()| stdout::check()))
}

impl Arguments {
    fn run(self) -> Result<(), Failure> {
        self.frame.docker.apply()?;
        self.command.run(&self.frame.globals)
    }
}

/// Whether messages have colours.
fn color() -> bool {
    environment::color(std::io::stderr().is_terminal())
}

/// `--help` or `--version`.
fn print_help(help: &clap::Error) {
    let text = help.render();
    let text = match environment::color(stdout::is_terminal()) {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    stdout::print(format!("{}\n", text.trim_end()).as_bytes());
}

/// `kiln help VERB` is `kiln VERB --help`.
fn helped(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// The command line, if it is right and begins with a command: the others are not made for it, which costs as much as a short build.
fn read_alone(words: &[OsString]) -> Option<Arguments> {
    let root = Frame::augment_args(clap::Command::default().name("kiln"));
    let command = command::Command::alone(root, words.get(1)?.to_str()?)?;
    // it would be taken apart piece by piece, and goes with the process
    let mut command = ManuallyDrop::new(settings::applied(command).ok()?);
    let line = pflag::read(&command, words.iter().cloned()).ok()?;
    let matches = command.try_get_matches_from_mut(line).ok()?;
    Arguments::from_arg_matches(&matches).ok()
}

/// The command line; the exit code where it is wrong, or only asks for help.
fn read(words: Vec<OsString>) -> Result<Arguments, ExitCode> {
    if let Some(arguments) = read_alone(&words) {
        return Ok(arguments);
    }
    let wrong = |failure| ended(Ending::of_line(std::env::args_os()).tell(Err(failure)));
    let command = settings::applied(Arguments::command()).map_err(wrong)?;
    let line = pflag::read(&command, words.into_iter()).map_err(wrong)?;
    let told = command::told_by(&line);
    let mut command = help::for_line(command, &line);
    let read = match command.try_get_matches_from_mut(line) {
        Ok(matches) => {
            Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
        }
        Err(error) => Err(error),
    };
    read.map_err(|answer| {
        if answer.use_stderr() {
            let failure = told(Failure::of_line(&answer, color()));
            return wrong(plugin::of_line(failure, &answer));
        }
        print_help(&answer);
        ended(stdout::check())
    })
}

/// Tells what went wrong; the exit code. After a signal, nobody who does not read it keeps kiln from ending.
fn ended(outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    let code = ExitCode::from(plugin::exit_code(failure.code()));
    if signals::received().is_none() {
        failure.report(color());
        return code;
    }
    let (told, end) = channel();
    let tell = move || {
        failure.report(color());
        // it may be too late
        let _ = told.send(());
    };
    if std::thread::Builder::new().spawn(tell).is_ok() {
        let _ = end.recv_timeout(signals::PATIENCE);
    }
    code
}
