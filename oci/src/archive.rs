//! Image archives: the tar files that `docker save`, `podman save`, `skopeo` and OCI tools write
//! and read, and OCI layouts in directories. Unaware of how images are stored: [`save`] takes
//! blobs from a [`BlobSource`], [`load`] hands out readers.
//!
//! # What is written
//! [`Format::Hybrid`], an OCI layout (OCI image specification, "Image Layout") that is a docker
//! archive too, in this order, so that a reader knows all names before the first layer:
//!
//! ```text
//! oci-layout                {"imageLayoutVersion":"1.0.0"}
//! index.json                an OCI index with one descriptor per reference, annotated with
//!                           io.containerd.image.name = docker.io/library/app:v1 and
//!                           org.opencontainers.image.ref.name = v1, and the platform; an untagged
//!                           image has one descriptor without annotations
//! manifest.json             [{"Config":"blobs/sha256/<hex>","RepoTags":["app:v1"],
//!                             "Layers":["blobs/sha256/<hex>",…]},…]
//! repositories              {"app":{"v1":"<hex of the top layer>"}}
//! kiln-delta.json           in a delta only: what it leaves out (see [`Receipt`])
//! blobs/, blobs/sha256/     indexes, manifests and configs by digest, then layers as the manifests
//!                           name them, by digest
//! ```
//!
//! An image of several platforms is one descriptor of its index; `manifest.json` names one of them.
//!
//! [`Format::OciArchive`] has no `manifest.json` and `repositories`. [`Format::DockerArchive`] has
//! only these, and `<config hex>.json` and `<diff ID hex>.tar`, layers uncompressed; its tags are
//! fully qualified, because podman would read bare ones as `localhost/…`. Entries are
//! owned by 0:0, have time 0 and canonical headers ([`crate::tarfile`]): equal arguments give equal
//! bytes.
//!
//! # What is read
//! All of these, docker archives of every age (layers as `<id>/layer.tar`, symbolic and hard links;
//! before docker 1.10 without `manifest.json`), names with `./`, nested indexes, missing annotations,
//! layers compressed with gzip, zstd, bzip2 or xz, and the whole compressed so; folders; what
//! [`part_path`] says files were cut into. Two ways lead to the layers: [`receive`] hands each over once, whatever the input;
//! [`load`] gives access at any place. The limits on hostile archives are constants of this
//! module.

mod companions;
mod docker;
mod documents;
mod error;
mod find;
mod input;
mod layout;
mod load;
mod members;
mod plan;
mod receipt;
mod receive;
mod save;
mod v1;
mod volumes;

pub use error::{LoadError, SaveError};
pub use input::Input;
pub use load::{Loaded, LoadedImage, LoadedIndex, LoadedLayer, Selection, load};
pub use receipt::{LeftOut, Receipt};
pub use receive::{Announcement, Contents, Incoming, Received, Receiver, receive};
pub use save::{BlobSource, SaveImage, SaveIndex, Saving, Target, save, write};
pub use volumes::{MAX_PARTS, Sums, damaged_part, part_path, sums_path};

/// The most files and links that an archive may hold.
pub const MAX_ENTRIES: usize = 200_000;
/// The most bytes that the names of an archive's entries may take together.
pub const MAX_NAMES: usize = 32 << 20;
/// The most bytes of manifests, indexes and configs that are read from one archive.
pub const MAX_DOCUMENTS: u64 = 64 << 20;
/// The most images in an archive.
pub const MAX_IMAGES: usize = 4096;
/// How deep indexes may nest. An index cannot contain itself, because it is named by digest, but
/// it can be deep.
pub const MAX_INDEX_DEPTH: usize = 8;
/// How many links one name may go through.
pub const MAX_LINKS: usize = 8;
/// The largest archive that is decompressed or taken from a stream, in bytes. No image is that
/// large; the limit stops a bomb on a file system that has room for it.
pub const MAX_SPOOL: u64 = 1 << 40;

/// How an archive is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// OCI layout and docker archive at once: what every known tool loads.
    #[default]
    Hybrid,
    /// OCI layout alone.
    OciArchive,
    /// Docker archive alone, layers uncompressed.
    DockerArchive,
}

impl Format {
    /// Whether docker's own documents are not in it.
    const fn is_oci_only(self) -> bool {
        matches!(self, Self::OciArchive)
    }
}

/// The annotation with the full name of an image.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation with the tag, or with what the writer took for a name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The OCI layout's marker file and what is in it.
const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The OCI layout's entry point.
const INDEX_FILE: &str = "index.json";
/// The docker archive's entry point.
const DOCKER_FILE: &str = "manifest.json";
/// The docker archive's older entry point.
const REPOSITORIES_FILE: &str = "repositories";
/// The receipt of a delta.
const RECEIPT_FILE: &str = "kiln-delta.json";

/// Where an OCI layout keeps a blob.
fn blob_path(digest: &crate::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

#[cfg(test)]
mod tests;
