//! What this machine gives to a build: agents, emulators, cgroups, a place for changes. Unaware of Dockerfiles.

pub mod agent;
pub mod changes;
pub mod clock;
pub mod confine;
pub mod emulation;
pub mod isolation;
pub mod temporary;
