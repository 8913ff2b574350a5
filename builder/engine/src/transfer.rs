//! Images in and out: registries and archives, and how a place outside is described. Unaware of builds.

pub mod archive;
pub mod attributes;
pub mod remote;
