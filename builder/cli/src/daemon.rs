//! Which daemon of another engine is meant, as that engine's own client finds it. Unaware of what is asked of it.
//!
//! docker's: `--context`, `-H`, `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext` of config.json, the socket in /var/run. podman's:
//! `CONTAINER_HOST`, the user's socket, root's.

use crate::environment::variable;
use crate::failure::{Failure, Kind};
use crate::network::docker_config;
use kiln_oci::Digest;
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;

/// What docker's flags before the command say.
static CHOSEN: OnceLock<Chosen> = OnceLock::new();

#[derive(Debug, Clone, Default)]
struct Chosen {
    context: Option<String>,
    host: Option<String>,
    has_tls: bool,
}

/// Whose daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Docker,
    Podman,
}

/// Takes what the flags before the command say.
pub fn choose(context: Option<&String>, host: Option<&String>, has_tls: bool) {
    // there is one command line
    let _ = CHOSEN.set(Chosen {
        context: context.cloned(),
        host: host.cloned(),
        has_tls,
    });
}

/// Where an engine's daemon listens.
///
/// # Errors
/// There is no context of the name that is chosen.
pub fn address(engine: Engine) -> Result<String, Failure> {
    match engine {
        Engine::Docker => docker(),
        Engine::Podman => Ok(podman()),
    }
}

/// Where containerd listens and in which namespace the image is to be, as its own programs take it.
pub fn containerd() -> Vec<(&'static str, String)> {
    let address = variable("CONTAINERD_ADDRESS");
    let address = address.unwrap_or_else(|| "/run/containerd/containerd.sock".to_owned());
    let namespace = variable("CONTAINERD_NAMESPACE");
    let namespace = namespace.map(|namespace| ("namespace", namespace));
    [("containerd", address)]
        .into_iter()
        .chain(namespace)
        .collect()
}

fn docker() -> Result<String, Failure> {
    let chosen = CHOSEN.get().cloned().unwrap_or_default();
    let asks = |name| variable(name).is_some_and(|value| !value.is_empty());
    let has_tls = chosen.has_tls || asks("DOCKER_TLS_VERIFY") || asks("DOCKER_TLS");
    let host = || chosen.host.or_else(|| variable("DOCKER_HOST"));
    let socket = || "unix:///var/run/docker.sock".to_owned();
    let context = match (chosen.context, host()) {
        (Some(context), _) => Some(context),
        (None, Some(host)) => return Ok(over(host, has_tls)),
        (None, None) => variable("DOCKER_CONTEXT").or_else(current_context),
    };
    match context.as_deref() {
        None | Some("default") => {
            let host = variable("DOCKER_HOST").unwrap_or_else(socket);
            Ok(over(host, has_tls))
        }
        Some(name) => of_context(name),
    }
}

/// The address of a daemon that wants TLS says so: it is another kind of daemon.
fn over(host: String, has_tls: bool) -> String {
    match host.strip_prefix("tcp://") {
        Some(rest) if has_tls => format!("https://{rest}"),
        _ => host,
    }
}

/// The context that docker is told to use, if it is another than the default one.
pub fn context() -> Option<String> {
    let chosen = CHOSEN.get().and_then(|chosen| chosen.context.clone());
    chosen
        .or_else(|| variable("DOCKER_CONTEXT"))
        .or_else(current_context)
}

fn podman() -> String {
    let of_user = || {
        let socket = Path::new(&variable("XDG_RUNTIME_DIR")?).join("podman/podman.sock");
        socket
            .exists()
            .then(|| format!("unix://{}", socket.display()))
    };
    let of_root = || "unix:///run/podman/podman.sock".to_owned();
    variable("CONTAINER_HOST")
        .or_else(of_user)
        .unwrap_or_else(of_root)
}

fn current_context() -> Option<String> {
    let name = json(&docker_config()?)?
        .get("currentContext")?
        .as_str()?
        .to_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// The endpoint of a context: its files lie under the digest of its name.
fn of_context(name: &str) -> Result<String, Failure> {
    let endpoint = || {
        let contexts = docker_config()?.parent()?.join("contexts");
        let own = Digest::of(name.as_bytes()).hex();
        let file = contexts.join("meta").join(&own).join("meta.json");
        let host = json(&file)?
            .pointer("/Endpoints/docker/Host")?
            .as_str()?
            .to_owned();
        let keys = contexts.join("tls").join(&own).join("docker");
        Some(over(host, keys.is_dir()))
    };
    endpoint().ok_or_else(|| {
        Failure::new(Kind::Environment, format!("docker has no context {name:?}")).hint(
            "`docker context ls` lists them; `--context default` is the daemon of this machine",
        )
    })
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
