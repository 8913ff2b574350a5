//! An image of a container: its layers, one of what it has changed, and what it runs. Unaware of names of images.

use super::Kept;
use crate::execute::is_supervised;
use crate::execute::operation::accounts;
use crate::failure::{ContainerError, KeptError, StepError};
use crate::host::clock::rfc3339;
use crate::session::Session;
use crate::transfer::archive::change;
use crate::tryout::image;
use kiln_cache::Chain;
use kiln_oci::{Digest, History};

/// What is said of an image of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitTo {
    /// Who made it.
    pub author: Option<String>,
    /// What the last entry of its history says.
    pub message: Option<String>,
    /// Instructions that change its config, as of `kiln import`.
    pub changes: Vec<String>,
}

impl Kept {
    /// Makes an image of it, as it is now: its manifest and its ID. Nothing is stopped meanwhile.
    ///
    /// # Errors
    /// A change is none, what it has changed cannot be read, or the store is full.
    pub fn commit(
        &self,
        session: &Session,
        how: &CommitTo,
    ) -> Result<(Digest, Digest), ContainerError> {
        let draft = &self.record.draft;
        let mut config = draft.base.clone();
        config.config = draft.config.clone();
        let mut config = change::apply(config, &how.changes)?;
        let layers = self.layers(session)?;
        let created = rfc3339(session.host.seconds());
        let new = layers
            .len()
            .saturating_sub(draft.base.rootfs.diff_ids.len());
        for _ in 0..new.max(1) {
            let mut entry = self.entry(&created, how);
            entry.empty_layer = new == 0;
            config.history.push(entry);
        }
        config.created = Some(created);
        config.author = how.author.clone().or(config.author);
        config.rootfs.diff_ids = layers;
        image::put(session, &config)
    }

    /// Its layers, and one of what it has changed.
    fn layers(&self, session: &Session) -> Result<Vec<Digest>, ContainerError> {
        let (store, id) = (&session.store, &self.record.id);
        let mut layers = store.containers().layers(id)?;
        store.leases().pin(&layers)?;
        let Some(changes) = store.containers().changes(id) else {
            return match self.runs() {
                true => Err(not_yet(session).into()),
                false => Ok(layers),
            };
        };
        let below = store.layers().chain(&layers)?;
        let options = image::commit_options(session);
        let points = self.mount_points(session, &below)?;
        let upper = (&*changes.upper, &*points);
        let made = store.layers().commit_upper_in_use(upper, &below, &options);
        let made = made.map_err(StepError::from)?;
        layers.extend(made.layer.as_ref().map(kiln_cache::Layer::diff_id));
        Ok(layers)
    }

    /// Where something is mounted for it now.
    fn mount_points(&self, session: &Session, below: &Chain) -> Result<Vec<Vec<u8>>, StepError> {
        if !self.runs() {
            return Ok(Vec::new());
        }
        let accounts = accounts(below)?;
        let process = self.record.draft.container.process(session, &accounts)?;
        let mounts = process.mounts_in_order();
        let targets = mounts.iter().map(|mount| &*mount.target);
        let targets = targets.chain(["/proc", "/sys", "/dev"]);
        let bytes = |target: &str| target.trim_start_matches('/').as_bytes().to_vec();
        Ok(targets.map(bytes).collect())
    }

    fn entry(&self, created: &str, how: &CommitTo) -> History {
        History {
            created: Some(created.to_owned()),
            created_by: Some(self.record.draft.container.argv.join(" ")),
            author: how.author.clone(),
            comment: how.message.clone(),
            ..History::default()
        }
    }
}

/// Where its changes are not in the store as long as it runs.
fn not_yet(session: &Session) -> KeptError {
    let place = match is_supervised(session) {
        true => "a supervised container",
        false => "a container whose changes are not in the store",
    };
    KeptError::Refused(format!(
        "{place} must end before anything is made of it: `kiln stop` it first"
    ))
}
