//! Where files come from: build contexts, the host's programs, the network, images of the store.

pub mod advice;
pub(crate) mod archive;
pub mod context;
mod daemon;
pub mod definition;
pub mod dockerfile;
pub mod fetch;
pub mod fetched;
pub mod git;
pub mod host_tools;
pub mod image;
pub mod main_context;
pub mod oci_layout;
pub mod open;
pub(crate) mod policy;
pub mod reach;
pub mod unpack;
