//! `--ssh`: agents for `RUN --mount=type=ssh`. Whether one answers, and whether keys are accepted, shows when a step wants it.

use super::Flag;
use crate::environment;
use crate::failure::Failure;
use kiln_engine::{AgentSource, Request};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Ssh {
    /// SSH agent or keys for RUN --mount=type=ssh: default or ID, with =SOCKET or =KEY,… [default: SSH_AUTH_SOCK]
    #[arg(long, value_name = "ID[=SOCKET|KEY,…]")]
    ssh: Vec<String>,
}

impl Flag for Ssh {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for argument in &self.ssh {
            let (id, paths) = argument.split_once('=').unwrap_or((argument.as_str(), ""));
            let id = if id.is_empty() { "default" } else { id };
            let source = source(argument, paths)?;
            if request.run.ssh.insert(id.to_owned(), source).is_some() {
                return Err(Failure::usage(format!(
                    "--ssh {argument}: {id} is given twice"
                )));
            }
        }
        Ok(())
    }
}

fn source(argument: &str, paths: &str) -> Result<AgentSource, Failure> {
    let wrong = |why: String| Failure::usage(format!("--ssh {argument}: {why}"));
    let mut paths: Vec<String> = paths.split(',').map(str::to_owned).collect();
    paths.retain(|path| !path.is_empty());
    if paths.is_empty() {
        let socket = environment::variable("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
        let socket = socket.ok_or_else(|| {
            wrong("there is no agent: SSH_AUTH_SOCK is not set".to_owned())
                .hint("start one: eval $(ssh-agent) && ssh-add; or name a key: --ssh default=FILE")
        })?;
        paths.push(socket);
    }
    let (mut sockets, mut keys) = (Vec::new(), Vec::new());
    for path in &paths {
        if path.starts_with("raw=") {
            return Err(wrong("raw sockets are not supported".to_owned())
                .hint("a step may list keys and have something signed; it is kept from all else"));
        }
        let failed = |error: std::io::Error| wrong(format!("{path}: {error}"));
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        let path = std::path::absolute(Path::new(path)).map_err(failed)?;
        if kind.is_socket() {
            sockets.push(path);
        } else if kind.is_file() {
            keys.push(path);
        } else {
            let path = path.display();
            return Err(wrong(format!("{path} is neither a socket nor a file")));
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
