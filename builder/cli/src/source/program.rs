//! Images of docker and podman, through their own programs: `save` writes an archive to a pipe. Unaware of what is in it.

use crate::failure::{Failure, Kind};
use kiln_oci::archive::Input;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// The program and the image of `docker:NAME` or `podman:NAME`.
pub fn named(name: &str) -> Option<(&'static str, &str)> {
    ["docker", "podman"].into_iter().find_map(|program| {
        let rest = name.strip_prefix(program)?.strip_prefix(':')?;
        (!rest.is_empty()).then_some((program, rest))
    })
}

/// Reads what the program saves of an image.
///
/// # Errors
/// The program is not there or fails, which it explains itself on standard error; or those of `read`.
pub fn saved<T>(
    program: &'static str,
    name: &str,
    read: impl FnOnce(Input<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut command = Command::new(program);
    command.args(["save", "--", name]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| not_started(program, &error))?;
    let Some(archive) = child.stdout.take() else {
        return Err(Failure::new(Kind::Internal, "a pipe is missing"));
    };
    let found = read(Input::Stream(Box::new(archive)));
    let ended = child.wait();
    let ended = ended.map_err(|error| not_started(program, &error))?;
    // one that a signal ended has lost its reader, which knows why
    if ended.success() || ended.signal().is_some() {
        return found;
    }
    let message = format!("`{program} save {name}` failed ({ended})");
    Err(Failure::new(Kind::Build, message))
}

fn not_started(program: &str, error: &std::io::Error) -> Failure {
    let failure = Failure::new(
        Kind::Environment,
        format!("{program} cannot be started: {error}"),
    );
    match error.kind() {
        ErrorKind::NotFound => failure.hint(format!(
            "install {program}, or give kiln an archive that it saved elsewhere"
        )),
        _ => failure,
    }
}
