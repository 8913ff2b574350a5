//! Finds the images of a docker archive from before `manifest.json` (docker 1.9 and older; moby
//! `image/spec/v1.md`, "Combined Image JSON + Filesystem Changeset Format"): a folder for each layer
//! with its own config, `<id>/json`, which names the layer below, and `<id>/layer.tar`; names stand
//! in `repositories`, when there are any. Unaware of newer archives.
//!
//! Such an image has no config of its own: it is made of the topmost layer's, as docker's migration
//! made it (moby `image/v1/imagev1.go`), with the same image ID for docker 1.8.3 and newer. That
//! needs the diff IDs of all layers: those that were not taken yet are read for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::docker::DockerImage;
use super::documents::Documents;
use super::{LoadError, REPOSITORIES_FILE};
use crate::compression::{self, Limited, most_expanded};
use crate::digest::{Digest, HashingReader};
use crate::document;

/// The most layers below one another. Docker stops at 127.
const MAX_CHAIN: usize = 1024;
/// What docker leaves out of the config that it makes.
const OF_ONE_LAYER: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/// One layer's folder.
struct Layer {
    /// Its `json`, field by field.
    fields: Map<String, Value>,
    /// The layer below.
    parent: Option<String>,
}

/// The fields that `history` is made of.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    created: Option<String>,
    author: Option<String>,
    comment: Option<String>,
    container_config: Option<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Container {
    cmd: Option<Vec<String>>,
}

/// The images: those with a name, and all others that nothing stands on. None when the archive is
/// of another kind.
pub(super) fn entries(documents: &mut Documents<'_>) -> Result<Vec<DockerImage>, LoadError> {
    let layers = layers(documents)?;
    let mut tops = named(documents)?;
    let parents: BTreeSet<&String> = layers.values().flat_map(|layer| &layer.parent).collect();
    for id in layers.keys().filter(|id| !parents.contains(id)) {
        if !tops.iter().any(|(top, _)| top == id) {
            tops.push((id.clone(), Vec::new()));
        }
    }
    tops.into_iter()
        .map(|(top, tags)| image(&top, tags, &layers, documents))
        .collect()
}

/// All folders that hold a layer.
fn layers(documents: &mut Documents<'_>) -> Result<BTreeMap<String, Layer>, LoadError> {
    let files = documents.members.names();
    let ids: Vec<String> = files
        .filter_map(|name| name.strip_suffix("/json"))
        .filter(|id| !id.contains('/'))
        .map(Into::into)
        .collect();
    let mut layers = BTreeMap::new();
    for id in ids {
        if documents.members.find(&layer_file(&id))?.is_some() {
            let name = format!("{id}/json");
            let fields: Map<String, Value> = parsed(documents, &name)?;
            let parent = fields.get("parent").and_then(Value::as_str);
            let parent = parent.filter(|id| !id.is_empty()).map(Into::into);
            layers.insert(id, Layer { fields, parent });
        }
    }
    Ok(layers)
}

fn layer_file(id: &str) -> String {
    format!("{id}/layer.tar")
}

fn parsed<T: serde::de::DeserializeOwned>(
    documents: &mut Documents<'_>,
    name: &str,
) -> Result<T, LoadError> {
    let bytes = documents.read(name, "image config")?;
    document::parse(&bytes, "image config").map_err(LoadError::document(name))
}

/// The layers that `repositories` names, each once, with all their names.
fn named(documents: &mut Documents<'_>) -> Result<Vec<(String, Vec<String>)>, LoadError> {
    if documents.members.find(REPOSITORIES_FILE)?.is_none() {
        return Ok(Vec::new());
    }
    let names: BTreeMap<String, BTreeMap<String, String>> = parsed(documents, REPOSITORIES_FILE)?;
    let mut tops: Vec<(String, Vec<String>)> = Vec::new();
    for (repository, tags) in names {
        for (tag, id) in tags {
            let name = format!("{repository}:{tag}");
            match tops.iter_mut().find(|(top, _)| *top == id) {
                Some((_, names)) => names.push(name),
                None => tops.push((id, vec![name])),
            }
        }
    }
    Ok(tops)
}

fn image(
    top: &str,
    tags: Vec<String>,
    layers: &BTreeMap<String, Layer>,
    documents: &mut Documents<'_>,
) -> Result<DockerImage, LoadError> {
    let chain = chain(top, layers)?;
    let (mut diff_ids, mut history) = (Vec::new(), Vec::new());
    for (id, layer) in &chain {
        diff_ids.push(diff_id(&layer_file(id), documents)?);
        history.push(step(id, layer)?);
    }
    let top = chain.last().map(|(_, layer)| layer.fields.clone());
    let mut config: BTreeMap<_, _> = top.into_iter().flatten().collect();
    config.retain(|field, _| !OF_ONE_LAYER.contains(&field.as_str()));
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    config.insert("rootfs".into(), rootfs);
    config.insert("history".into(), history.into());
    let config = as_go_writes(&document::write(&config));
    Ok(DockerImage {
        tags,
        config_digest: Digest::of(&config),
        config,
        layers: chain.iter().map(|(id, _)| layer_file(id)).collect(),
    })
}

/// The layers of an image, the lowest first.
fn chain<'l>(
    top: &str,
    layers: &'l BTreeMap<String, Layer>,
) -> Result<Vec<(&'l String, &'l Layer)>, LoadError> {
    let mut chain = Vec::new();
    let mut next = Some(top);
    while let Some(id) = next {
        let (id, layer) = layers
            .get_key_value(id)
            .ok_or_else(|| LoadError::Missing(layer_file(id)))?;
        if chain.len() >= MAX_CHAIN {
            return Err(LoadError::too_large("layers below one another", MAX_CHAIN));
        }
        chain.push((id, layer));
        next = layer.parent.as_deref();
    }
    chain.reverse();
    Ok(chain)
}

/// The layer's entry of `history`, in docker's order of fields.
fn step(id: &str, layer: &Layer) -> Result<Value, LoadError> {
    let name = format!("{id}/json");
    let bytes = document::write(&layer.fields);
    let step: Step = document::parse(&bytes, "image config").map_err(LoadError::document(name))?;
    let command = step.container_config.and_then(|container| container.cmd);
    let fields = [
        ("created", step.created),
        ("author", step.author),
        ("created_by", command.map(|words| words.join(" "))),
        ("comment", step.comment),
    ];
    let written = fields.into_iter().filter_map(|(field, value)| {
        let value = value.filter(|text| !text.is_empty())?;
        Some((field.to_owned(), value.into()))
    });
    Ok(Value::Object(written.collect()))
}

/// The digest of what the file unpacks to.
fn diff_id(name: &str, documents: &mut Documents<'_>) -> Result<Digest, LoadError> {
    let blob = documents.members.find(name)?;
    let blob = blob.ok_or_else(|| LoadError::Missing(name.into()))?;
    if let Some(received) = documents.members.received(&blob) {
        return Ok(received.diff_id);
    }
    if let Some(known) = documents.diff_ids.get(blob.name()) {
        return Ok(*known);
    }
    let damaged = |source| LoadError::Damaged {
        name: name.into(),
        source,
    };
    let (_, decoded) = compression::auto(documents.members.open(&blob)?).map_err(damaged)?;
    let limit = most_expanded(blob.size);
    let mut reader = HashingReader::new(Limited::new(decoded, limit));
    io::copy(&mut reader.by_ref(), &mut io::sink()).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => LoadError::Expands,
        _ => damaged(error),
    })?;
    let (_, diff_id, _) = reader.finish();
    documents.diff_ids.insert(blob.name().into(), diff_id);
    Ok(diff_id)
}

/// Go writes these characters escaped, and the bytes make the image ID. In JSON they stand in
/// strings only.
fn as_go_writes(json: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(json).into_owned();
    for character in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
        let escaped = format!("\\u{:04x}", u32::from(character));
        text = text.replace(character, &escaped);
    }
    text.into_bytes()
}
