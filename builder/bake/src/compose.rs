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
use crate::error::{Error, Finding, Result, Worded};
use crate::{Host, Source};
use model::Model;
use std::collections::BTreeMap;

/// What compose files may ask for.
#[derive(Clone)]
pub(crate) struct Surroundings<'a> {
    pub host: &'a dyn Host,
    pub options: &'a Options,
    /// Where paths count from: empty, or a folder seen from the first file's.
    folder: String,
    /// What `.env` says, and the files that includes name.
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
            folder: String::new(),
            dotenv: BTreeMap::new(),
        };
        surroundings.add_usual_variables()?;
        Ok(surroundings)
    }

    /// The same, as files of a folder see it.
    fn within(&self, folder: &str) -> Self {
        Surroundings {
            folder: model::joined(&self.folder, folder),
            ..self.clone()
        }
    }

    /// What a file says whose path counts from here.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, file: &str) -> Worded<String> {
        self.host.read(&model::joined(&self.folder, file))
    }

    /// Adds what `.env` says, if it is here.
    fn add_usual_variables(&mut self) -> Result<()> {
        match self.read(".env") {
            Ok(text) => self.add_variables(".env", &text),
            Err(_) => Ok(()),
        }
    }

    /// Adds what such a file says; what is known stays.
    fn add_variables(&mut self, name: &str, text: &str) -> Result<()> {
        let read = dotenv::read(text, |name| self.variable(name));
        let read = read.map_err(|why| Error::new(format!("{name}: {why}")))?;
        for (name, value) in read {
            self.dotenv.entry(name).or_insert(value);
        }
        Ok(())
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
