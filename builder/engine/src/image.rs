//! From layers to an image and to the places where it goes. Unaware of how layers were made.

pub mod assemble;
pub mod export;
pub mod flatten;
pub(crate) mod index;
pub(crate) mod origin;
pub mod squash;
pub(crate) mod stages;
