//! Services become targets. Unaware of files.

use super::Surroundings;
use super::fields::{pairs, text, texts, truth};
use super::model::Model;
use super::size::size;
use super::yaml::{Kind, Node};
use crate::definition::Definition;
use crate::definition::plan::{Group, is_elsewhere};
use crate::error::{Error, Result};
use crate::path;
use crate::target::entry::{Entry, EntryKind};
use crate::target::{Given, Shape, Target, known, unique};
use crate::value::switch;
use std::collections::BTreeMap;

/// Fields of `build` whose texts are those of a target, under another name.
const TEXTS: [(&str, &str); 5] = [
    ("context", "context"),
    ("dockerfile", "dockerfile"),
    ("dockerfile_inline", "dockerfile-inline"),
    ("target", "target"),
    ("network", "network"),
];
const LISTS: [(&str, &str); 3] = [
    ("tags", "tags"),
    ("platforms", "platforms"),
    ("no_cache_filter", "no-cache-filter"),
];
/// All that a `build` may have besides.
const OTHERS: [&str; 17] = [
    "additional_contexts",
    "args",
    "cache_from",
    "cache_to",
    "entitlements",
    "extra_hosts",
    "isolation",
    "labels",
    "no_cache",
    "privileged",
    "provenance",
    "pull",
    "sbom",
    "secrets",
    "shm_size",
    "ssh",
    "ulimits",
];

/// Adds a target for each service with a `build`, and the group of all.
///
/// # Errors
/// One asks for what there is not.
pub fn add(
    model: &Model,
    surroundings: &Surroundings<'_>,
    definition: &mut Definition,
) -> Result<()> {
    let mut names = Vec::new();
    for (name, service) in &model.services {
        let Some(build) = service.get("build") else {
            continue;
        };
        let name = name.replace('.', "_");
        let made = target(service, build, model, surroundings)?;
        if let Some(contexts) = build.get("additional_contexts") {
            definition.add_place(&name, "contexts", contexts.place);
        }
        definition.add_target(name.clone(), made);
        names.push(name);
    }
    definition.add_group(Group {
        name: "default".to_owned(),
        description: String::new(),
        targets: names,
    });
    Ok(())
}

fn target(
    service: &Node,
    build: &Node,
    model: &Model,
    surroundings: &Surroundings<'_>,
) -> Result<Target> {
    check(build)?;
    let mut target = Target::default();
    add_simple(build, &mut target)?;
    add_arguments(service, build, surroundings, &mut target)?;
    add_maps(build, &mut target)?;
    add_entries(build, model, &mut target)?;
    add_limits(build, &mut target)?;
    if let Some(extension) = build.get("x-bake") {
        extended(extension, &mut target)?;
    }
    let has_tags = !target.list("tags").is_empty();
    if let Some(image) = service.get("image").filter(|_| !has_tags) {
        target.set("tags", Given::List(vec![text(image)?]));
    }
    Ok(target)
}

fn add_simple(build: &Node, target: &mut Target) -> Result<()> {
    for (field, of_target) in TEXTS {
        if let Some(node) = build.get(field) {
            target.set(of_target, Given::Text(text(node)?));
        }
    }
    for (field, of_target) in LISTS {
        if let Some(node) = build.get(field) {
            target.set(of_target, Given::List(texts(node)?));
        }
    }
    for (field, of_target) in [("no_cache", "no-cache"), ("pull", "pull")] {
        if build.get(field).map(truth).transpose()? == Some(true) {
            target.set(of_target, Given::Switch(true));
        }
    }
    Ok(())
}

/// What compose's own schema refuses is refused.
fn check(build: &Node) -> Result<()> {
    let texts = TEXTS.iter().chain(&LISTS).map(|(name, _)| *name);
    let known: Vec<&str> = texts.chain(OTHERS).collect();
    for (name, node) in build.fields() {
        if !name.starts_with("x-") && !known.contains(&name.as_str()) {
            let help = kiln_parser::suggest::help(name, known.iter().copied());
            let what = format!("a build has no field {name:?}");
            return Err(Error::at(node.place, what).help(help));
        }
    }
    if let Some(privileged) = build
        .get("privileged")
        .filter(|node| truth(node).unwrap_or(true))
    {
        return Err(Error::at(privileged.place, "kiln has no privileged builds"));
    }
    match (build.get("dockerfile"), build.get("dockerfile_inline")) {
        (Some(_), Some(inline)) => {
            let what = "there is a dockerfile too: one of them counts";
            Err(Error::at(inline.place, what))
        }
        _ => Ok(()),
    }
}

/// The fields of a map; none where there is no map.
fn of(node: Option<&Node>) -> Result<BTreeMap<String, Option<String>>> {
    node.map(pairs).transpose().map(Option::unwrap_or_default)
}

fn add_arguments(
    service: &Node,
    build: &Node,
    surroundings: &Surroundings<'_>,
    target: &mut Target,
) -> Result<()> {
    let environment = of(service.get("environment"))?;
    for (name, value) in of(build.get("args"))? {
        // one without a value has that of the service, else of the environment
        let of_service = || environment.get(&name).cloned().flatten();
        let value = value.or_else(of_service);
        if let Some(value) = value.or_else(|| surroundings.variable(&name)) {
            target.put("args", &name, &value);
        }
    }
    Ok(())
}

fn add_maps(build: &Node, target: &mut Target) -> Result<()> {
    for (field, of_target) in [("labels", "labels"), ("extra_hosts", "extra-hosts")] {
        for (name, value) in of(build.get(field))? {
            target.put(of_target, &name, &value.unwrap_or_default());
        }
    }
    for (name, value) in of(build.get("additional_contexts"))? {
        target.put("contexts", &name, &context(&value.unwrap_or_default()));
    }
    Ok(())
}

/// Another service as a context is another target; a folder is named by its shortest path.
fn context(value: &str) -> String {
    let service = value.strip_prefix("service:");
    match service.or_else(|| value.strip_prefix("target:")) {
        Some(name) => format!("target:{}", name.replace('.', "_")),
        None if is_elsewhere(value) => value.to_owned(),
        None => path::clean(value),
    }
}

fn add_entries(build: &Node, model: &Model, target: &mut Target) -> Result<()> {
    for (field, of_target) in [("cache_from", "cache-from"), ("cache_to", "cache-to")] {
        if let Some(node) = build.get(field) {
            add_read(target, of_target, EntryKind::Cache, texts(node)?, node)?;
        }
    }
    let secrets = build.get("secrets").map(|node| &node.kind);
    if let Some(Kind::List(items)) = secrets {
        let secrets = items.iter().map(|item| secret(item, model));
        target.set("secret", Given::Entries(secrets.collect::<Result<_>>()?));
    }
    if let Some(node) = build.get("ssh") {
        add_read(target, "ssh", EntryKind::Ssh, agents(node)?, node)?;
    }
    for kind in ["sbom", "provenance"] {
        if let Some(node) = build.get(kind) {
            let wish = attestation(kind, &text(node)?);
            add_read(target, "attest", EntryKind::Attest, vec![wish], node)?;
        }
    }
    Ok(())
}

fn attestation(kind: &str, wish: &str) -> String {
    match switch(wish) {
        Some(is_on) => format!("type={kind},disabled={}", !is_on),
        None => format!("type={kind},{wish}"),
    }
}

fn agents(node: &Node) -> Result<Vec<String>> {
    match node.kind {
        Kind::Map(_) => Ok(pairs(node)?.into_iter().map(agent).collect()),
        _ => texts(node),
    }
}

fn agent((id, path): (String, Option<String>)) -> String {
    path.map_or(id.clone(), |path| format!("{id}={path}"))
}

/// Adds entries that are written as texts.
fn add_read(
    target: &mut Target,
    field: &'static str,
    kind: EntryKind,
    texts: Vec<String>,
    node: &Node,
) -> Result<()> {
    let mut all = target.entries(field).to_owned();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        all.extend(kind.text(text).map_err(|why| Error::at(node.place, why))?);
    }
    if kind == EntryKind::Ssh {
        all.sort_by(|a, b| (a.get("id"), &a.paths).cmp(&(b.get("id"), &b.paths)));
    }
    target.set(field, Given::Entries(kind.unique(all)));
    Ok(())
}

fn secret(item: &Node, model: &Model) -> Result<Entry> {
    let source = text(item.get("source").unwrap_or(item))?;
    let mut entry = Entry::of([("id", &source)]);
    let Some(defined) = model.secrets.get(&source) else {
        return Err(Error::at(
            item.place,
            format!("there is no secret {source:?}"),
        ));
    };
    if defined.get("external").map(truth).transpose()? == Some(true) {
        return Err(Error::at(
            item.place,
            format!("unsupported external secret {source}"),
        ));
    }
    for (field, key) in [("file", "src"), ("environment", "env")] {
        if let Some(node) = defined.get(field) {
            entry.attributes.insert(key.to_owned(), text(node)?);
        }
    }
    Ok(entry)
}

fn add_limits(build: &Node, target: &mut Target) -> Result<()> {
    if let Some(node) = build.get("shm_size") {
        target.set("shm-size", Given::Text(size(&text(node)?)));
    }
    let Some(limits) = build.get("ulimits") else {
        return Ok(());
    };
    let mut all = Vec::new();
    for (name, node) in limits.fields() {
        let limit = |field: &str| node.get(field).map(text).transpose();
        let both = match &node.kind {
            Kind::Scalar(..) => (text(node)?, text(node)?),
            _ => (
                limit("soft")?.unwrap_or_default(),
                limit("hard")?.unwrap_or_default(),
            ),
        };
        all.push(format!("{name}={}:{}", both.0, both.1));
    }
    target.set("ulimits", Given::List(all));
    Ok(())
}

/// `x-bake`: fields of targets that compose lacks; a text is split at blanks.
fn extended(extension: &Node, target: &mut Target) -> Result<()> {
    let fields = extension.fields().iter();
    for (name, node) in fields.filter(|(_, node)| !node.is_null()) {
        let Some(field) = known(name) else { continue };
        match (field.name, field.shape) {
            ("contexts", _) => add_contexts(pairs(node)?, target),
            (_, Shape::Switch) => target.set(field.name, Given::Switch(truth(node)?)),
            (_, Shape::Entries(kind, _)) => add_read(target, field.name, kind, words(node)?, node)?,
            (_, Shape::List | Shape::Added) => {
                let words = words(node)?;
                target.change_list(field.name, |items| {
                    items.extend(words);
                    *items = unique(std::mem::take(items));
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn words(node: &Node) -> Result<Vec<String>> {
    match &node.kind {
        Kind::Scalar(text, _) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        _ => texts(node),
    }
}

/// Contexts that are there already stay.
fn add_contexts(contexts: BTreeMap<String, Option<String>>, target: &mut Target) {
    for (name, value) in contexts {
        if !target.map("contexts").any(|(known, _)| *known == name) {
            target.put("contexts", &name, &context(&value.unwrap_or_default()));
        }
    }
}
