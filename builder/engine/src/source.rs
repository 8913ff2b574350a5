//! Where files come from: build contexts, the host's programs, the network, images of the store.

pub mod advice;
pub mod context;
pub mod dockerfile;
pub(crate) mod epoch;
pub mod fetch;
pub mod git;
pub mod host_tools;
pub mod image;
pub mod oci_layout;
pub mod open;
pub mod reach;
pub mod unpack;
