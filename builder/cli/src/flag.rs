//! The flags of `kiln build`, in families, a file each: their spelling, their help and what they change about the build. To add one: its
//! lines in the struct of its family; for a new family, a file, its `mod` and its name in the table below. Unaware of how builds run.

pub mod build_arg;
pub mod build_context;
pub mod cache;
mod call;
pub mod context;
mod cpp_flag;
pub mod foreign;
mod http_proxy;
mod image;
mod kaniko;
#[cfg(test)]
mod migration;
pub mod network;
pub mod on_error;
mod output;
mod platform;
mod policy;
pub mod process;
mod progress;
#[cfg(test)]
mod reference;
mod registry;
pub mod resources;
mod result;
mod run;
mod secret;
mod source_date_epoch;
mod stage;
mod tag;
pub mod volume;

use crate::call::Method;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::render::Progress;
use context::Source;
use kiln_engine::{Build, BuildError, Built, ContextSource, Request};
use kiln_oci::Platform;
use on_error::OnError;
pub use result::metadata;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a family of flags does, in the order of a build.
pub trait Flag {
    /// Does its part before anything is read.
    ///
    /// # Errors
    /// When it does not fit what is read, or what an older build left behind cannot be removed.
    fn begins(&self, _source: &Source) -> Result<(), Failure> {
        Ok(())
    }

    /// Changes what is asked of the build.
    ///
    /// # Errors
    /// When its value is malformed, or something that it names cannot be read.
    fn apply(&self, _request: &mut Request) -> Result<(), Failure> {
        Ok(())
    }

    /// Changes how the command goes about it, when all flags have changed the request.
    ///
    /// # Errors
    /// When its value is malformed, or the request may not be fulfilled.
    fn set_up(&self, _setup: &mut Setup, _request: &Request) -> Result<(), Failure> {
        Ok(())
    }

    /// Changes the build, whose Dockerfile and main context have been read.
    ///
    /// # Errors
    /// When the Dockerfile cannot be used.
    fn opened(&self, _build: &mut Build) -> Result<(), BuildError> {
        Ok(())
    }

    /// Does its part with a build that went well.
    ///
    /// # Errors
    /// When what it should write cannot be written.
    fn finished(&self, _built: &Built) -> Result<(), Failure> {
        Ok(())
    }
}

/// How the command goes about a request.
pub struct Setup {
    /// How the store and registries are reached.
    pub globals: Globals,
    /// What is asked about the Dockerfile; none if it is to be built.
    pub question: Option<Method>,
    pub progress: Progress,
    /// Where progress goes instead of standard error.
    pub logfile: Option<PathBuf>,
    /// Platforms that have a log of their own.
    pub logs: Vec<Platform>,
    /// Whether outputs may delete files outside of the current folder.
    pub may_delete: bool,
    /// What is done where a RUN fails.
    pub on_error: OnError,
}

impl Setup {
    /// As it is without flags.
    pub fn new(globals: &Globals) -> Self {
        Setup {
            globals: globals.clone(),
            question: None,
            progress: Progress::Auto,
            logfile: None,
            logs: Vec::new(),
            may_delete: false,
            on_error: OnError::default(),
        }
    }
}

macro_rules! flags {
    ($($($heading:literal:)? $family:ident)*) => {
        /// All flags, in the order of the help text, which is also the order in which they do their part. A heading counts until the next.
        #[derive(Debug, clap::Args)]
        #[group(skip)]
        pub struct Flags {
            $(#[command(flatten $(, next_help_heading = $heading)?)] $family: $family::Flags,)*
        }

        impl Flags {
            fn each<E>(&self, mut part: impl FnMut(&dyn Flag) -> Result<(), E>) -> Result<(), E> {
                $(part(&self.$family)?;)*
                Ok(())
            }
        }
    };
}

flags! {
    tag build_arg stage build_context cpp_flag
    "Image": source_date_epoch platform image
    "Cache": cache
    "Registries and rights": registry policy
    "RUN": http_proxy secret network process run volume on_error
    "Limits of RUN": resources
    "Progress and questions": progress call
    "Results": output kaniko result
    foreign
}

impl Flags {
    /// How progress is shown, and where if not on standard error, before any flag is looked at.
    pub fn shown(&self) -> (Progress, Option<PathBuf>) {
        self.progress.shown()
    }

    /// The programs that a shell has besides those of its image.
    ///
    /// # Errors
    /// They are no source.
    pub fn tools(&self) -> Result<Option<ContextSource>, Failure> {
        self.on_error.tools()
    }
}

impl Flag for Flags {
    fn begins(&self, source: &Source) -> Result<(), Failure> {
        self.each(|flag| flag.begins(source))
    }

    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        self.each(|flag| flag.apply(request))
    }

    fn set_up(&self, setup: &mut Setup, request: &Request) -> Result<(), Failure> {
        self.each(|flag| flag.set_up(setup, request))
    }

    fn opened(&self, build: &mut Build) -> Result<(), BuildError> {
        self.each(|flag| flag.opened(build))
    }

    fn finished(&self, built: &Built) -> Result<(), Failure> {
        self.each(|flag| flag.finished(built))
    }
}

/// `NAME=VALUE`, or `NAME` with the value that `default` gives; a name without any value is left out.
pub fn pairs(
    option: &str,
    arguments: &[String],
    default: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), default(argument)),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "{option} {argument}: expected NAME=VALUE"
            )));
        }
        if let Some(value) = value {
            pairs.insert(name.to_owned(), value);
        }
    }
    Ok(pairs)
}
