//! Compose files laid over each other: `include`, `extends`, `!reset` and `!override`. Unaware of what services ask for.

use super::Surroundings;
use super::fields::{self, normalized};
use super::interpolate::interpolated;
use super::yaml::{self, Kind, Mark, Node};
use crate::error::{Error, Finding, Place, Result};
use crate::path;
use std::collections::BTreeMap;

/// Files that include each other, and services that extend each other.
const DEEPEST: usize = 20;

/// Services and secrets, by their names.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub services: BTreeMap<String, Node>,
    pub secrets: BTreeMap<String, Node>,
}

impl Model {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// It is wrong, or names a file that cannot be read.
    pub fn read(
        at: usize,
        text: &str,
        surroundings: &Surroundings<'_>,
        warnings: &mut Vec<Finding>,
    ) -> Result<Model> {
        read(at, text, surroundings, warnings, 0)
    }

    fn of(document: &Node) -> Result<Model> {
        if document.is_null() {
            return Ok(Model::default());
        }
        if !matches!(document.kind, Kind::Map(_)) {
            return Err(Error::at(document.place, "a compose file is a map"));
        }
        let named = |name: &str| {
            let fields = document.get(name).map(Node::fields).unwrap_or_default();
            fields.iter().cloned()
        };
        let services = named("services").map(|(name, service)| Ok((name, normalized(service)?)));
        Ok(Model {
            services: services.collect::<Result<_>>()?,
            secrets: named("secrets").collect(),
        })
    }

    /// This with another one over it.
    ///
    /// # Errors
    /// Never for what was read.
    pub fn under(mut self, over: Model) -> Result<Model> {
        for (of, more) in [
            (&mut self.services, over.services),
            (&mut self.secrets, over.secrets),
        ] {
            for (name, node) in more {
                let merged = match of.remove(&name) {
                    Some(base) => merged(base, node),
                    None => Some(node),
                };
                of.extend(merged.map(|node| (name, node)));
            }
        }
        Ok(self)
    }

    /// The paths of a file that is in another folder, seen from here.
    fn within(mut self, folder: &str) -> Model {
        self.services
            .values_mut()
            .for_each(|service| fields::rebase(service, folder));
        self.secrets
            .values_mut()
            .for_each(|secret| fields::rebase_secret(secret, folder));
        self
    }

    /// Lays services over those that they extend.
    ///
    /// # Errors
    /// There is no such service, or services extend each other.
    pub fn extend_services(
        &mut self,
        surroundings: &Surroundings<'_>,
        warnings: &mut Vec<Finding>,
    ) -> Result<()> {
        let all: Vec<String> = self.services.keys().cloned().collect();
        for name in all {
            if let Some(service) = self.extended(&name, surroundings, warnings, 0)? {
                self.services.insert(name, service);
            }
        }
        Ok(())
    }

    fn extended(
        &self,
        name: &str,
        surroundings: &Surroundings<'_>,
        warnings: &mut Vec<Finding>,
        depth: usize,
    ) -> Result<Option<Node>> {
        let Some(own) = self.services.get(name) else {
            return Ok(None);
        };
        let Some(extends) = own.get("extends") else {
            return Ok(Some(own.clone()));
        };
        if depth > DEEPEST {
            return Err(Error::at(extends.place, "services extend each other"));
        }
        let (service, file) = named(extends)?;
        let next = depth + 1;
        let other = file.map(|file| of_file(&file, extends, surroundings, warnings, next));
        let other = other.transpose()?;
        let within = other.as_ref().unwrap_or(self);
        let base = within.extended(&service, surroundings, warnings, next)?;
        let missing = || Error::at(extends.place, format!("there is no service {service:?}"));
        Ok(merged(base.ok_or_else(missing)?, own.clone()))
    }
}

/// The service that is extended, and its file if it is in another one.
fn named(extends: &Node) -> Result<(String, Option<String>)> {
    if let Kind::Scalar(name, _) = &extends.kind {
        return Ok((name.clone(), None));
    }
    let text = |name: &str| extends.get(name).map(fields::text).transpose();
    Ok((text("service")?.unwrap_or_default(), text("file")?))
}

fn read(
    at: usize,
    text: &str,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<Finding>,
    depth: usize,
) -> Result<Model> {
    let mut model = Model::default();
    for document in yaml::documents(at, text)? {
        let document = filled(document, surroundings, warnings)?;
        for included in fields::includes(&document)? {
            let other = of_file(&included, &document, surroundings, warnings, depth + 1)?;
            model = model.under(other)?;
        }
        model = model.under(Model::of(&document)?)?;
    }
    Ok(model)
}

/// Another file, named at a node.
fn of_file(
    file: &str,
    named: &Node,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<Finding>,
    depth: usize,
) -> Result<Model> {
    let wrong = |why: String| Error::at(named.place, format!("{file}: {why}"));
    if depth > DEEPEST {
        return Err(wrong("files name each other".to_owned()));
    }
    let text = surroundings.host.read(file).map_err(wrong)?;
    // its places mean nothing in the file that names it
    let inner = read(usize::MAX, &text, surroundings, warnings, depth);
    let inner = inner.map_err(|error| {
        Error::new(error.to_string())
            .within(file)
            .or_at(named.place)
    })?;
    let folder = file.rfind('/').map_or("", |end| &file[..end]);
    Ok(inner.within(folder))
}

/// A document with the values of variables.
fn filled(
    mut node: Node,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<Finding>,
) -> Result<Node> {
    match &mut node.kind {
        Kind::Scalar(text, plain) => {
            let made = filled_text(text, &node.place, surroundings, warnings)?;
            // what a variable has is a text, whatever it looks like
            *plain &= made == *text;
            *text = made;
        }
        Kind::List(items) => {
            for item in items {
                *item = filled(item.clone(), surroundings, warnings)?;
            }
        }
        Kind::Map(fields) => {
            for (_, value) in fields {
                *value = filled(value.clone(), surroundings, warnings)?;
            }
        }
    }
    Ok(node)
}

fn filled_text(
    text: &str,
    place: &Place,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<Finding>,
) -> Result<String> {
    let lookup = |name: &str| surroundings.variable(name);
    let mut unset = |name: &str| warn(name, place, warnings);
    interpolated(text, &lookup, &mut unset).map_err(|why| Error::at(*place, why))
}

/// Tells once of a variable that has no value.
fn warn(name: &str, place: &Place, warnings: &mut Vec<Finding>) {
    let message = format!("the variable {name} is not set: it is empty");
    if !warnings.iter().any(|known| known.message == message) {
        warnings.push(Finding {
            message,
            place: Some(*place),
            help: None,
        });
    }
}

/// One value over another: maps by key, lists one after the other; nothing where it is reset.
fn merged(base: Node, over: Node) -> Option<Node> {
    match (over.mark, base.kind, over.kind) {
        (Mark::Reset, ..) => None,
        (Mark::None, Kind::Map(mut fields), Kind::Map(more)) => {
            if more.iter().any(|(name, _)| name == "dockerfile_inline") {
                fields.retain(|(name, _)| name != "dockerfile");
            }
            for (name, value) in more {
                let at = fields.iter().position(|(known, _)| *known == name);
                let base = at.map(|at| fields.remove(at).1);
                let both =
                    base.map_or_else(|| alone(value.clone()), |base| merged(base, value.clone()));
                fields.extend(both.map(|value| (name, value)));
            }
            Some(Node::new(Kind::Map(fields), over.place))
        }
        (Mark::None, Kind::List(mut items), Kind::List(more)) => {
            items.extend(more);
            Some(Node::new(Kind::List(items), over.place))
        }
        (_, _, kind) => Some(Node::new(kind, over.place)),
    }
}

fn alone(value: Node) -> Option<Node> {
    (value.mark != Mark::Reset).then_some(value)
}

/// A path that another folder's file says, seen from here.
pub fn joined(folder: &str, path: &str) -> String {
    match folder.is_empty() || path.starts_with('/') {
        true => path.to_owned(),
        false => path::clean(&format!("{folder}/{path}")),
    }
}
