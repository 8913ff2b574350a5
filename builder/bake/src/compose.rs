//! Compose files: what the `build` sections of their services ask to be built. Files are laid over each other, with `include` and `extends`, and
//! then each service with a `build` is a target. Unaware of bake files and of what else services are.

mod dotenv;
mod fields;
mod interpolate;
mod model;
mod service;
mod size;
mod yaml;

use crate::definition::{Definition, Options};
use crate::error::{Error, Finding, Result};
use crate::{Host, Source};
use model::Model;
use std::collections::BTreeMap;

/// What compose files may ask for.
pub(crate) struct Surroundings<'a> {
    pub host: &'a dyn Host,
    pub options: &'a Options,
    /// What `.env` says.
    dotenv: BTreeMap<String, String>,
}

impl<'a> Surroundings<'a> {
    /// With the `.env` of the current folder, if it is there.
    ///
    /// # Errors
    /// It has no form.
    fn new(host: &'a dyn Host, options: &'a Options) -> Result<Self> {
        let mut surroundings = Surroundings {
            host,
            options,
            dotenv: BTreeMap::new(),
        };
        if let Ok(text) = host.read(".env") {
            let read = dotenv::read(&text, |name| surroundings.variable(name));
            surroundings.dotenv = read.map_err(|why| Error::new(format!(".env: {why}")))?;
        }
        Ok(surroundings)
    }

    /// A variable: what is given for this command, else of the environment, else of `.env`.
    fn variable(&self, name: &str) -> Option<String> {
        let given = self.options.variables.get(name).cloned();
        let of_host = || {
            self.host
                .variable(name)
                .filter(|_| !self.options.ignores_environment)
        };
        given
            .or_else(of_host)
            .or_else(|| self.dotenv.get(name).cloned())
    }
}

/// Whether a file is a compose file: its name says so, or it is no bake file and has services.
pub(crate) fn is_compose(source: &Source) -> bool {
    let name = source.name.to_lowercase();
    let ends = |end: &str| name.ends_with(end);
    if ends(".yaml") || ends(".yml") {
        return true;
    }
    let has_services = |line: &str| line.trim_end() == "services:";
    !ends(".json") && !ends(".hcl") && source.text.lines().any(has_services)
}

/// Adds what compose files ask for: the file's place among all, and the file.
///
/// # Errors
/// One is wrong.
pub(crate) fn add(
    files: &[(usize, &Source)],
    (host, options): (&dyn Host, &Options),
    definition: &mut Definition,
) -> Result<()> {
    let surroundings = Surroundings::new(host, options)?;
    let mut warnings: Vec<Finding> = Vec::new();
    let mut model = Model::default();
    for (at, source) in files {
        let more = Model::read(*at, &source.text, &surroundings, &mut warnings)?;
        model = model.under(more)?;
    }
    model.extend_services(&surroundings, &mut warnings)?;
    service::add(&model, &surroundings, definition)?;
    definition.add_warnings(warnings);
    Ok(())
}
