//! Images in and out: registries and archives. Unaware of builds.

pub mod archive;
pub mod remote;
