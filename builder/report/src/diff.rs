//! What two images differ in: files, layers, settings, history, packages. Unaware of where they come from and of how it is shown.

pub mod config;
pub mod files;
pub mod history;
pub mod layers;

pub use files::{Change, ChangeKind, FileChanges, Side, Totals, files};
