//! `--secret`, `--ssh`: what `RUN --mount=type=secret` and `type=ssh` see. Secrets are read before the build begins; whether an agent
//! answers, and whether keys are accepted, shows when a step wants them.

use super::Flag;
use crate::environment;
use crate::failure::{Failure, Fault};
use crate::pflag::Takes;
use kiln_engine::{AgentSource, Request, Secret};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// BuildKit's limit.
const MAX_SECRET: u64 = 500 << 10;

/// What to do without an agent.
const NO_AGENT: &str = "start one: eval $(ssh-agent) && ssh-add; or name a key: --ssh default=FILE";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME] (may be repeated)
    #[arg(long, value_name = "SECRET", add = Takes::List)]
    secret: Vec<String>,
    /// SSH agent or keys for RUN --mount=type=ssh: default or ID, optionally with =SOCKET or =KEY,… [default:
    /// SSH_AUTH_SOCK]
    #[arg(long, value_name = "ID[=SOCKET|KEY,…]", add = Takes::List)]
    ssh: Vec<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for secret in &self.secret {
            let (id, content) = secret_content(secret)?;
            request.run.secrets.insert(id, content);
        }
        for argument in &self.ssh {
            let (id, paths) = argument.split_once('=').unwrap_or((argument.as_str(), ""));
            let id = if id.is_empty() { "default" } else { id };
            let source = source(argument, paths)?;
            if request.run.ssh.insert(id.to_owned(), source).is_some() {
                return Err(Failure::usage(format!(
                    "--ssh {argument}: the ID {id} is used twice"
                )));
            }
        }
        Ok(())
    }
}

/// `id=ID[,src=FILE][,env=NAME][,type=file|env]`; without a source, the variable ID, else the file ID. With `type=env`, `src` names a
/// variable.
fn secret_content(argument: &str) -> Result<(String, Secret), Failure> {
    let wrong = |why: &str| Failure::usage(format!("--secret {argument}: {why}"));
    let (mut id, mut file, mut variable, mut is_env) = (None, None, None, false);
    for field in argument.split(',') {
        match field.split_once('=') {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("src" | "source", value)) => file = Some(value.to_owned()),
            Some(("env", value)) => variable = Some(value.to_owned()),
            Some(("type", kind @ ("file" | "env"))) => is_env = kind == "env",
            _ => return Err(wrong("expected id=ID,src=FILE or id=ID,env=NAME")),
        }
    }
    if is_env && variable.is_none() {
        variable = file.take();
    }
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| wrong("it needs id=ID"))?;
    let read = |path: &str| {
        let unread = |error| wrong(&format!("{path}: {error}")).for_fault(Fault::among(&error));
        read(path).map_err(unread)
    };
    let content = match (file, variable) {
        (None, None) => {
            environment::variable(&id).map_or_else(|| read(&id), |value| Ok(value.into()))
        }
        (Some(file), _) => read(&file),
        (None, Some(name)) => environment::variable(&name)
            .map(String::into_bytes)
            .ok_or_else(|| wrong(&format!("{name} is not set"))),
    }?;
    if content.len() as u64 > MAX_SECRET {
        return Err(wrong(&format!("it has more than {MAX_SECRET} bytes")));
    }
    Ok((id, Secret::new(content)))
}

/// A pipe is as good as a file; neither is read for ever.
fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_SECRET + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn source(argument: &str, paths: &str) -> Result<AgentSource, Failure> {
    let wrong = |why: String| Failure::usage(format!("--ssh {argument}: {why}"));
    let mut paths: Vec<String> = paths.split(',').map(str::to_owned).collect();
    paths.retain(|path| !path.is_empty());
    if paths.is_empty() {
        let socket = environment::variable("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
        let missing =
            || wrong("there is no agent: SSH_AUTH_SOCK is not set".to_owned()).hint(NO_AGENT);
        paths.push(socket.ok_or_else(missing)?);
    }
    let (mut sockets, mut keys) = (Vec::new(), Vec::new());
    for path in &paths {
        if path.starts_with("raw=") {
            return Err(wrong("raw sockets are not supported".to_owned())
                .hint("a step can only list keys and request signatures"));
        }
        let failed = |error: std::io::Error| wrong(format!("{path}: {error}"));
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        let path = std::path::absolute(Path::new(path)).map_err(failed)?;
        match (kind.is_socket(), kind.is_file()) {
            (true, _) => sockets.push(path),
            (_, true) => keys.push(path),
            _ => {
                return Err(wrong(format!(
                    "{} is neither a socket nor a file",
                    path.display()
                )));
            }
        }
    }
    one_kind(sockets, keys).ok_or_else(|| wrong("give one socket, or keys only".to_owned()))
}

fn one_kind(mut sockets: Vec<PathBuf>, keys: Vec<PathBuf>) -> Option<AgentSource> {
    match (sockets.pop(), sockets.is_empty(), keys.is_empty()) {
        (None, _, false) => Some(AgentSource::Keys(keys)),
        (Some(socket), true, true) => Some(AgentSource::Socket(socket)),
        _ => None,
    }
}
