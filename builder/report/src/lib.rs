//! Sizes and differences of images: what people who make images smaller want to know. Reads the store; unaware of builds,
//! mounts and terminals.
//!
//! ```
//! use kiln_cache::{Store, StoreError};
//!
//! /// Bytes of the layers that only one image has.
//! fn unique(store: &Store) -> Result<u64, StoreError> {
//!     let sizes = kiln_report::sharing::sizes(store)?;
//!     Ok(sizes.values().map(|of_image| of_image.unique).sum())
//! }
//! ```
#![forbid(unsafe_code)]

pub mod advise;
pub mod blame;
pub mod classify;
pub mod compare;
pub mod compressed;
pub mod diff;
pub mod difference;
pub mod dive;
pub mod elf;
pub mod folders;
pub mod history;
pub mod image;
pub mod lifetimes;
pub mod manager;
pub mod packages;
pub mod page;
pub mod rough;
pub mod sharing;
pub mod stages;
pub mod stats;
pub mod units;
pub mod waste;
