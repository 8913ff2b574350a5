//! `kiln completions`: for bash, zsh and fish, scripts that ask kiln itself; for elvish and PowerShell, what the help says.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{completion, help, stdout};
use clap::Args;
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
    if let Some(script) = completion::script(arguments.shell) {
        stdout::print(script.as_bytes());
        return Ok(());
    }
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut help::command(), "kiln", &mut text);
    stdout::print(&text);
    Ok(())
}
