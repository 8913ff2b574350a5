//! The build engine: from a Dockerfile's text to a tagged image, and images in and out of archives and registries.
//!
//! Data flows one way: [`Request`] -> [`open`] (Dockerfile, contexts) -> [`Build`] -> plan (parse, bases) -> execute (look up or
//! run each step, in parallel) -> image (config, manifest) -> store. [`build`] does all of it and reports what happens as
//! [`event`]s. The engine never prints, never reads the environment, never exits; it is unaware of terminals and of the command
//! line.
//!
//! Everything that a caller may use is listed in this file; the modules behind it are private. They stand on floors, and
//! a file uses its own floor and lower ones only: `tests/rules/floors.rs` has the table and checks it.
//!
//! ```no_run
//! # fn example(session: &kiln_engine::Session, request: kiln_engine::Request) -> Result<(), kiln_engine::BuildError> {
//! let opened = kiln_engine::open(session, request, std::io::empty())?;
//! let built = kiln_engine::build(session, &opened)?;
//! println!("{} is {}", built.names.join(" and "), built.id);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod build;
pub mod event;
mod exchange;
mod execute;
mod failure;
mod host;
mod image;
mod plan;
mod request;
mod session;
mod source;
mod transfer;
mod tryout;

// A build: what it works with, what it is asked for, and what it gives.
pub use build::{Built, FailedBuild, build, try_build};
pub use host::agent::AgentSource;
pub use host::changes::ChangesPlace;
pub use host::isolation::IsolationChoice;
pub use session::{Host, Session};
pub use source::definition::Outside;
pub use source::open::{Build, open};

pub use request::annotations::{Annotation, Level};
pub use request::policy::{Policy, PolicyError};
pub use request::{ContextSource, DockerfileSource, DockerfileText, MainSource, Sources};
pub use request::{DefaultNetwork, RunOptions, Secret, Volume, VolumeAccess};
pub use request::{Form, Goal, Language, Pull, Request, Reuse, Squash};

// Where a result goes, and which caches it may be taken from or is given to.
pub use exchange::{CacheOptions, check_cache_from, check_cache_to, foreign};
pub use image::export::exporter;
pub use transfer::attributes::Attributes;

// Why a build failed.
pub use failure::{BackendError, BuildError, ExportError, FetchError};
pub use failure::{CopyError, MissingImage, MissingSource, RefusedSource, StepError, StepFailure};
pub use failure::{chain_of_causes, without_codes};

// Small things that a caller has to do in the same way.
pub use host::clock::{rfc3339, seconds};
pub use host::temporary::Temporary;
pub use request::repaired;
pub use source::dockerfile::{USUAL_NAMES, other_case};

/// Images and builds that are tried out.
pub mod trial {
    pub use crate::execute::remains::FailedRun;
    pub use crate::execute::runner::attended::Attendant;
    pub use crate::failure::{ContainerError, KeptError};
    pub use crate::tryout::container::{Container, Tmpfs};
    pub use crate::tryout::kept::check::{Flaw, What, check};
    pub use crate::tryout::kept::commit::CommitTo;
    pub use crate::tryout::kept::copy::{Root, copy};
    pub use crate::tryout::kept::guest::Exec;
    pub use crate::tryout::kept::line::Line;
    pub use crate::tryout::kept::log::{LoggedLine, Logs, Stream, Writer};
    pub use crate::tryout::kept::record::{Draft, State, exit_code, is_name};
    pub use crate::tryout::kept::tar::{pack, unpack};
    pub use crate::tryout::kept::{Held, Kept, Status, create, find, list};
    pub use crate::tryout::shell::{Opened, Place, TOOLS_CONTEXT, open, steps};
}

/// What can be said of a build without building.
pub mod check {
    pub use crate::plan::check::{check, outline, targets};
}

/// Shared caches, outside of builds.
pub mod cache {
    pub use crate::exchange::mounts::{MovedMount, export_all, import_all};
    pub use crate::exchange::prune::{Shrunk, prune};
}

/// What a build would do.
pub mod forecast {
    pub use crate::execute::forecast::{Forecast, ForecastImage, ForecastStage};
    pub use crate::execute::forecast::{ForecastStep, Verdict, forecast};
}

/// Why steps are executed.
pub mod why {
    pub use crate::execute::past::compare;
}

/// A file of a web server, outside of builds.
pub mod web {
    pub use crate::source::fetch::web::download;
}

/// Images to and from files.
pub mod archive {
    pub use crate::failure::{ArchiveError, FlattenError};
    pub use crate::image::flatten::write_tar;
    pub use crate::transfer::archive::Taken;
    pub use crate::transfer::archive::{CheckedImage, CheckedLayer, Verified, verify};
    pub use crate::transfer::archive::{ImportOptions, ImportSource, import};
    pub use crate::transfer::archive::{LoadOptions, LoadSummary, load};
    pub use crate::transfer::archive::{SaveOptions, Saved, save};
}

/// Images from registries and to them.
pub mod remote {
    pub use crate::failure::RemoteError;
    pub use crate::transfer::remote::Remote;
    pub use crate::transfer::remote::{Form, MediaTypes, PushOptions, Pushed, push};
    pub use crate::transfer::remote::{Looked, look};
    pub use crate::transfer::remote::{Pulled, pull};
}

/// What this machine can run that is for another processor.
pub mod emulation {
    pub use crate::host::emulation::runnable;
}
