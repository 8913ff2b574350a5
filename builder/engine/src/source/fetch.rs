//! What a build takes from outside the machine: files by http(s) and git repositories, each as a layer of the store. Unaware
//! of what is done with them: `ADD`, build contexts and named contexts ask alike.
//!
//! A source is looked at before anything runs ([`Fetches::look`]): whether the other side still has what the store holds
//! costs one small request, and if it does, the memo of the whole build can answer. What has changed is fetched by the step
//! that needs it, so that other steps run meanwhile. Within a build every source is fetched once.

pub mod address;
pub mod file;
pub mod layer;
pub mod web;

use super::git;
use crate::event::EventKind;
use crate::failure::FetchError;
use crate::host::agent::AgentSource;
use crate::request::policy::Policy;
use crate::request::{RunOptions, Secret};
use crate::session::Session;
use kiln_cache::{Fetched, KeyBuilder, on_threads};
use kiln_oci::{Digest, locked};
use kiln_parser::graph::{CopyOp, CopySource, GitSource};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Sources that are looked at at once.
const AT_ONCE: usize = 8;
/// The agent that BuildKit, too, takes for git.
const DEFAULT_AGENT: &str = "default";

/// A file or a repository that a build reads from outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemoteSource {
    /// A file.
    File(FileSource),
    /// A repository.
    Git(GitSource),
}

/// A file by http(s).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileSource {
    /// The address.
    pub url: String,
    /// What the file is called in its layer.
    pub name: String,
    /// What its content must be, as `algorithm:hex`.
    pub checksum: Option<String>,
}

impl RemoteSource {
    /// What a source of `ADD` needs from outside, if anything.
    #[must_use]
    pub fn of(source: &CopySource) -> Option<Self> {
        match source {
            CopySource::Url {
                url,
                name,
                checksum,
            } => Some(RemoteSource::File(FileSource {
                url: url.clone(),
                name: name.clone(),
                checksum: checksum.clone(),
            })),
            CopySource::Git(git) => Some(RemoteSource::Git(git.clone())),
            CopySource::Files { .. } | CopySource::Inline { .. } => None,
        }
    }

    /// All that a `COPY` or `ADD` needs from outside.
    pub fn all_of(copy: &CopyOp) -> impl Iterator<Item = Self> {
        copy.sources.iter().filter_map(RemoteSource::of)
    }
}

/// What may be used to get at sources.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Store, cancellation, host.
    pub session: &'a Session,
    /// `--secret`: some names are credentials of hosts.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// `--ssh default`: the agent that opens repositories by ssh.
    pub agent: Option<&'a AgentSource>,
    /// What redirects may lead to.
    pub policies: &'a [Policy],
}

impl<'a> Access<'a> {
    /// What a build may use.
    #[must_use]
    pub fn of(session: &'a Session, run: &'a RunOptions, policies: &'a [Policy]) -> Self {
        Access {
            session,
            secrets: &run.secrets,
            agent: run.ssh.get(DEFAULT_AGENT),
            policies,
        }
    }
}

impl Access<'_> {
    /// Tells what a source was, once it is there.
    pub(super) fn tell(&self, title: String, items: u64, bytes: u64, begun: Instant) {
        self.session.events.send(EventKind::Source {
            title,
            items,
            bytes,
            took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }
}

/// The sources of one build.
#[derive(Debug, Default)]
pub struct Fetches {
    slots: Mutex<HashMap<RemoteSource, Arc<Mutex<Slot>>>>,
}

/// One source; locked while it is being fetched.
#[derive(Debug, Default)]
struct Slot {
    fetched: Option<Fetched>,
    commit: Option<git::Commit>,
}

impl Fetches {
    /// Asks whether the store still holds what is outside. What cannot be answered is left to the step that needs the source,
    /// which reports the reason with its line.
    pub fn look(&self, access: Access<'_>, remotes: Vec<RemoteSource>) {
        let next = Mutex::new(remotes.into_iter());
        let work = || {
            loop {
                let remote = locked(&next).next();
                let Some(remote) = remote else { return };
                if let Err(error) = self.look_at(access, &remote) {
                    tracing::debug!(%error, "a source is not looked at");
                }
            }
        };
        let count = locked(&next).len().min(AT_ONCE);
        on_threads(count, work);
    }

    fn look_at(&self, access: Access<'_>, remote: &RemoteSource) -> Result<(), FetchError> {
        let slot = self.slot(remote);
        let mut slot = locked(&slot);
        if slot.fetched.is_some() {
            return Ok(());
        }
        match remote {
            RemoteSource::File(source) => slot.fetched = file::known(access, source)?,
            RemoteSource::Git(source) => {
                let commit = git::resolve(access, source)?;
                slot.fetched = git::known(access, source, &commit)?;
                slot.commit = Some(commit);
            }
        }
        Ok(())
    }

    /// What a source is, fetched if need be.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn get(&self, access: Access<'_>, remote: &RemoteSource) -> Result<Fetched, FetchError> {
        let slot = self.slot(remote);
        let mut slot = locked(&slot);
        if let Some(fetched) = &slot.fetched {
            return Ok(fetched.clone());
        }
        let fetched = match remote {
            RemoteSource::File(source) => file::fetch(access, source)?,
            RemoteSource::Git(source) => {
                let commit = match slot.commit.take() {
                    Some(commit) => commit,
                    None => git::resolve(access, source)?,
                };
                match git::known(access, source, &commit)? {
                    Some(fetched) => fetched,
                    None => git::fetch(access, source, &commit)?,
                }
            }
        };
        slot.fetched = Some(fetched.clone());
        Ok(fetched)
    }

    /// Digest of what a source is, once that is known.
    #[must_use]
    pub fn content(&self, remote: &RemoteSource) -> Option<Digest> {
        let slot = self.slot(remote);
        let slot = locked(&slot);
        let fetched = slot.fetched.as_ref()?;
        let key = KeyBuilder::new("fetched").bytes("version", fetched.version.as_bytes());
        let layers = fetched.layer.into_iter();
        Some(
            layers
                .fold(key, |key, layer| key.input("layer", layer))
                .finish()
                .0,
        )
    }

    fn slot(&self, remote: &RemoteSource) -> Arc<Mutex<Slot>> {
        let mut slots = locked(&self.slots);
        slots.entry(remote.clone()).or_default().clone()
    }
}

/// The content of a secret that is text.
pub(crate) fn secret(access: Access<'_>, name: &str) -> Option<String> {
    let bytes = access.secrets.get(name)?;
    let text = std::str::from_utf8(bytes).ok()?.trim();
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
