//! Images to and from files: `save`, `load`, `verify`, `import`. Joins the archive formats of `kiln_oci` with the store; unaware of
//! builds. Everything that comes in is checked while it streams into the store, and becomes visible only when it is whole.

pub(crate) mod change;
pub(crate) mod delta;
pub(crate) mod fetch;
mod import;
mod load;
mod platforms;
mod save;
mod verify;

pub use import::{ImportOptions, ImportSource, import};
pub use load::{LoadOptions, LoadSummary, load};
pub use save::{SaveOptions, Saved, save};
pub(crate) use save::{manifest as compressed_manifest, write};
pub use verify::{CheckedImage, CheckedLayer, Verified, verify};

use kiln_oci::archive::Selection;
use kiln_oci::{Digest, Platform, Reference};

/// An image that was taken in.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Image ID.
    pub id: Digest,
    /// Manifest digest.
    pub manifest: Digest,
    /// Its names; empty for an image without any.
    pub references: Vec<Reference>,
    /// What stands in the place of a name and is not one, as written.
    pub unreadable: Vec<String>,
}

/// All of an archive, for a platform if one is given.
fn whole(only: Option<Platform>) -> Selection {
    let host = Platform::host();
    Selection::Whole { host, only }
}

impl Taken {
    fn new(id: Digest, manifest: Digest, references: &[Reference]) -> Self {
        Self {
            id,
            manifest,
            references: references.to_vec(),
            unreadable: Vec::new(),
        }
    }
}
