//! What a caller asks of one build, in groups: plain data. Unaware of how the command line spells it and of how it is done.
//!
//! Each group says in its `key` which of its fields decide about the result. It takes itself apart there, so that a new field does
//! not compile before it is among those that count or those that do not.
//!
//! ```
//! use kiln_engine::{ContextSource, DockerfileSource, DockerfileText, MainSource, Request};
//!
//! let text = b"FROM alpine AS base\nFROM base\nCOPY . /app\n".to_vec();
//! let dockerfile = DockerfileText::of_bytes("Dockerfile".to_owned(), text);
//! let context = ContextSource::Directory("/home/me/app".into());
//! let mut request = Request::new(DockerfileSource::Text(dockerfile), MainSource::Named(context));
//! request.language.target = Some("base".to_owned());
//! request.reuse.no_cache = true;
//! ```

pub mod annotations;
mod form;
mod goal;
mod output;
pub mod policy;
mod reuse;
mod run;
mod sources;

pub use form::{Form, Squash};
pub use goal::Goal;
use kiln_cache::Project;
pub use kiln_parser::inputs::Language;
pub(crate) use output::{BuildResult, Exporter};
pub use reuse::{Pull, Reuse};
pub use run::{DefaultNetwork, RunOptions, Secret, Volume, VolumeAccess};
pub use sources::{ContextSource, DockerfileSource, DockerfileText, MainSource, Sources, repaired};

/// One build as it is asked for. [`open`](crate::source::open::open) makes a [`Build`](crate::source::open::Build) of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is read.
    pub sources: Sources,
    /// How the Dockerfile is understood.
    pub language: Language,
    /// What every RUN sees and may use.
    pub run: RunOptions,
    /// How the image is shaped.
    pub form: Form,
    /// What may be reused.
    pub reuse: Reuse,
    /// Where the result goes.
    pub goal: Goal,
    /// Warnings about the request, which the build gives first.
    pub notices: Vec<String>,
    /// Which earlier builds it is compared with, to tell why steps are executed; its file is empty where it is not found yet. None: with none.
    pub project: Option<Project>,
}

impl Request {
    /// A build of this Dockerfile for this machine, and nothing else asked.
    #[must_use]
    pub fn new(dockerfile: DockerfileSource, context: MainSource) -> Self {
        Request {
            sources: Sources {
                dockerfile,
                context,
                contexts: Default::default(),
                ignore_file: None,
                policies: Vec::new(),
            },
            language: Language::default(),
            run: RunOptions::default(),
            form: Form::default(),
            reuse: Reuse::default(),
            goal: Goal::default(),
            notices: Vec::new(),
            project: None,
        }
    }
}

#[cfg(test)]
mod tests;
