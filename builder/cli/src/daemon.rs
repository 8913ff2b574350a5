//! Which daemon of another engine is meant, as that engine's own client finds it. Unaware of what is asked of it.
//!
//! docker's: `--context`, `-H`, `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext` of config.json, the socket in /var/run. podman's:
//! `CONTAINER_HOST`, the user's socket, root's.

use crate::environment::variable;
use crate::failure::{Failure, Kind};
use crate::network::docker_config;
use kiln_oci::Digest;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What docker's flags before the command say.
static CHOSEN: OnceLock<Chosen> = OnceLock::new();

#[derive(Debug, Clone, Default)]
struct Chosen {
    context: Option<String>,
    host: Option<String>,
}

/// Whose daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Docker,
    Podman,
}

/// Takes what the flags before the command say.
pub fn choose(context: Option<&String>, host: Option<&String>) {
    // there is one command line
    let _ = CHOSEN.set(Chosen {
        context: context.cloned(),
        host: host.cloned(),
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

fn docker() -> Result<String, Failure> {
    let chosen = CHOSEN.get().cloned().unwrap_or_default();
    let host = || chosen.host.or_else(|| variable("DOCKER_HOST"));
    let socket = || "unix:///var/run/docker.sock".to_owned();
    let context = match (chosen.context, host()) {
        (Some(context), _) => Some(context),
        (None, Some(host)) => return Ok(host),
        (None, None) => variable("DOCKER_CONTEXT").or_else(current_context),
    };
    match context.as_deref() {
        None | Some("default") => Ok(variable("DOCKER_HOST").unwrap_or_else(socket)),
        Some(name) => of_context(name),
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

/// The endpoint of a context: its file lies under the digest of its name.
fn of_context(name: &str) -> Result<String, Failure> {
    let endpoint = || {
        let folder = docker_config()?.parent()?.join("contexts/meta");
        let file: PathBuf = folder
            .join(Digest::of(name.as_bytes()).hex())
            .join("meta.json");
        let host = json(&file)?
            .pointer("/Endpoints/docker/Host")?
            .as_str()?
            .to_owned();
        Some(host)
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
