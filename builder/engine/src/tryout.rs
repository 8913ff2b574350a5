//! Images and builds are tried out: a container of an image, a shell before or after a step of a build. Each is one process that somebody
//! attends, and a container may be kept. Unaware of command lines and of terminals.

pub mod container;
mod failed;
mod image;
pub mod kept;
pub mod place;
pub mod shell;
