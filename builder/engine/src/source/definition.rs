//! What a command reads before it knows what to build: the files of a main context that is outside of the machine. Unaware of what they say.

use super::dockerfile::read;
use super::fetch::{Access, Fetches};
use super::main_context::{MainContext, named};
use crate::failure::BuildError;
use crate::request::{MainSource, Request};
use crate::session::Session;
use kiln_cache::Chain;

/// A main context whose files are read by name.
#[derive(Debug)]
pub enum Outside {
    /// Files: of a repository or an archive.
    Files(Chain),
    /// One file, with this text.
    File(String),
}

impl Outside {
    /// Fetches the main context of a request, with the secrets and agents that it gives; none if it is of this machine.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn open(session: &Session, request: &Request) -> Result<Option<Self>, BuildError> {
        let MainSource::Named(source) = &request.sources.context else {
            return Ok(None);
        };
        let access = Access::of(session, &request.run, &request.sources.policies);
        let main = named(access, &Fetches::default(), source, &request.language)?;
        if let Some(alone) = main.alone {
            return Ok(Some(Outside::File(alone.text)));
        }
        let MainContext::Files(files) = main.context else {
            return Ok(None);
        };
        let chain = session.store.layers().chain(files.layer.as_slice())?;
        Ok(Some(Outside::Files(chain)))
    }

    /// The text of a file, if it is there.
    ///
    /// # Errors
    /// It is no text.
    pub fn read(&self, name: &str) -> Result<Option<String>, BuildError> {
        match self {
            Outside::Files(files) => Ok(read(files, name)?.map(|read| read.text)),
            Outside::File(_) => Ok(None),
        }
    }
}
