//! A process in the sandbox, from its start to its end. Unaware of layers.

use super::Local;
use super::rootfs::Space;
use crate::event::LogFile;
use crate::execute::process::{Mount, Mounted, Process, ProcessNetwork};
use crate::execute::runner::console::{Console, used};
use crate::failure::StepError;
use crate::host::agent::{Agent, Forward};
use crate::session::Session;
use kiln_cache::CacheMount;
use kiln_oci::Digest;
use kiln_sandbox::{
    Ahead, Exit, Extra, Lent, Mount as SandboxMount, MountKind, Network, RootMount, RunSpec,
    Running, SpawnError, Stdio,
};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What the mounts of a process refer to.
#[derive(Default)]
pub(super) struct Given {
    /// What [`MountKind::Root`] counts.
    roots: Vec<RootMount>,
    /// What [`MountKind::Socket`] counts, and who answers there.
    pub sockets: Vec<(OwnedFd, Agent)>,
}

impl Local<'_> {
    /// Runs a process in a root file system to its end.
    ///
    /// # Errors
    /// When it cannot be started, fails or is cancelled, or its output cannot be kept.
    pub(super) fn execute(
        &self,
        process: &Process,
        root: RootMount,
        space: &Space,
        console: &Console<'_>,
    ) -> Result<(), StepError> {
        let (given, spec, _caches) = self.ready(process, space, Some(console.step.node.id.0))?;
        let (log, stdio) = console.start()?;
        let running = given.run(&self.ahead, (&root, &spec), (stdio, None))?;
        let events = &self.session.events;
        running.notes().iter().for_each(|note| events.note(note));
        let (exit, _) = self.wait(running, given.sockets)?;
        console.ended(&exit);
        self.judge(exit, log.finish()?)
    }

    /// All that a process needs besides its root, which is that of a step of a build if `node` says so. The cache directories are to be held
    /// until it has ended.
    pub(super) fn ready(
        &self,
        process: &Process,
        space: &Space,
        node: Option<usize>,
    ) -> Result<(Given, RunSpec, BTreeMap<Digest, CacheMount>), StepError> {
        let mut given = Given::default();
        let mounts = process.mounts_in_order();
        let kinds = mounts
            .iter()
            .map(|mount| given.kind(self.session, mount, space));
        let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
        // Last, so that nobody waits for a directory while views are made.
        let of = (self.session, node);
        let caches = self.caches.open(of, process, space.is_plain())?;
        let mounts = mounts.into_iter().zip(kinds);
        let mounts = mounts.filter_map(|(mount, kind)| placed(mount, kind, &caches));
        let is_reached = !process.ports.is_empty();
        let path = &self.session.host.search_path;
        let network = network(&process.network, is_reached, path)?;
        let spec = self.spec(process, network, mounts.collect());
        Ok((given, spec, caches))
    }

    /// Serves the sockets of the process until it has ended, and kills it if the build is cancelled.
    pub(super) fn wait(
        &self,
        running: Running,
        sockets: Vec<(OwnedFd, Agent)>,
    ) -> Result<(Exit, Lent), StepError> {
        let serve = |(socket, agent)| Forward::start(socket, agent).map_err(StepError::Thread);
        let served = sockets.into_iter().map(serve);
        let _served = served.collect::<Result<Vec<Forward>, _>>()?;
        let kill = running.kill_handle();
        let _registered = self.session.cancel.on_request(move || kill.kill());
        Ok(running.ended()?)
    }

    fn judge(&self, exit: Exit, log: LogFile) -> Result<(), StepError> {
        if self.session.cancel.requested() {
            return Err(StepError::Cancelled);
        }
        if exit.code == Some(0) {
            return Ok(());
        }
        Err(StepError::Command {
            code: exit.code,
            signal: exit.signal,
            exceeded: self.memory.filter(|_| exit.out_of_memory),
            log,
            used: used(&exit),
            hints: Vec::new(),
        })
    }

    fn spec(&self, process: &Process, network: Network, mounts: Vec<SandboxMount>) -> RunSpec {
        RunSpec {
            argv: process.argv.clone(),
            env: process.env.clone(),
            cwd: process.cwd.clone(),
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.groups.clone(),
            hostname: process.hostname.clone(),
            network,
            ports: process.ports.clone(),
            mounts,
            terminal: process.terminal,
            has_init: process.has_init,
            read_only: process.is_read_only,
            privileged: process.is_privileged,
            shm_size: process.shm_size,
            rlimits: process.ulimits.clone(),
            cgroup: self.cgroup.clone(),
            disabled: self.session.disabled,
            ..RunSpec::default()
        }
    }
}

impl Given {
    /// How the sandbox makes a mount; none for a cache directory, which is not open yet.
    fn kind(
        &mut self,
        session: &Session,
        mount: &Mount,
        space: &Space,
    ) -> Result<Option<MountKind>, StepError> {
        Ok(match &mount.what {
            Mounted::Layers { stack, path } => {
                let root = space.borrowed(session, stack, !mount.read_only)?;
                Some(self.root(root, path.clone()))
            }
            Mounted::Folder { path, is_scratch } if *is_scratch => {
                let root = space.above_folder(session, path)?;
                Some(self.root(root, String::new()))
            }
            Mounted::Agent { agent, mode, owner } => {
                self.sockets.push((socket(&mount.target)?, agent.clone()));
                Some(MountKind::Socket {
                    index: self.sockets.len() - 1,
                    mode: *mode,
                    uid: owner.0,
                    gid: owner.1,
                })
            }
            other => plain(other),
        })
    }

    fn root(&mut self, root: RootMount, path: String) -> MountKind {
        self.roots.push(root);
        let index = self.roots.len() - 1;
        MountKind::Root { index, path }
    }

    pub(super) fn run(
        &self,
        ahead: &Ahead,
        (root, spec): (&RootMount, &RunSpec),
        (stdio, borrowed): (Stdio, Option<BorrowedFd<'_>>),
    ) -> Result<Running, SpawnError> {
        let roots: Vec<&RootMount> = self.roots.iter().collect();
        let sockets: Vec<_> = self.sockets.iter().map(|(fd, _)| fd.as_fd()).collect();
        let extra = Extra {
            roots: &roots,
            sockets: &sockets,
            borrowed,
            ahead: Some(ahead),
        };
        kiln_sandbox::run(root, spec, stdio, extra)
    }
}

/// What connects the process, if anything must. Where it is only to be reached, nothing has to be there.
fn network(
    network: &ProcessNetwork,
    is_reached: bool,
    search_path: &str,
) -> Result<Network, StepError> {
    let stacks = match network {
        ProcessNetwork::Host => return Ok(Network::Host),
        ProcessNetwork::None => return Ok(Network::None),
        ProcessNetwork::Private(stacks) => stacks,
    };
    let programs: Vec<_> = stacks
        .iter()
        .filter_map(|stack| stack.find(search_path))
        .collect();
    match programs.is_empty() && !is_reached {
        true => Err(StepError::NoNetworkStack(stacks.clone())),
        false => Ok(Network::Private(programs)),
    }
}

fn socket(target: &str) -> Result<OwnedFd, StepError> {
    Forward::socket().map_err(|source| StepError::Io {
        action: "make the socket",
        path: target.into(),
        source,
    })
}

/// What the sandbox makes alone.
fn plain(what: &Mounted) -> Option<MountKind> {
    match what {
        Mounted::Folder { path, .. } => Some(bind(path)),
        Mounted::Tmpfs { size, mode } => Some(MountKind::Tmpfs {
            size: *size,
            mode: *mode,
        }),
        Mounted::File {
            content,
            mode,
            owner,
        } => Some(MountKind::File {
            content: content.to_vec(),
            mode: *mode,
            uid: owner.0,
            gid: owner.1,
        }),
        _ => None,
    }
}

fn bind(base: &Path) -> MountKind {
    MountKind::Bind {
        base: base.to_owned(),
        path: String::new(),
    }
}

/// A mount in its place. Every cache directory that a mount names is open.
fn placed(
    mount: &Mount,
    kind: Option<MountKind>,
    caches: &BTreeMap<Digest, CacheMount>,
) -> Option<SandboxMount> {
    let kind = match &mount.what {
        Mounted::Cache(identity) => bind(&caches.get(identity)?.path),
        _ => kind?,
    };
    Some(SandboxMount {
        target: mount.target.clone(),
        kind,
        read_only: mount.read_only,
    })
}
