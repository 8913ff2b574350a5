//! The sandbox on the real kernel: as root, as a user with a range of ids, as a user with one id.
//!
//! A program of its own (no test harness), since a run executes the program again and `enter` is for a process with one thread. Each
//! case runs in a new process as each kind of user that the machine has; what it lacks is named and counted as skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod cases;
mod harness;
mod payload;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = kiln_sandbox::main_if_reexecuted() {
        return code;
    }
    harness::main(cases::ALL)
}
