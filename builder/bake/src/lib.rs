//! Bake files and what they ask to be built: targets, each with what a build of it needs to know.
//!
//! Data flows one way: files are read ([`read`]: HCL or JSON to blocks and expressions, which are evaluated; compose files to services), targets that
//! are asked for are resolved ([`Definition::plan`]: groups, `inherits`, `--set`), and a [`Plan`] is printed or built by somebody else. This crate
//! reads no files, no environment and no clock: it is given [`Source`]s and a [`Host`].
#![forbid(unsafe_code)]

mod compose;
mod definition;
mod error;
mod evaluate;
mod files;
mod function;
mod hcl;
mod path;
mod target;
mod value;

pub use definition::base::Base;
pub use definition::overrides::Overrides;
pub use definition::plan::{Group, Plan, is_elsewhere};
pub use definition::variables::Variable;
pub use definition::{Definition, Options};
pub use error::{Error, Finding, Place};
pub use files::read;
pub use target::entry::Entry;
pub use target::{Given, Target};

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// What messages call it. Its end says what it is: `.json`, `.hcl`, `.yaml` and `.yml` are known.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What definitions ask of the machine.
pub trait Host {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file that another one names: `extends`, `include`, `.env`.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;
    /// The home of the user.
    fn home(&self) -> Option<String>;
    /// Seconds since 1970.
    fn seconds(&self) -> i64;
    /// Bytes that nobody can guess.
    fn random(&self) -> [u8; 16];
}

#[cfg(test)]
mod tests;
