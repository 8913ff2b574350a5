//! The build engine: from a Dockerfile's text to a tagged image, and images in and out of archives.
//!
//! Data flows one way: options -> [`plan`] (parse, bases, contexts) -> [`execute`] (look up or run each step, in parallel) ->
//! [`assemble`] (config, manifest) -> store. What happens is told as [`event`]s. The engine never prints, never reads the
//! environment, never exits; it is unaware of terminals and of the command line.
#![forbid(unsafe_code)]

pub mod agent;
pub mod ahead;
pub mod annotations;
pub mod archive;
pub mod assemble;
pub mod build;
pub mod cancel;
pub mod changes;
pub mod check;
pub mod confine;
pub mod copy;
pub mod emulation;
pub mod event;
pub mod execute;
pub mod export;
pub mod failure;
pub mod findings;
pub mod flatten;
pub(crate) mod index;
mod memo;
pub mod operation;
pub mod options;
pub mod output;
pub mod pending;
pub mod plan;
pub mod platforms;
pub mod policy;
pub mod remote;
pub mod rootfs;
pub mod schedule;
pub mod session;
pub mod shared;
pub mod source;
pub mod squash;
pub(crate) mod stages;
pub mod users;

pub use build::{Built, build};

/// An error and its causes on one line: `the store failed: no space left for …`. A cause that the text before it already
/// ends with is not repeated.
#[must_use]
pub fn chain_of_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
