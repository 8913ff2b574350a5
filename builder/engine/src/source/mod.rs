//! Where files come from: build contexts, the host's programs, images of the store.

pub mod advice;
pub mod context;
pub mod host_tools;
pub mod reach;
