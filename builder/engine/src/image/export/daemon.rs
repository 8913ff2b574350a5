//! The way of `type=docker` into a daemon: of an archive only those layers travel that it lacks. Unaware of how a daemon is found.
//!
//! docker finds a layer by all layers below it, so what may be left out are the lowest layers that an image of the daemon has too. Where images
//! are stored as containerd stores them, it is found by the digest of its blob, of which nothing can be asked: then the daemon says no, and
//! gets everything. So it does when an image was removed in between.

use crate::event::EventKind;
use crate::event::cancel::Cancel;
use crate::failure::ExportError;
use crate::request::BuildResult;
use crate::transfer::archive::{self, delta, delta::Base};
use kiln_cache::Store;
use kiln_oci::archive::{Receipt, Saving, Target};
use kiln_oci::daemon::{Address, Daemon, DaemonError};
use kiln_oci::http::{Patience, Settings, Upload};
use kiln_oci::{Digest, Reference, http};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a daemon may work on what it was given before it takes more: it unpacks while it reads.
const UNPACKING: Duration = Duration::from_secs(600);
/// Of so many images, the newest, the layers are asked for.
const IMAGES: usize = 200;

/// An image on its way into a daemon.
struct Loading<'a> {
    daemon: Daemon,
    store: &'a Store,
    saving: Saving,
    /// Its names there.
    names: &'a [Reference],
    /// The ID that it will have there.
    id: Digest,
}

/// Takes the one image of a result to the daemon at an address; the ID that it has there.
///
/// # Errors
/// The daemon does not take it. Its names mean what they meant before then, or nothing.
pub(super) fn load(
    address: &Address,
    saving: Saving,
    result: &BuildResult<'_>,
    names: &[Reference],
) -> Result<Digest, ExportError> {
    let begun = Instant::now();
    let loading = Loading::new(address, saving, result, names)?;
    let id = loading.id;
    loading.carry_out()?;
    result.session.events.send(EventKind::Resolved {
        reference: format!("the image in {address}"),
        digest: id.to_string(),
        took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
    Ok(id)
}

fn settings(cancel: &Cancel) -> Settings {
    let cancel = cancel.clone();
    Settings {
        cancel: http::Cancel::when(move || cancel.requested()),
        patience: Patience {
            stall: UNPACKING,
            silence: UNPACKING,
            ..Patience::default()
        },
        ..Settings::default()
    }
}

impl<'a> Loading<'a> {
    fn new(
        address: &Address,
        saving: Saving,
        result: &BuildResult<'a>,
        names: &'a [Reference],
    ) -> Result<Self, ExportError> {
        let [image] = &saving.images[..] else {
            let why = "a daemon holds one platform of an image: choose one with --platform";
            return Err(ExportError::Unsupported(why.to_owned()));
        };
        let daemon = Daemon::at(address.clone(), settings(&result.session.cancel));
        let id = match daemon.names_manifests()? {
            true => Digest::of(&image.manifest),
            false => Digest::of(&image.config),
        };
        Ok(Loading {
            daemon,
            store: &result.session.store,
            names,
            id,
            saving,
        })
    }

    fn carry_out(mut self) -> Result<(), ExportError> {
        if self.is_there()? {
            return Ok(self.tag()?);
        }
        self.saving.receipt = self.receipt()?;
        let loaded = match self.send() {
            Err(ExportError::Daemon(DaemonError::Refused { .. }))
                if self.saving.receipt.is_some() =>
            {
                self.saving.receipt = None;
                self.send()
            }
            loaded => loaded,
        };
        loaded.inspect_err(|_| self.remove_broken())?;
        match self.is_there()? {
            true => Ok(()),
            false => Err(ExportError::NotLoaded { id: self.id }),
        }
    }

    fn is_there(&self) -> Result<bool, DaemonError> {
        Ok(self.daemon.find(&self.id.to_string())?.is_some())
    }

    fn tag(&self) -> Result<(), DaemonError> {
        let mut names = self.names.iter();
        names.try_for_each(|name| self.daemon.tag(&self.id.to_string(), name))
    }

    /// What the daemon has of the image. Images that have its names are asked first: mostly one was built before.
    fn receipt(&self) -> Result<Option<Receipt>, ExportError> {
        let layers = delta::chain(&self.saving.images[0])?;
        let mut base = Base::default();
        let names = self.names.iter().map(Reference::familiar);
        let others = self.daemon.images()?.into_iter().take(IMAGES);
        for image in names.chain(others) {
            let found = self.daemon.find(&image)?;
            base.add_image(found.map(|found| found.root_fs.layers).unwrap_or_default());
            if base.has_lowest(&layers) + 1 >= layers.len() {
                break;
            }
        }
        let receipt = delta::receipt(&self.saving.images, &[base])?;
        Ok((!receipt.layers.is_empty()).then_some(receipt))
    }

    /// Writes the archive into the store's scratch, because a daemon wants to know its size and may have to be given it again.
    fn send(&self) -> Result<(), ExportError> {
        archive::fetch::layers(self.store, &self.saving)?;
        let folder = self.store.scratch().dir("load")?;
        let path = folder.join("archive.tar");
        let sent = self.write(&path).and_then(|()| {
            let size = path
                .metadata()
                .map_err(ExportError::io("read", &path))?
                .len();
            let open = || Upload::new(Box::new(File::open(&path)?), size);
            Ok(self.daemon.load(&open)?)
        });
        self.store.scratch().discard(&folder)?;
        sent
    }

    fn write(&self, path: &Path) -> Result<(), ExportError> {
        let file = File::create(path).map_err(ExportError::io("write", path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        archive::write(Target::Tar(&mut out), &self.saving, self.store)?;
        let written = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        written.map(drop).map_err(ExportError::io("write", path))
    }

    /// A name may have been given before the daemon found that a layer is missing: it would mean an image that cannot be run.
    fn remove_broken(&self) {
        for name in self.names {
            let broken = self.daemon.find(&name.familiar());
            if broken.is_ok_and(|image| image.is_some_and(|image| image.id == self.id.to_string()))
            {
                // the load has failed, and that is told
                let _ = self.daemon.untag(name);
            }
        }
    }
}
