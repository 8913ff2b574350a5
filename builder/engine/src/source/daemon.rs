//! Base images that the daemon of another engine has: such an image is taken whole, once for each ID, and has no name in the store, so that its
//! name means what the daemon says. Unaware of why the daemon is asked.

use crate::failure::chain_of_causes;
use crate::session::Session;
use crate::transfer::archive::{LoadOptions, Taken, load};
use kiln_cache::StoredImage;
use kiln_oci::ImageConfig;
use kiln_oci::archive::Input;
use kiln_oci::daemon::{Daemon, HeldImage};
use kiln_parser::inputs::ImageRequest;

/// An image of a daemon.
pub(super) struct Held {
    daemon: Daemon,
    image: HeldImage,
}

impl Held {
    /// What the session's daemon has under a name, for this platform. One that does not answer has nothing.
    pub(super) fn find(session: &Session, request: &ImageRequest) -> Option<Self> {
        let address = session.remote.daemon.clone()?;
        let daemon = Daemon::at(address, session.remote.http.settings().clone());
        match daemon.find(&request.reference) {
            Ok(held) => {
                let fits = |held: &HeldImage| {
                    let platform = held.platform();
                    platform.architecture.is_empty() || request.platform.rank(&platform).is_some()
                };
                let image = held.filter(fits)?;
                Some(Held { daemon, image })
            }
            Err(error) => {
                tracing::debug!(%error, "the daemon is not asked for a base");
                None
            }
        }
    }

    /// Its ID there.
    pub(super) fn id(&self) -> &str {
        &self.image.id
    }

    /// Whether it is this image of the store. Where the daemon names images by manifests, which may describe the same layers in another form, what
    /// is in it tells.
    pub(super) fn is(&self, (own, config): &(StoredImage, ImageConfig)) -> bool {
        let names = [
            Some(own.config_digest),
            Some(own.manifest_digest),
            own.index,
        ];
        let mut names = names.into_iter().flatten();
        let is_made_alike = || config.created.as_ref() == Some(&self.image.created);
        names.any(|name| name.to_string() == self.image.id)
            || self.image.root_fs.layers == own.diff_ids && is_made_alike()
    }

    /// Takes it into the store; its ID there.
    ///
    /// # Errors
    /// Why it does not come.
    pub(super) fn take(&self, session: &Session) -> Result<String, String> {
        let archive = self.daemon.save(&self.image.id);
        let archive = archive.map_err(|error| chain_of_causes(&error))?;
        let input = Input::Stream(Box::new(archive));
        let mut id = self.image.id.clone();
        let each = |taken: &Taken| id = taken.id.to_string();
        load(&session.store, input, &LoadOptions::default(), each)
            .map_err(|error| chain_of_causes(&error))?;
        Ok(id)
    }
}
