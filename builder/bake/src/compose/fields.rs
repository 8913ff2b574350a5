//! What values of compose files are: texts and numbers by compose's own rules, short forms written out, paths. Unaware of targets.

use super::model::joined;
use super::yaml::{Kind, Mark, Node, is_truth, number};
use crate::definition::plan::is_elsewhere;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Fields that are lists of `NAME=value` in short.
const PAIRS: [&str; 4] = ["args", "labels", "additional_contexts", "extra_hosts"];

/// A text; numbers and truths as compose writes them.
///
/// # Errors
/// It is a list or a map.
pub fn text(node: &Node) -> Result<String> {
    match &node.kind {
        Kind::Scalar(text, true) if is_truth(text) => Ok(text.to_lowercase()),
        Kind::Scalar(text, true) => Ok(number(text).unwrap_or_else(|| text.clone())),
        Kind::Scalar(text, false) => Ok(text.clone()),
        _ => Err(Error::at(node.place, "a text is required here")),
    }
}

/// A truth.
///
/// # Errors
/// The node says neither true nor false.
pub fn truth(node: &Node) -> Result<bool> {
    let text = text(node)?;
    let known = crate::value::switch(&text);
    known.ok_or_else(|| Error::at(node.place, format!("{text:?} is neither true nor false")))
}

/// A list of texts; one text is a list of it.
///
/// # Errors
/// It is a map, or has some.
pub fn texts(node: &Node) -> Result<Vec<String>> {
    match &node.kind {
        Kind::List(items) => items.iter().map(text).collect(),
        Kind::Scalar(..) => Ok(vec![text(node)?]),
        Kind::Map(_) => Err(Error::at(node.place, "a list is required here")),
    }
}

/// Texts by name; none for a name without a value.
///
/// # Errors
/// It is no map.
pub fn pairs(node: &Node) -> Result<BTreeMap<String, Option<String>>> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Err(Error::at(node.place, "a map is required here"));
    }
    let pair = |(name, value): &(String, Node)| {
        let value = match &value.kind {
            _ if value.is_null() => None,
            Kind::List(_) => Some(texts(value)?.join(",")),
            _ => Some(text(value)?),
        };
        Ok((name.clone(), value))
    };
    node.fields().iter().map(pair).collect()
}

/// A service with its short forms written out, so that files can be laid over each other.
///
/// # Errors
/// It is no service.
pub fn normalized(service: Node) -> Result<Node> {
    let place = service.place;
    let fields = match service.kind {
        _ if service.mark == Mark::Reset => return Ok(service),
        Kind::Map(fields) => fields,
        Kind::Scalar(..) if service.is_null() => Vec::new(),
        _ => return Err(Error::at(place, "a service is a map")),
    };
    let fields = fields.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "build" => build(value)?,
            "environment" => mapped(value, &['='])?,
            _ => value,
        };
        Ok((name, value))
    });
    let kind = Kind::Map(fields.collect::<Result<_>>()?);
    Ok(Node {
        kind,
        ..Node::new(Kind::Map(Vec::new()), place)
    })
}

/// A text is the context.
fn build(value: Node) -> Result<Node> {
    let (place, mark) = (value.place, value.mark);
    let fields = match value.kind {
        Kind::Scalar(text, _) => vec![("context".to_owned(), Node::text(&text, place))],
        Kind::Map(fields) => fields,
        Kind::List(_) => return Err(Error::at(place, "build is a text or a map")),
    };
    let fields = fields.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "extra_hosts" => mapped(value, &['=', ':'])?,
            name if PAIRS.contains(&name) => mapped(value, &['='])?,
            _ => value,
        };
        Ok((name, value))
    });
    let kind = Kind::Map(fields.collect::<Result<_>>()?);
    Ok(Node {
        mark,
        ..Node::new(kind, place)
    })
}

/// A list of `NAME=value` as a map.
fn mapped(value: Node, separators: &[char]) -> Result<Node> {
    let Kind::List(items) = value.kind else {
        return Ok(value);
    };
    let mut fields: Vec<(String, Node)> = Vec::new();
    for item in items {
        let text = text(&item)?;
        let (name, value) = match text.split_once(separators) {
            Some((name, value)) => (name, Node::text(value, item.place)),
            None => (
                text.as_str(),
                Node::new(Kind::Scalar(String::new(), true), item.place),
            ),
        };
        fields.retain(|(known, _)| known != name);
        fields.push((name.to_owned(), value));
    }
    Ok(Node {
        mark: value.mark,
        ..Node::new(Kind::Map(fields), value.place)
    })
}

/// Files that another one includes: the first, those over it, where paths in them count from, and what says what variables are.
pub struct Include {
    pub files: Vec<String>,
    pub folder: String,
    /// `.env` in the folder, if it is there, where none are named.
    pub variables: Option<Vec<String>>,
}

impl Include {
    fn read(node: &Node) -> Result<Include> {
        let listed = |name: &str| node.get(name).map(texts).transpose();
        let files = match node.get("path") {
            Some(path) => texts(path)?,
            None => texts(node)?,
        };
        let first = files.first().map_or("", String::as_str);
        let folder = node.get("project_directory").map(text).transpose()?;
        Ok(Include {
            folder: folder.unwrap_or_else(|| folder_of(first).to_owned()),
            variables: listed("env_file")?,
            files,
        })
    }
}

/// What a document includes.
///
/// # Errors
/// It is not named as files are.
pub fn includes(document: &Node) -> Result<Vec<Include>> {
    let Some(include) = document.get("include") else {
        return Ok(Vec::new());
    };
    match &include.kind {
        Kind::List(items) => items.iter().map(Include::read).collect(),
        _ => Ok(vec![Include::read(include)?]),
    }
}

/// The folder of a file, as far as its name says it.
pub fn folder_of(file: &str) -> &str {
    file.rfind('/').map_or("", |end| &file[..end])
}

/// Changes the paths of a service in another folder.
pub fn rebase(service: &mut Node, folder: &str) {
    let Kind::Map(fields) = &mut service.kind else {
        return;
    };
    let build = fields.iter_mut().find(|(name, _)| name == "build");
    let Some(Kind::Map(fields)) = build.map(|(_, build)| &mut build.kind) else {
        return;
    };
    for (name, value) in fields {
        match (name.as_str(), &mut value.kind) {
            ("context", Kind::Scalar(path, _)) => moved(path, folder),
            ("additional_contexts", Kind::Map(contexts)) => {
                for (_, context) in contexts {
                    if let Kind::Scalar(path, _) = &mut context.kind {
                        moved(path, folder);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The same of a secret's file.
pub fn rebase_secret(secret: &mut Node, folder: &str) {
    if let Kind::Map(fields) = &mut secret.kind {
        for (_, value) in fields.iter_mut().filter(|(name, _)| name == "file") {
            if let Kind::Scalar(path, _) = &mut value.kind {
                moved(path, folder);
            }
        }
    }
}

fn moved(path: &mut String, folder: &str) {
    if !is_elsewhere(path) && !path.starts_with("service:") {
        *path = joined(folder, path);
    }
}
