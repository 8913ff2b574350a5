//! Images of registries, streamed once. Layers that the store has are not asked for. Unaware of what is in them.

use super::{Found, Wanted};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::render::Progress;
use crate::{session, transfer};
use kiln_cache::Store;
use kiln_engine::remote::{Looked, Remote, RemoteError, look};
use kiln_oci::archive::Incoming;
use kiln_oci::{Descriptor, Digest, Platform, Reference};
use kiln_report::compressed::Effort;
use kiln_report::image::{Blob, Image, ImageError, ImageLayer, read_layer, streamed};

/// Why an image does not come.
enum Failed {
    Remote(RemoteError),
    Image(ImageError),
}

impl From<RemoteError> for Failed {
    fn from(error: RemoteError) -> Self {
        Failed::Remote(error)
    }
}

impl From<ImageError> for Failed {
    fn from(error: ImageError) -> Self {
        Failed::Image(error)
    }
}

/// Looks at the image that a registry has under the name.
///
/// # Errors
/// There is none, or a layer does not come whole.
pub fn find(globals: &Globals, wanted: Wanted<'_>) -> Result<Found, Failure> {
    let parsed = Reference::parse(wanted.name);
    let reference = parsed.map_err(|error| {
        let message = format!("{}: {error}", wanted.name);
        Failure::usage(message).hint("neither the store nor the folder has such an image")
    })?;
    let platform = wanted.platform.cloned().unwrap_or_else(Platform::host);
    let store = session::existing_store(globals)?;
    let open = |_: &Globals, _: &Remote| Ok(());
    let shows = (Progress::Auto, "reading");
    let image = transfer::watched(globals, shows, open, |remote, ()| {
        let looked = look(remote, &reference, &platform)?;
        match stream(remote, store.as_ref(), &looked, wanted.effort) {
            Err(Failed::Remote(error)) => Err(error),
            Err(Failed::Image(error)) => Ok(Err(error)),
            Ok(image) => Ok(Ok(image)),
        }
    })?;
    Ok(Found {
        name: reference.familiar(),
        image: image?,
        store,
    })
}

fn stream(
    remote: &Remote,
    store: Option<&Store>,
    looked: &Looked,
    effort: Effort,
) -> Result<Image, Failed> {
    let layer = |blob: &Descriptor, diff_id: &Digest| -> Result<ImageLayer, Failed> {
        if let Some(index) = store.and_then(|store| store.layers().index(diff_id).ok()) {
            let mut layer = ImageLayer::plain(index);
            layer.blob = Blob::described(blob, diff_id);
            return Ok(layer);
        }
        let incoming = Incoming {
            name: blob.digest.to_string(),
            size: blob.size,
            digest: Some(blob.digest),
            diff_id: Some(*diff_id),
        };
        let mut content = looked.layer(remote, blob)?;
        Ok(read_layer(&incoming, &mut content, effort)?.0)
    };
    streamed(&looked.manifest, &looked.config, layer)
}
