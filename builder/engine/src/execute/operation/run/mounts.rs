//! `RUN --mount` and heredocs: what they let the process see. Unaware of how it is mounted.

use super::{Run, caches};
use crate::execute::copy::shown;
use crate::execute::operation::{Source, subtree_layer};
use crate::execute::process::{Mount, Mounted, Process, TEMPORARY};
use crate::execute::step::Step;
use crate::failure::{AgentError, CopyError, StepError};
use crate::host::agent::Agent;
use crate::plan::output::Stack;
use kiln_parser::graph::{HeredocFile, RunMount, SecretMount, SshMount};

/// Adds everything that the instruction mounts to a process, and the variables that come with it.
pub(super) fn add(step: &Step<'_>, run: &Run<'_>, process: &mut Process) -> Result<(), StepError> {
    let mut agents = 0..;
    for (mount, source) in run.op.mounts.iter().zip(&run.mounts) {
        match mount {
            RunMount::Bind(bind) => {
                let what = source
                    .as_ref()
                    .map(|source| part_of(step, source, &bind.source));
                let mount = |what| Mount::new(&bind.target, what, !bind.rw);
                process.mounts.extend(what.transpose()?.map(mount));
            }
            RunMount::Tmpfs { target, size } => {
                process.mounts.push(Mount::tmpfs(target, *size, TEMPORARY));
            }
            RunMount::Cache(cache) => caches::add(step, cache, source.as_ref(), process)?,
            RunMount::Secret(secret) => add_secret(run, secret, process)?,
            RunMount::Ssh(ssh) => add_agent(step, run, ssh, agents.next(), process)?,
        }
    }
    process.mounts.extend(run.op.heredocs.iter().map(script));
    Ok(())
}

fn script(heredoc: &HeredocFile) -> Mount {
    let mode = if heredoc.executable { 0o755 } else { 0o644 };
    let target = format!("/dev/pipes/{}", heredoc.name);
    Mount::file(&target, &heredoc.content, mode)
}

/// A part of a stage, an image or a context: layers, and the path in them. Never the folder itself: RUN must neither see what
/// .dockerignore hides nor a file that changes while it is used.
fn part_of(step: &Step<'_>, source: &Source, path: &str) -> Result<Mounted, StepError> {
    let Some(stack) = source.layers.clone() else {
        let (layer, path) = subtree_layer(step, &source.files, path, false)?;
        let stack = Stack::of_image(layer.as_slice());
        return Ok(Mounted::Layers { stack, path });
    };
    let resolved = source.files.resolve(path.as_bytes(), true)?;
    if resolved.found.is_none() && !resolved.path.is_empty() {
        let path = path.to_owned();
        return Err(CopyError::NotFound { path, hint: None }.into());
    }
    let path = shown(&resolved.path);
    Ok(Mounted::Layers { stack, path })
}

/// A secret as a file, a variable or both.
fn add_secret(run: &Run<'_>, secret: &SecretMount, process: &mut Process) -> Result<(), StepError> {
    let id = &secret.id;
    let variable = |value: &str| secret.env.as_ref().map(|name| format!("{name}={value}"));
    let Some(content) = run.options.secrets.get(id) else {
        if secret.required {
            return Err(StepError::MissingSecret(id.clone()));
        }
        // As in BuildKit: a variable that was promised is there, whatever it would have been without.
        process.set_env(&variable(""));
        return Ok(());
    };
    if secret.env.is_some() {
        let value = std::str::from_utf8(content).ok();
        let value = value.filter(|value| !value.contains('\0'));
        let value = value.ok_or_else(|| StepError::SecretIsNoText(id.clone()))?;
        process.set_env(&variable(value));
    }
    let what = Mounted::File {
        content: content.clone(),
        mode: secret.mode,
        owner: (secret.uid, secret.gid),
    };
    let file = |target: &String| Mount::new(target, what, true);
    process.mounts.extend(secret.target.as_ref().map(file));
    Ok(())
}

/// The socket of an agent. The command is told where the first one of the instruction is. Without an agent an optional socket is
/// silently absent, and the variable is set all the same, as in BuildKit.
fn add_agent(
    step: &Step<'_>,
    run: &Run<'_>,
    ssh: &SshMount,
    number: Option<usize>,
    process: &mut Process,
) -> Result<(), StepError> {
    let number = number.unwrap_or_default();
    let usual = || format!("/run/buildkit/ssh_agent.{number}");
    let target = ssh.target.clone().unwrap_or_else(usual);
    if number == 0 {
        process.set_env([&format!("SSH_AUTH_SOCK={target}")]);
    }
    let agent = find_agent(step, run, &ssh.id)?;
    if agent.is_none() && ssh.required {
        return Err(AgentError::Missing(ssh.id.clone()).into());
    }
    let what = agent.map(|agent| Mounted::Agent {
        agent,
        mode: ssh.mode,
        owner: (ssh.uid, ssh.gid),
    });
    let socket = what.map(|what| Mount::new(&target, what, true));
    process.mounts.extend(socket);
    Ok(())
}

fn find_agent(step: &Step<'_>, run: &Run<'_>, id: &str) -> Result<Option<Agent>, AgentError> {
    let session = step.session;
    let folder = || session.store.scratch().dir("ssh");
    let path = &session.host.search_path;
    let source = run.options.ssh.get(id);
    let agent = source.map(|source| session.agents.get(source, path, folder));
    agent.transpose()
}
