//! The vocabulary and the wire of container images: digests, references, platforms, descriptors,
//! manifests, image configs, compression, layer tars, image archives, HTTP and registries.
//!
//! The crate is unaware of Dockerfiles, of caches and of how anything is laid out in a store. It
//! never prints, never reads the environment and never resolves a path that came from outside.
//!
//! ```
//! use kiln_oci::{Digest, Reference};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let image = Reference::parse("alpine:3.20")?;
//! assert_eq!(image.to_string(), "docker.io/library/alpine:3.20");
//! assert_eq!(&Digest::of(b"").to_string()[..15], "sha256:e3b0c442");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod archive;
pub mod compression;
pub mod config;
pub mod daemon;
pub mod descriptor;
pub mod digest;
mod digested;
pub mod document;
pub mod http;
pub mod lock;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod registry;
pub mod tarfile;
pub mod units;

pub use compression::{Encoding, LayerCompression};
pub use config::{DEFAULT_PATH, Empty, Healthcheck, History, ImageConfig, RootFs, RuntimeConfig};
pub use descriptor::Descriptor;
pub use digest::{Digest, DigestError, Hasher, HashingReader, HashingWriter};
pub use digested::Digested;
pub use document::DocumentError;
pub use lock::locked;
pub use manifest::{Index, Manifest};
pub use media_type::Compression;
pub use platform::{KNOWN_ARCHITECTURES, Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
