//! An image of a registry that is only looked at: manifest and config, and layers as streams. Nothing comes into a store.

use std::io::{self, Read};

use kiln_cache::Meter;
use kiln_oci::registry::Fetched;
use kiln_oci::{
    Descriptor, Digest, DocumentError, Index, Manifest, Platform, Reference, media_type,
};

use crate::event::Direction;
use crate::failure::RemoteError;
use crate::transfer::remote::platform::choose;
use crate::transfer::remote::pull::{MAX_DEPTH, with_digest};
use crate::transfer::remote::{Remote, transfer};

/// An image as a registry describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Where its blobs are.
    pub reference: Reference,
    /// The manifest, verbatim.
    pub manifest: Vec<u8>,
    /// The config, verbatim.
    pub config: Vec<u8>,
}

/// Asks the registry what an image is; of several platforms the one for `platform`.
///
/// # Errors
/// The registry does not answer or has no such image, or none for the platform.
pub fn look(
    remote: &Remote,
    reference: &Reference,
    platform: &Platform,
) -> Result<Looked, RemoteError> {
    let registry = remote.registry()?;
    let mut reference = reference.clone().with_default_tag();
    let mut found = registry.manifest(&reference)?;
    for _ in 0..=MAX_DEPTH {
        if !media_type::is_index(&found.media_type) {
            let manifest = Manifest::parse(&found.bytes).map_err(malformed(found.digest))?;
            let config = registry.document(&reference, &manifest.config)?;
            let manifest = found.bytes;
            return Ok(Looked {
                reference,
                manifest,
                config,
            });
        }
        let child = child(&found, &reference, platform)?;
        reference = with_digest(&reference, child);
        found = registry.manifest(&reference)?;
    }
    let reference = reference.familiar();
    Err(RemoteError::TooDeep { reference })
}

fn malformed(digest: Digest) -> impl FnOnce(DocumentError) -> RemoteError {
    move |source| RemoteError::Document { digest, source }
}

/// What an index has for the platform.
fn child(
    found: &Fetched,
    reference: &Reference,
    platform: &Platform,
) -> Result<Digest, RemoteError> {
    let index = Index::parse(&found.bytes).map_err(malformed(found.digest))?;
    let child = choose(&index, platform).map_err(|available| RemoteError::NoPlatform {
        reference: reference.familiar(),
        wanted: platform.to_string(),
        available,
    })?;
    Ok(child.digest)
}

impl Looked {
    /// Reads a layer once, and tells how far it is.
    ///
    /// # Errors
    /// The network is not to be used.
    pub fn layer(&self, remote: &Remote, blob: &Descriptor) -> Result<impl Read, RemoteError> {
        Ok(Told {
            reader: remote.registry()?.blob(&self.reference, blob),
            transfer: transfer(&remote.events, Direction::Download, &self.reference, blob),
            done: 0,
            total: blob.size,
        })
    }
}

/// Tells how far a reader is.
struct Told<R> {
    reader: R,
    transfer: Meter,
    done: u64,
    total: u64,
}

impl<R: Read> Read for Told<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.done += count as u64;
        match count > 0 && self.done == self.total {
            true => self.transfer.end(),
            false => self.transfer.at(self.done),
        }
        Ok(count)
    }
}
