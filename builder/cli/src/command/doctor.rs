//! `kiln doctor`: what this machine can do for kiln, and what the administrator would have to do.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::table;
use clap::Args;
use kiln_engine::emulation;
use kiln_sandbox::{Check, Status, check_limits, probe};

/// Arguments of `kiln doctor`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Examines.
///
/// # Errors
/// When something that builds need is missing.
pub fn run(_arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let mut checks = probe(&globals.store()?, globals.disabled()?);
    checks.push(check_limits(globals.disabled()?));
    checks.push(processors());
    for check in &checks {
        let mark = match check.status {
            Status::Ok => "ok     ",
            Status::Warn => "weak   ",
            Status::Missing => "missing",
        };
        table::line(&format!("{mark}  {}: {}", check.name, check.detail));
        if let Some(fix) = &check.fix {
            for line in fix.lines() {
                table::line(&format!("         {line}"));
            }
        }
    }
    if checks.iter().any(|check| check.status == Status::Missing) {
        return Err(Failure::new(
            Kind::Environment,
            "RUN does not work here yet",
        ));
    }
    Ok(())
}

/// For which platforms RUN works.
fn processors() -> Check {
    let runnable = emulation::runnable();
    let names: Vec<String> = runnable.iter().map(ToString::to_string).collect();
    Check {
        name: "processors".to_owned(),
        status: Status::Ok,
        detail: format!(
            "RUN works for {}; the package qemu-user-static adds others",
            names.join(", ")
        ),
        fix: None,
    }
}
