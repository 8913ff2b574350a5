//! `kiln completions`: for bash, zsh, fish, elvish and PowerShell, from the same source as the help.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::stdout;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Arguments of `kiln completions`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints them.
///
/// # Errors
/// Never.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut crate::Arguments::command(),
        "kiln",
        &mut text,
    );
    stdout::print(&text);
    Ok(())
}
