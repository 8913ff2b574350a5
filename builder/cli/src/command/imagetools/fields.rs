//! What templates of `imagetools inspect` see: names, order and omissions of buildx's `tplInput` and of OCI's types in Go, whose JSON has other
//! names. Unaware of registries.

use super::malformed;
use super::whole::{Image, Whole};
use crate::failure::Failure;
use kiln_oci::config::RuntimeConfig;
use kiln_oci::registry::Fetched;
use kiln_oci::{Descriptor, History, ImageConfig, Index, Platform, media_type};
use kiln_template::{Field, Value, field, optional};
use std::collections::BTreeMap;

/// All fields: the name as it was given, the manifest or index, and what is in it. Those of several platforms are maps.
pub fn of(name: &str, found: &Fetched, whole: &Whole) -> Result<Value, Failure> {
    let image = of_each(whole, |image| Some(config(&image.config)));
    Ok(Value::record([
        field("Name", name).called("name"),
        field("Manifest", manifest(found)?).called("manifest"),
        optional("Image", image.unwrap_or(Value::Null)).called("image"),
        field("SBOM", of_each(whole, sbom).unwrap_or(none())).called(""),
        field("Provenance", of_each(whole, provenance).unwrap_or(none())).called(""),
    ]))
}

/// What there is for the only platform; a map of it where there are several.
fn of_each(whole: &Whole, value: fn(&Image) -> Option<Value>) -> Option<Value> {
    let images = &whole.0;
    let mut values = images
        .iter()
        .filter_map(|(key, image)| Some((key.clone(), value(image)?)))
        .peekable();
    values.peek()?;
    match images.len() {
        1 => values.next().map(|(_, value)| value),
        _ => Some(Value::map(values)),
    }
}

/// A struct of which nothing is set.
fn none() -> Value {
    Value::record([])
}

/// An image's descriptor, or the index.
fn manifest(found: &Fetched) -> Result<Value, Failure> {
    if !media_type::is_index(&found.media_type) {
        return Ok(descriptor(&Descriptor::of(
            found.media_type.as_str(),
            &found.bytes,
        )));
    }
    let index = Index::parse(&found.bytes).map_err(malformed)?;
    let manifests: Vec<Value> = index.manifests.iter().map(descriptor).collect();
    Ok(Value::record([
        field("SchemaVersion", u64::from(index.schema_version)).called("schemaVersion"),
        optional("MediaType", index.media_type.unwrap_or_default()).called("mediaType"),
        field("Digest", found.digest.to_string()).called("digest"),
        field("Size", found.bytes.len() as u64).called("size"),
        field("Manifests", manifests).called("manifests"),
        optional("Annotations", texts(&index.annotations)).called("annotations"),
    ]))
}

fn descriptor(descriptor: &Descriptor) -> Value {
    let platform = descriptor.platform.as_ref();
    let artifact = descriptor.artifact_type.clone().unwrap_or_default();
    Value::record([
        field("MediaType", descriptor.media_type.as_str()).called("mediaType"),
        field("Digest", descriptor.digest.to_string()).called("digest"),
        field("Size", descriptor.size).called("size"),
        optional("URLs", Value::texts(&descriptor.urls)).called("urls"),
        optional("Annotations", texts(&descriptor.annotations)).called("annotations"),
        optional("Platform", platform.map_or(Value::Null, of_platform)).called("platform"),
        optional("ArtifactType", artifact).called("artifactType"),
    ])
}

fn of_platform(of: &Platform) -> Value {
    Value::record(platform(of))
}

fn platform(of: &Platform) -> [Field; 5] {
    [
        field("Architecture", of.architecture.as_str()).called("architecture"),
        field("OS", of.os.as_str()).called("os"),
        optional("OSVersion", text(&of.os_version)).called("os.version"),
        optional("OSFeatures", Value::texts(&of.os_features)).called("os.features"),
        optional("Variant", text(&of.variant)).called("variant"),
    ]
}

fn config(config: &ImageConfig) -> Value {
    let diff_ids = config.rootfs.diff_ids.iter().map(ToString::to_string);
    let root_fs = Value::record([
        field("Type", "layers").called("type"),
        field("DiffIDs", Value::texts(&diff_ids.collect::<Vec<_>>())).called("diff_ids"),
    ]);
    let history: Vec<Value> = config.history.iter().map(step).collect();
    let mut fields = vec![
        optional("Created", text(&config.created)).called("created"),
        optional("Author", text(&config.author)).called("author"),
    ];
    fields.extend(platform(&config.platform()));
    fields.extend([
        optional("Config", runtime(&config.config)).called("config"),
        field("RootFS", root_fs).called("rootfs"),
        optional("History", history).called("history"),
    ]);
    Value::record(fields)
}

fn step(step: &History) -> Value {
    Value::record([
        optional("Created", text(&step.created)).called("created"),
        optional("CreatedBy", text(&step.created_by)).called("created_by"),
        optional("Author", text(&step.author)).called("author"),
        optional("Comment", text(&step.comment)).called("comment"),
        optional("EmptyLayer", step.empty_layer).called("empty_layer"),
    ])
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn runtime(config: &RuntimeConfig) -> Value {
    let words = |words: &Option<Vec<String>>| Value::texts(words.as_deref().unwrap_or_default());
    let set = |keys: Vec<&String>| {
        Value::map(keys.into_iter().map(|key| (key.clone(), Value::record([]))))
    };
    Value::record([
        optional("User", config.user.as_str()),
        optional("ExposedPorts", set(config.exposed_ports.keys().collect())),
        optional("Env", Value::texts(&config.env)),
        optional("Entrypoint", words(&config.entrypoint)),
        optional("Cmd", words(&config.cmd)),
        optional("Volumes", set(config.volumes.keys().collect())),
        optional("WorkingDir", config.working_dir.as_str()),
        optional("Labels", texts(&config.labels)),
        optional("StopSignal", config.stop_signal.as_str()),
        optional("ArgsEscaped", config.args_escaped),
    ])
}

fn sbom(image: &Image) -> Option<Value> {
    let (first, others) = image.sboms.split_first()?;
    let others: Vec<Value> = others.iter().map(Value::from).collect();
    Some(Value::record([
        optional("SPDX", Value::from(first)),
        optional("AdditionalSPDXs", others),
    ]))
}

fn provenance(image: &Image) -> Option<Value> {
    let made = Value::from(image.provenance.as_ref()?);
    Some(Value::record([optional("SLSA", made)]))
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    Value::map(
        map.iter()
            .map(|(key, value)| (key.clone(), value.as_str().into())),
    )
}
