//! The build engine: from a Dockerfile's text to a tagged image, and images in and out of archives.
//!
//! Data flows one way: [`request`] -> [`plan`] (parse, bases, contexts) -> [`execute`] (look up or run each step, in parallel) ->
//! [`image`] (config, manifest) -> store. What happens is told as [`event`]s. The engine never prints, never reads the
//! environment, never exits; it is unaware of terminals and of the command line.
#![forbid(unsafe_code)]

pub mod build;
pub mod event;
pub mod exchange;
pub mod execute;
pub mod failure;
pub mod host;
pub mod image;
pub mod plan;
pub mod request;
pub mod session;
pub mod source;
pub mod transfer;

pub use build::{Built, build};
pub use request::{
    AgentSource, ContextSource, DockerfileSource, DockerfileText, Form, Goal, Language, MainSource,
    Pull, Request, Reuse, RunOptions, Secret, Sources, Squash, Volume, VolumeAccess, repaired,
};
pub use source::open::{Build, open};

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
