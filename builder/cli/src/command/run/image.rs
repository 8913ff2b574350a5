//! The image of `kiln run`: of the store, else of a registry, as `--pull` says. Unaware of what is run.

use super::of_build::OfBuild;
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::render::Shown;
use crate::retry::Retry;
use crate::{catalog, transfer};
use clap::ValueEnum;
use kiln_cache::{ImageError, Store, StoredImage};
use kiln_engine::Session;
use kiln_engine::remote::pull;
use kiln_oci::{Digest, ImageConfig, Platform, Reference};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// Ask the registry for a newer image
    Always,
    /// Pull an image that is not in the store
    Missing,
    /// Take what is in the store
    Never,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// When to pull the image
    #[arg(long, value_enum, default_value = "missing", value_name = "WHEN", add = Takes::Single)]
    pull: When,
    /// Platform of the image, if it has several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    shown: OfBuild<Shown>,
}

/// An image that is in the store, with all its layers.
#[derive(Debug)]
pub struct Found {
    /// Its ID.
    pub id: Digest,
    /// Its layers, bottom first.
    pub layers: Vec<Digest>,
    /// Its config.
    pub config: ImageConfig,
}

impl Flags {
    /// Finds the image, or pulls it; with the session in which it can be run. Must be called before any thread is started.
    ///
    /// # Errors
    /// There is no such image, or the store cannot be opened.
    pub fn get(&self, globals: &Globals, name: &str) -> Result<(Found, Session), Failure> {
        let mut globals = globals.clone();
        self.retry.change(&mut globals.patience);
        let shows = (self.shown.0.progress(), "pulling");
        let known = |session: &Session| self.known(&session.store, name);
        transfer::session_after_if_needed(&globals, shows, known, |session| {
            let image = self.find(session, name)?;
            session.store.fetch().layers(&image.diff_ids)?;
            found(image)
        })
    }

    /// One that is in the store with all its layers, where that is enough.
    fn known(&self, store: &Store, name: &str) -> Result<Option<Found>, Failure> {
        if self.pull == When::Always || store.images().find_named(name).is_err() {
            return Ok(None);
        }
        let image = catalog::find_for(store, name, self.platform.as_ref())?;
        match store.fetch().has_all(&image.diff_ids)? {
            true => found(image).map(Some),
            false => Ok(None),
        }
    }

    fn find(&self, session: &Session, name: &str) -> Result<StoredImage, Failure> {
        let images = session.store.images();
        let is_missing = matches!(
            images.find_named(name),
            Err(ImageError::NotFound { .. } | ImageError::BadName { .. })
        );
        match self.pull {
            When::Always => self.pulled(session, name)?,
            // without a network the list of what there is helps more
            When::Missing if is_missing && !session.offline => self.pulled(session, name)?,
            When::Missing | When::Never => {}
        }
        catalog::find_for(&session.store, name, self.platform.as_ref())
    }

    fn pulled(&self, session: &Session, name: &str) -> Result<(), Failure> {
        let wrong = |error| Failure::usage(format!("{name}: {error}"));
        let reference = Reference::parse(name).map_err(wrong)?;
        let platform = self.platform.clone().unwrap_or_else(Platform::host);
        let pulled = pull(&session.remote, &session.store, &reference, &platform);
        pulled.map(drop).map_err(transfer::failure)
    }
}

fn found(image: StoredImage) -> Result<Found, Failure> {
    let config = ImageConfig::parse(&image.config);
    let config = config.map_err(|error| Failure::new(Kind::Build, error.to_string()))?;
    Ok(Found {
        id: image.config_digest,
        layers: image.diff_ids,
        config,
    })
}
