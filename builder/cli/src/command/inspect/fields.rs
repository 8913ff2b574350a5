//! An image as `docker inspect` shows it: names, order and omissions of moby's `api/types.ImageInspect` and
//! `container.Config`. `Digest` is kiln's own.

use crate::failure::{Failure, Kind};
use kiln_cache::{Store, StoredImage};
use kiln_engine::rfc3339;
use kiln_oci::ImageConfig;
use kiln_oci::config::{Healthcheck, RuntimeConfig};
use kiln_template::{Field, Value, field, optional};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// What Go prints for a time that is not set.
pub const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// All fields of an image.
///
/// # Errors
/// When its config is malformed.
pub fn of(store: &Store, image: &StoredImage) -> Result<Value, Failure> {
    let config = ImageConfig::parse(&image.config)
        .map_err(|error| Failure::new(Kind::Environment, error.to_string()))?;
    let layers = store.images().layer_sizes(&image.manifest_digest)?;
    let size: u64 = layers.iter().map(|layer| layer.bytes).sum();
    let driver = Value::record([field("Data", Value::map([])), field("Name", "kiln")]);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut fields = names(store, image)?;
    fields.extend(origin(&config));
    fields.extend([
        field("Config", runtime(&config.config)),
        field("Architecture", config.architecture.as_str()),
        optional("Variant", text(&config.variant)),
        field("Os", config.os.as_str()),
        optional("OsVersion", text(&config.os_version)),
        field("Size", size),
        field("VirtualSize", size),
        field("GraphDriver", driver),
        field("RootFS", root_fs(image)),
        field("Metadata", metadata(store, image)?),
        field("Digest", image.manifest_digest.to_string()),
    ]);
    Ok(Value::record(fields))
}

fn names(store: &Store, image: &StoredImage) -> Result<Vec<Field>, Failure> {
    let names = store.images().names_of(&image.manifest_digest)?;
    let tags = names.iter().map(|name| name.familiar().into());
    let mut digests: Vec<String> = Vec::new();
    for name in &names {
        // of several platforms, the digest that a registry knows them all by
        let named = store.images().find_named(&name.to_string());
        let digest = named.unwrap_or(image.manifest_digest);
        digests.push(format!("{}@{digest}", name.familiar_name()));
    }
    digests.dedup();
    let digests = digests.into_iter().map(Value::from);
    Ok(vec![
        field("Id", image.config_digest.to_string()),
        field("RepoTags", tags.collect::<Vec<Value>>()),
        field("RepoDigests", digests.collect::<Vec<Value>>()),
    ])
}

/// When it got its last name, in UTC.
fn metadata(store: &Store, image: &StoredImage) -> Result<Value, Failure> {
    let tagged = store.images().last_tagged(image)?;
    let tagged = tagged.map_or_else(|| NO_TIME.to_owned(), rfc3339);
    Ok(Value::record([field("LastTagTime", tagged)]))
}

/// How it came about. What only docker's classic builder writes is shown where it did.
fn origin(config: &ImageConfig) -> Vec<Field> {
    let known = |key: &str| {
        let value = config.rest.get(key);
        value.and_then(Json::as_str).unwrap_or_default()
    };
    let last = config.history.last();
    let last = last.and_then(|entry| entry.comment.as_deref());
    let comment = Some(known("comment")).filter(|comment| !comment.is_empty());
    let container = config.rest.get("container_config");
    let container = container.and_then(|json| RuntimeConfig::deserialize(json).ok());
    let container = container.as_ref().map_or(Value::Null, runtime);
    vec![
        field("Parent", ""),
        field("Comment", comment.or(last).unwrap_or_default()),
        field("Created", config.created.as_deref().unwrap_or(NO_TIME)),
        optional("Container", known("container")),
        optional("ContainerConfig", container),
        field("DockerVersion", known("docker_version")),
        field("Author", config.author.as_deref().unwrap_or_default()),
    ]
}

/// What a container runs. Fields that only containers have are as docker's API shows them in images.
pub fn runtime(config: &RuntimeConfig) -> Value {
    let rest = &config.rest;
    let words = |words: &Option<Vec<String>>| Value::texts(words.as_deref().unwrap_or_default());
    let labels = config.labels.iter();
    let labels = labels.map(|(key, value)| (key.clone(), value.as_str().into()));
    let health = config.healthcheck.as_ref().map_or(Value::Null, health);
    let timeout = config.stop_timeout.map_or(Value::Null, Value::Int);
    let set = |keys: Vec<&String>| {
        Value::map(keys.into_iter().map(|key| (key.clone(), Value::record([]))))
    };
    Value::record([
        text(rest, "Hostname"),
        text(rest, "Domainname"),
        field("User", config.user.as_str()),
        flag(rest, "AttachStdin"),
        flag(rest, "AttachStdout"),
        flag(rest, "AttachStderr"),
        optional("ExposedPorts", set(config.exposed_ports.keys().collect())),
        flag(rest, "Tty"),
        flag(rest, "OpenStdin"),
        flag(rest, "StdinOnce"),
        field("Env", Value::texts(&config.env)),
        field("Cmd", words(&config.cmd)),
        optional("Healthcheck", health),
        optional("ArgsEscaped", config.args_escaped),
        text(rest, "Image"),
        field("Volumes", set(config.volumes.keys().collect())),
        field("WorkingDir", config.working_dir.as_str()),
        field("Entrypoint", words(&config.entrypoint)),
        optional("NetworkDisabled", config.network_disabled),
        field("OnBuild", Value::texts(&config.on_build)),
        field("Labels", Value::map(labels)),
        optional("StopSignal", config.stop_signal.as_str()),
        optional("StopTimeout", timeout),
        optional("Shell", Value::texts(&config.shell)),
    ])
}

fn health(health: &Healthcheck) -> Value {
    Value::record([
        optional("Test", Value::texts(&health.test)),
        optional("Interval", Value::Duration(health.interval)),
        optional("Timeout", Value::Duration(health.timeout)),
        optional("StartPeriod", Value::Duration(health.start_period)),
        optional("StartInterval", Value::Duration(health.start_interval)),
        optional("Retries", Value::Int(health.retries)),
    ])
}

fn text(rest: &Map<String, Json>, name: &'static str) -> Field {
    field(
        name,
        rest.get(name).and_then(Json::as_str).unwrap_or_default(),
    )
}

fn flag(rest: &Map<String, Json>, name: &'static str) -> Field {
    field(
        name,
        rest.get(name).and_then(Json::as_bool).unwrap_or_default(),
    )
}

fn root_fs(image: &StoredImage) -> Value {
    let layers: Vec<String> = image.diff_ids.iter().map(ToString::to_string).collect();
    Value::record([
        field("Type", "layers"),
        optional("Layers", Value::texts(&layers)),
    ])
}
