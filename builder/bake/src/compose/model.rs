//! Compose files laid over each other: `include`, `extends`, `!reset` and `!override`. Unaware of what services ask for.

use super::Surroundings;
use super::fields::{self, Include, normalized};
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
        let base = self.base(extends, surroundings, warnings, depth + 1)?;
        let mut whole = merged(base, own.clone());
        // it is done, and counts from a folder that may be another one later
        if let Some(Kind::Map(fields)) = whole.as_mut().map(|whole| &mut whole.kind) {
            fields.retain(|(name, _)| name != "extends");
        }
        Ok(whole)
    }

    /// The service that is extended, with what it extends itself.
    fn base(
        &self,
        extends: &Node,
        surroundings: &Surroundings<'_>,
        warnings: &mut Vec<Finding>,
        depth: usize,
    ) -> Result<Node> {
        let (service, file) = named(extends)?;
        let missing = || Error::at(extends.place, format!("there is no service {service:?}"));
        let Some(file) = file else {
            let base = self.extended(&service, surroundings, warnings, depth)?;
            return base.ok_or_else(missing);
        };
        let folder = fields::folder_of(&file);
        let inner = surroundings.within(folder);
        let other = of_file((&file, extends), surroundings, &inner, warnings, depth)?;
        let base = other.extended(&service, &inner, warnings, depth);
        let base = base.map_err(|error| elsewhere(&error, &file, extends))?;
        let mut base = base.ok_or_else(missing)?;
        fields::rebase(&mut base, folder);
        Ok(base)
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
            let other = include(&included, &document, surroundings, warnings, depth + 1)?;
            model = model.under(other)?;
        }
        model = model.under(Model::of(&document)?)?;
    }
    Ok(model)
}

/// What is included at a node, whole.
fn include(
    included: &Include,
    at: &Node,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<Finding>,
    depth: usize,
) -> Result<Model> {
    let inner = within(included, surroundings).map_err(|error| error.or_at(at.place))?;
    let mut model = Model::default();
    let first = included.files.first().map_or("", String::as_str);
    for file in &included.files {
        let other = of_file((file, at), surroundings, &inner, warnings, depth)?;
        model = model.under(other)?;
    }
    let extended = model.extend_services(&inner, warnings);
    extended.map_err(|error| elsewhere(&error, first, at))?;
    Ok(model.within(&included.folder))
}

/// What included files see: their folder, and variables of their own behind those that are known.
fn within<'a>(included: &Include, surroundings: &Surroundings<'a>) -> Result<Surroundings<'a>> {
    let mut inner = surroundings.within(&included.folder);
    let Some(files) = &included.variables else {
        inner.add_usual_variables()?;
        return Ok(inner);
    };
    for file in files.iter().filter(|file| *file != "/dev/null") {
        let text = surroundings.read(file);
        let text = text.map_err(|why| Error::new(format!("{file}: {why}")))?;
        inner.add_variables(file, &text)?;
    }
    Ok(inner)
}

/// A file that is named at a node, as it is read within its own surroundings.
fn of_file(
    (file, named): (&str, &Node),
    surroundings: &Surroundings<'_>,
    inner: &Surroundings<'_>,
    warnings: &mut Vec<Finding>,
    depth: usize,
) -> Result<Model> {
    let wrong = |why: String| Error::at(named.place, format!("{file}: {why}"));
    if depth > DEEPEST {
        return Err(wrong("files name each other".to_owned()));
    }
    let text = surroundings.read(file).map_err(wrong)?;
    let read = read(usize::MAX, &text, inner, warnings, depth);
    read.map_err(|error| elsewhere(&error, file, named))
}

/// An error in another file: its place means nothing in the one that names it.
fn elsewhere(error: &Error, file: &str, named: &Node) -> Error {
    Error::new(error.to_string())
        .within(file)
        .or_at(named.place)
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
