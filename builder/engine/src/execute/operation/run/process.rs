//! The process of a RUN: its environment, its standard streams, its end. Unaware of layers.

use super::mounts::Prepared;
use super::{log, mounts};
use crate::execute::Execution;
use crate::execute::rootfs::Space;
use crate::execute::users::Identity;
use crate::failure::StepError;
use crate::host::agent::Forward;
use kiln_parser::graph::{Network, Node, RunOp, Security};
use kiln_sandbox::{Extra, RootMount, RunSpec, Stdin, Stdio};
use std::os::fd::AsFd;

/// The PATH of an image that sets none; docker's.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The same name on every machine, so that it cannot make results differ.
const HOSTNAME: &str = "kiln";
/// Docker's size of `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// Runs the command to its end.
///
/// # Errors
/// When it cannot be started, fails, or its output cannot be kept.
pub fn run(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    identity: &Identity,
    root: RootMount,
    space: &Space,
) -> Result<(), StepError> {
    let hostname = run.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned());
    let mut prepared = mounts::prepare(execution, node, run, &hostname, space)?;
    let spec = spec(execution, run, identity, hostname, &mut prepared);
    let (log, output) = log::start(execution, node)?;
    let duplicate = output.try_clone().map_err(|source| StepError::Io {
        action: "duplicate",
        path: log.path.clone(),
        source,
    })?;
    let stdio = Stdio {
        stdin: stdin(execution)?,
        stdout: output,
        stderr: duplicate,
    };
    let roots: Vec<&RootMount> = prepared.roots.iter().collect();
    let sockets: Vec<_> = prepared.sockets.iter().map(|(fd, _)| fd.as_fd()).collect();
    let extra = Extra {
        roots: &roots,
        sockets: &sockets,
    };
    let running = kiln_sandbox::run(&root, &spec, stdio, extra)?;
    let serve = |(socket, agent)| Forward::start(socket, agent).map_err(StepError::Thread);
    let agents = prepared.sockets.drain(..).map(serve);
    let agents = agents.collect::<Result<Vec<Forward>, _>>()?;
    for note in running.notes() {
        execution.session.events.note(note);
    }
    let kill = running.kill_handle();
    let registered = execution.session.cancel.on_request(move || kill.kill());
    let exit = running.wait()?;
    drop((registered, agents));
    let log = log.finish()?;
    if execution.session.cancel.requested() {
        return Err(StepError::Stopped);
    }
    if exit.code == Some(0) {
        Ok(())
    } else {
        Err(StepError::Command {
            code: exit.code,
            signal: exit.signal,
            exceeded: execution
                .build
                .run
                .limits
                .memory
                .filter(|_| exit.out_of_memory),
            log,
        })
    }
}

/// Nothing, or what kiln itself may read.
fn stdin(execution: &Execution<'_>) -> Result<Stdin, StepError> {
    let Some(stdin) = &execution.build.run.stdin else {
        return Ok(Stdin::Null);
    };
    let failed = |source| StepError::Io {
        action: "duplicate",
        path: "standard input".into(),
        source,
    };
    stdin.try_clone().map(Stdin::Fd).map_err(failed)
}

/// What the sandbox is asked for.
fn spec(
    execution: &Execution<'_>,
    run: &RunOp,
    identity: &Identity,
    hostname: String,
    prepared: &mut Prepared,
) -> RunSpec {
    RunSpec {
        argv: run.argv.clone(),
        env: environment(run, identity, &hostname, &prepared.env),
        cwd: run.cwd.clone(),
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups.clone(),
        hostname,
        network: if run.network == Network::None {
            kiln_sandbox::Network::None
        } else {
            kiln_sandbox::Network::Host
        },
        mounts: std::mem::take(&mut prepared.mounts),
        privileged: run.security == Security::Insecure,
        shm_size: execution.build.run.shm_size.unwrap_or(SHM_SIZE),
        rlimits: execution.build.run.ulimits.clone(),
        cgroup: execution.cgroup.clone(),
        umask: 0o022,
        disabled: execution.session.disabled,
    }
}

/// The image's variables and the arguments in scope; proxies and secrets, which beat them; then what is missing: PATH, HOME, HOSTNAME.
fn environment(
    run: &RunOp,
    identity: &Identity,
    hostname: &str,
    secrets: &[String],
) -> Vec<String> {
    let mut env = run.env.clone();
    for variable in run.proxy_env.0.iter().chain(secrets) {
        env.retain(|other| name(other) != name(variable));
        env.push(variable.clone());
    }
    // As runc has it: a HOME that is empty is none.
    env.retain(|variable| variable != "HOME=");
    let home = format!("HOME={}", identity.home);
    let hostname = format!("HOSTNAME={hostname}");
    for default in [DEFAULT_PATH.to_owned(), home, hostname] {
        if !env.iter().any(|other| name(other) == name(&default)) {
            env.push(default);
        }
    }
    env
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}
