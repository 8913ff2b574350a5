//! A RUN that failed, as it was left: a shell there, or an image of it. Unaware of why it failed.

use crate::execute::attend::attend;
use crate::execute::remains::FailedRun;
use crate::execute::runner::attended::{Attendant, Keeps};
use crate::failure::{BuildError, ContainerError, StepError};
use crate::host::clock::rfc3339;
use crate::request::ContextSource;
use crate::session::Session;
use crate::tryout::{image, shell};
use kiln_cache::Times;
use kiln_oci::{Digest, History, ImageConfig};
use kiln_sandbox::{Exit, Limits, TerminalSize};

/// How the layers of an image of it came to be.
const HISTORY: &str = "kept by kiln build --on-error=keep";

impl FailedRun {
    /// Opens a shell there, with all that the command saw. What it changes is thrown away.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn attend(
        mut self,
        session: &Session,
        terminal: Option<TerminalSize>,
        attendant: &dyn Attendant,
    ) -> Result<Exit, ContainerError> {
        self.process.argv = self.config.cmd.clone().unwrap_or_default();
        self.process.terminal = terminal;
        let how = (&Limits::default(), Times::Kept);
        let how_attended = (attendant, Keeps::Nothing);
        let attended = attend(session, how, &self.live, &self.process, how_attended)?;
        Ok(attended.leave(attendant))
    }

    /// The same with the programs of a source below all of its files.
    ///
    /// # Errors
    /// They cannot be fetched.
    pub fn with_tools(
        mut self,
        session: &Session,
        tools: ContextSource,
    ) -> Result<Self, BuildError> {
        // the failure has stopped the steps; a signal counts still
        session.cancel.begin_again();
        let below = shell::layers_of(session, tools)?;
        self.live.base.layers.splice(0..0, below);
        Ok(self)
    }

    /// Makes an image of it, without a name: its ID.
    ///
    /// # Errors
    /// What it has left cannot be read, or the store is full.
    pub fn keep(&self, session: &Session) -> Result<Digest, ContainerError> {
        let layers = self.layers(session)?;
        let mut config = ImageConfig::new(&self.platform);
        config.config = self.config.clone();
        let created = rfc3339(session.host.seconds());
        config.history = layers.iter().map(|_| entry(&created)).collect();
        config.created = Some(created);
        config.rootfs.diff_ids.clone_from(&layers);
        let (_, id) = image::put(session, &config)?;
        Ok(id)
    }

    /// The layers below, and one of what it has left.
    fn layers(&self, session: &Session) -> Result<Vec<Digest>, ContainerError> {
        let store = session.store.layers();
        let mut layers = self.live.base.layers.clone();
        for upper in &self.live.uppers {
            let below = store.chain(&layers)?;
            let place = upper.place().path.clone();
            let made = store.commit_upper(&place, &below, &image::commit_options(session));
            let made = made.map_err(StepError::from)?;
            layers.extend(made.layer.as_ref().map(kiln_cache::Layer::diff_id));
        }
        Ok(layers)
    }
}

fn entry(created: &str) -> History {
    History {
        created: Some(created.to_owned()),
        created_by: Some(HISTORY.to_owned()),
        ..History::default()
    }
}
