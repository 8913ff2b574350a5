//! Pushing: what the store calls by a name goes to a repository, as far as that lacks it.
//!
//! A layer that is an uncompressed tar is compressed on the way; one that came compressed stays as it is, so that what was pulled or
//! loaded goes out with the digests that it came with. A manifest in which nothing changes is sent verbatim. What layers become is
//! remembered: a second push asks for the digest of the tag and is done.

mod derive;
mod pass_on;
mod send;

use std::time::Instant;

use kiln_cache::{CacheOrigin, Store};
use kiln_oci::registry::Client;
use kiln_oci::{Descriptor, Digest, Index, LayerCompression, Platform, Reference, media_type};

use crate::event::{EventKind, Events};
use crate::failure::RemoteError;
use crate::transfer::remote::platform::is_image;
use crate::transfer::remote::{Remote, if_found};
use derive::Derived;
pub(crate) use derive::with_docker_types;

/// Which media types manifests have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaTypes {
    /// Those that the image has; OCI's for what kiln built.
    #[default]
    Kept,
    /// OCI's.
    Oci,
    /// Docker's, version 2, schema 2.
    Docker,
}

/// In which form an image is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What plain layers become.
    pub compression: LayerCompression,
    /// Layers that are compressed in another way are compressed anew.
    pub force: bool,
    /// Media types.
    pub media_types: MediaTypes,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            compression: LayerCompression::gzip(),
            force: false,
            media_types: MediaTypes::Kept,
        }
    }
}

/// One push.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// The name, id or digest of the image or index in the store.
    pub image: String,
    /// The image of several that goes out, alone; none for all of them with their index.
    pub platform: Option<Platform>,
    /// Where to.
    pub to: Reference,
    /// Only by digest: no tag there is touched, that of `to` does not count.
    pub by_digest: bool,
    /// In which form.
    pub form: Form,
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The reference, with its tag.
    pub reference: Reference,
    /// Digest, size and media type of the manifest or index, as the registry has it.
    pub descriptor: Descriptor,
    /// The registry had it already under this name.
    pub is_unchanged: bool,
    /// Microseconds that it took.
    pub took_us: u64,
}

impl Pushed {
    /// Says what the name means there.
    pub(crate) fn tell(&self, events: &Events) {
        events.send(EventKind::Resolved {
            reference: self.reference.familiar(),
            digest: self.descriptor.digest.to_string(),
            took_us: self.took_us,
        });
    }
}

/// What all parts of one push share.
pub(crate) struct Push<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) registry: &'a Client,
    pub(crate) store: &'a Store,
    pub(crate) to: Reference,
    /// The repository of `to`.
    pub(crate) there: CacheOrigin,
    pub(crate) form: Form,
    by_digest: bool,
    begun: Instant,
}

/// Pushes an image, or an index with all of its images.
///
/// # Errors
/// There is no such image, or the registry refuses it. What was sent by then stays there, without a name.
pub fn push(remote: &Remote, store: &Store, options: &PushOptions) -> Result<Pushed, RemoteError> {
    let form = options.form;
    let is_zstd = matches!(form.compression, LayerCompression::Zstd(_));
    if is_zstd && form.media_types == MediaTypes::Docker {
        return Err(RemoteError::DockerZstd);
    }
    let push = Push {
        remote,
        registry: remote.registry()?,
        store,
        to: options.to.clone().with_default_tag(),
        there: CacheOrigin::repository(&options.to),
        form,
        by_digest: options.by_digest,
        begun: Instant::now(),
    };
    let (images, image) = (store.images(), &options.image);
    let named = match &options.platform {
        None => images.find_named(image)?,
        Some(platform) => images.find_for(image, platform)?.manifest_digest,
    };
    match store.indexes().get(&named)? {
        Some(bytes) => push.index(&named, &bytes),
        None => push.image(&named),
    }
}

impl Push<'_> {
    fn image(&self, manifest: &Digest) -> Result<Pushed, RemoteError> {
        let image = self.store.images().get(manifest)?;
        if let Some(known) = derive::remembered(self, &image)?
            && self.is_there(&known.descriptor)?
        {
            return Ok(self.pushed(known.descriptor, true));
        }
        let derived = self.send_image(&image)?;
        self.send_manifest(&self.name_of(&derived.descriptor), manifest, &derived)?;
        Ok(self.pushed(derived.descriptor, false))
    }

    fn index(&self, named: &Digest, bytes: &[u8]) -> Result<Pushed, RemoteError> {
        let mut index = parse(named, bytes)?;
        let before = index.clone();
        for child in index.manifests.iter_mut().filter(|child| is_image(child)) {
            if let Some(known) = self.remembered_child(child)? {
                known.replace(child);
            }
        }
        let known = self.derived_index(bytes, &before, &index);
        if self.is_there(&known.descriptor)? {
            return Ok(self.pushed(known.descriptor, true));
        }
        let mut index = before.clone();
        for child in &mut index.manifests {
            self.send_child(named, child)?;
        }
        let derived = self.derived_index(bytes, &before, &index);
        self.send_manifest(&self.name_of(&derived.descriptor), named, &derived)?;
        Ok(self.pushed(derived.descriptor, false))
    }

    /// The index as it goes out: verbatim when none of its images changed.
    fn derived_index(&self, bytes: &[u8], before: &Index, after: &Index) -> Derived {
        let mut after = after.clone();
        let is = before.media_type.as_deref();
        let is = is.unwrap_or(media_type::OCI_INDEX);
        let wanted = match self.form.media_types {
            MediaTypes::Kept => is,
            MediaTypes::Oci => media_type::OCI_INDEX,
            MediaTypes::Docker => media_type::DOCKER_MANIFEST_LIST,
        };
        if wanted != is {
            after.media_type = Some(wanted.to_owned());
        }
        let bytes = match after == *before {
            true => bytes.to_vec(),
            false => after.to_bytes(),
        };
        let descriptor = Descriptor::of(wanted, &bytes);
        Derived { bytes, descriptor }
    }

    fn remembered_child(&self, child: &Descriptor) -> Result<Option<Derived>, RemoteError> {
        match self.store.images().get(&child.digest) {
            Ok(image) => derive::remembered(self, &image),
            Err(_) => Ok(None),
        }
    }

    /// Sends what an entry of an index names, by digest, and puts in place what it became.
    fn send_child(&self, index: &Digest, child: &mut Descriptor) -> Result<(), RemoteError> {
        let by_digest = |digest| by_digest(&self.to, digest);
        if let Ok(image) = self.store.images().get(&child.digest) {
            let derived = self.send_image(&image)?;
            let to = by_digest(derived.descriptor.digest);
            self.send_manifest(&to, &child.digest, &derived)?;
            derived.replace(child);
            return Ok(());
        }
        let there = if_found(self.registry.manifest_digest(&by_digest(child.digest)))?;
        if there == Some(child.digest) || self.pass_on(index, child)? {
            return Ok(());
        }
        Err(RemoteError::AbsentChild {
            digest: child.digest,
            platform: child
                .platform
                .as_ref()
                .map_or_else(|| "no platform".to_owned(), ToString::to_string),
        })
    }

    /// Whether the registry has just this under the name.
    fn is_there(&self, known: &Descriptor) -> Result<bool, RemoteError> {
        let name = self.name_of(known);
        let there = if_found(self.registry.manifest_digest(&name))?;
        Ok(there == Some(known.digest))
    }

    /// What the manifest or index is to be called there.
    fn name_of(&self, top: &Descriptor) -> Reference {
        match self.by_digest {
            true => by_digest(&self.to, top.digest),
            false => self.to.clone(),
        }
    }

    fn pushed(&self, descriptor: Descriptor, is_unchanged: bool) -> Pushed {
        Pushed {
            reference: self.name_of(&descriptor),
            descriptor,
            is_unchanged,
            took_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }
}

fn by_digest(of: &Reference, digest: Digest) -> Reference {
    Reference {
        digest: Some(digest),
        tag: None,
        ..of.clone()
    }
}

fn parse(digest: &Digest, bytes: &[u8]) -> Result<Index, RemoteError> {
    Index::parse(bytes).map_err(|source| RemoteError::Document {
        digest: *digest,
        source,
    })
}
