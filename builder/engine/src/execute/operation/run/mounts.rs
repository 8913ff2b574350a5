//! What a RUN sees besides its root: `--mount`, heredoc scripts, and the files that every RUN gets. Unaware of the process.

use super::caches;
use crate::execute::Execution;
use crate::execute::copy::shown;
use crate::execute::rootfs::{self, Space};
use crate::failure::{AgentError, CopyError, StepError};
use crate::host::agent::{Agent, Forward};
use crate::plan::output::{Output, Stack};
use crate::request::{Volume, VolumeAccess};
use kiln_cache::{CacheMount, Chain, Layer};
use kiln_oci::Digest;
use kiln_parser::graph::{Node, NodeId, RunMount, RunOp};
use kiln_sandbox::{Mount, MountKind, RootMount};
use std::fmt::Write;
use std::os::fd::OwnedFd;

/// Mounts, the root mounts that they refer to, and variables from secrets.
#[derive(Debug, Default)]
pub struct Prepared {
    /// In the order in which they are mounted.
    pub mounts: Vec<Mount>,
    /// What [`MountKind::Root`] counts.
    pub roots: Vec<RootMount>,
    /// `NAME=value` of secrets.
    pub env: Vec<String>,
    /// What [`MountKind::Socket`] counts, and who answers there.
    pub sockets: Vec<(OwnedFd, Agent)>,
    /// Cache directories, held while the command runs.
    caches: Vec<CacheMount>,
}

/// Prepares everything that is mounted.
///
/// # Errors
/// When a source is missing, a required secret was not given, or the store fails.
pub fn prepare(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    hostname: &str,
    space: &Space,
) -> Result<Prepared, StepError> {
    let mut prepared = Prepared::default();
    // Before those of the Dockerfile, which cover them.
    for volume in &execution.build.run.volumes {
        prepared.volume(execution, volume, space)?;
    }
    for mount in &run.mounts {
        prepared.add(execution, mount, space)?;
    }
    prepared.agents(execution, run)?;
    for cache in caches::open(execution, node, run)? {
        prepared.mounts.extend(cache.mounts);
        prepared.caches.push(cache.held);
    }
    for heredoc in &run.heredocs {
        let mode = if heredoc.executable { 0o755 } else { 0o644 };
        prepared.mounts.push(file(
            format!("/dev/pipes/{}", heredoc.name),
            heredoc.content.clone().into_bytes(),
            mode,
        ));
    }
    // Whatever order they are written in, a mount never hides one that belongs into it.
    prepared
        .mounts
        .sort_by(|one, other| one.target.cmp(&other.target));
    prepared.mounts.splice(..0, every_run(execution, hostname));
    Ok(prepared)
}

/// Name resolution, as the host does it and under kiln's own host name. Writes do not reach the layer.
fn every_run(execution: &Execution<'_>, hostname: &str) -> Vec<Mount> {
    let mut hosts =
        format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in &execution.build.run.extra_hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(hosts, "{address}\t{name}");
    }
    let resolv_conf = execution.session.host.resolv_conf.clone().into_bytes();
    let mut files = vec![file("/etc/resolv.conf".to_owned(), resolv_conf, 0o644)];
    if !execution.build.run.no_hosts {
        files.push(file("/etc/hosts".to_owned(), hosts.into_bytes(), 0o644));
    }
    files
}

fn file(target: String, content: Vec<u8>, mode: u32) -> Mount {
    Mount {
        target,
        kind: MountKind::File {
            content,
            mode,
            uid: 0,
            gid: 0,
        },
        read_only: false,
    }
}

impl Prepared {
    fn add(
        &mut self,
        execution: &Execution<'_>,
        mount: &RunMount,
        space: &Space,
    ) -> Result<(), StepError> {
        match mount {
            RunMount::Bind {
                from,
                source,
                target,
                rw,
            } => {
                let stack = self::stack(execution, *from, source)?;
                self.bind(execution, stack, target, *rw, space)
            }
            RunMount::Tmpfs { target, size } => {
                self.mounts.push(Mount {
                    target: target.clone(),
                    kind: MountKind::Tmpfs {
                        size: *size,
                        mode: 0o1777,
                    },
                    read_only: false,
                });
                Ok(())
            }
            RunMount::Secret { .. } => self.secret(execution, mount),
            // Opened together: locks must be taken in one order.
            RunMount::Cache { .. } => Ok(()),
            // Numbered: where the first one is, is said to the command.
            RunMount::Ssh { .. } => Ok(()),
        }
    }

    /// A folder of the machine itself. Changes that are dropped go into an upper above it.
    fn volume(
        &mut self,
        execution: &Execution<'_>,
        volume: &Volume,
        space: &Space,
    ) -> Result<(), StepError> {
        let path = String::new();
        let kind = if volume.access == VolumeAccess::Dropped {
            let root = rootfs::above_folder(execution.session, &volume.source, space)?;
            self.roots.push(root);
            let index = self.roots.len() - 1;
            MountKind::Root { index, path }
        } else {
            let base = volume.source.clone();
            MountKind::Bind { base, path }
        };
        self.mounts.push(Mount {
            target: volume.target.clone(),
            kind,
            read_only: volume.access == VolumeAccess::ReadOnly,
        });
        Ok(())
    }

    fn bind(
        &mut self,
        execution: &Execution<'_>,
        (stack, path): (Stack, String),
        target: &str,
        rw: bool,
        space: &Space,
    ) -> Result<(), StepError> {
        self.roots
            .push(rootfs::borrowed(execution.session, &stack, rw, space)?);
        let kind = MountKind::Root {
            index: self.roots.len() - 1,
            path,
        };
        self.mounts.push(Mount {
            target: target.to_owned(),
            kind,
            read_only: !rw,
        });
        Ok(())
    }

    fn secret(&mut self, execution: &Execution<'_>, mount: &RunMount) -> Result<(), StepError> {
        let RunMount::Secret {
            id,
            target,
            env,
            required,
            mode,
            uid,
            gid,
        } = mount
        else {
            return Ok(());
        };
        let Some(content) = execution.build.run.secrets.get(id) else {
            if *required {
                return Err(StepError::MissingSecret(id.clone()));
            }
            // As in BuildKit: a variable that was promised is there, whatever it would have been without.
            self.env.extend(env.iter().map(|env| format!("{env}=")));
            return Ok(());
        };
        if let Some(env) = env {
            let value = std::str::from_utf8(content).ok();
            let value = value.filter(|value| !value.contains('\0'));
            let value = value.ok_or_else(|| StepError::SecretIsNoText(id.clone()))?;
            self.env.push(format!("{env}={value}"));
        }
        if let Some(target) = target {
            let kind = MountKind::File {
                content: content.to_vec(),
                mode: *mode,
                uid: *uid,
                gid: *gid,
            };
            self.mounts.push(Mount {
                target: target.clone(),
                kind,
                read_only: true,
            });
        }
        Ok(())
    }

    /// Sockets of agents. Without one an optional socket is silently absent, and the variable is set all the same, as in BuildKit.
    fn agents(&mut self, execution: &Execution<'_>, run: &RunOp) -> Result<(), StepError> {
        let is_ssh = |mount: &&RunMount| matches!(mount, RunMount::Ssh { .. });
        for (number, mount) in run.mounts.iter().filter(is_ssh).enumerate() {
            let RunMount::Ssh {
                id,
                target,
                required,
                mode,
                uid,
                gid,
            } = mount
            else {
                continue;
            };
            let target = target.clone();
            let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{number}"));
            if number == 0 {
                self.env.push(format!("SSH_AUTH_SOCK={target}"));
            }
            let Some(agent) = agent(execution, id)? else {
                if *required {
                    return Err(AgentError::Missing(id.clone()).into());
                }
                continue;
            };
            let socket = Forward::socket().map_err(|source| StepError::Io {
                action: "make the socket",
                path: (&target).into(),
                source,
            })?;
            self.sockets.push((socket, agent));
            let kind = MountKind::Socket {
                index: self.sockets.len() - 1,
                mode: *mode,
                uid: *uid,
                gid: *gid,
            };
            self.mounts.push(Mount {
                target,
                kind,
                read_only: true,
            });
        }
        Ok(())
    }
}

/// A part of a stage, an image or a context: layers, and the path in them. Never the folder itself: RUN must neither see what
/// .dockerignore hides nor a file that changes while it is used.
fn stack(
    execution: &Execution<'_>,
    from: NodeId,
    source: &str,
) -> Result<(Stack, String), StepError> {
    match execution.output(from)? {
        Output::Layers { .. } => {
            let stack = execution.done(from)?.stack.clone();
            let files = execution.session.store.layers().chain(&stack.layers)?;
            let resolved = files.resolve(source.as_bytes(), true)?;
            if resolved.found.is_none() && !resolved.path.is_empty() {
                let path = source.to_owned();
                return Err(CopyError::NotFound { path, hint: None }.into());
            }
            Ok((stack, shown(&resolved.path)))
        }
        Output::Tree(chain, _) => {
            let (layer, path) = subtree_layer(execution, chain, source, false)?;
            Ok((Stack::of_image(layer.as_slice()), path))
        }
    }
}

fn agent(execution: &Execution<'_>, id: &str) -> Result<Option<Agent>, StepError> {
    let session = execution.session;
    let Some(source) = execution.build.run.ssh.get(id) else {
        return Ok(None);
    };
    let folder = || session.store.scratch().dir("ssh");
    let path = &session.host.search_path;
    Ok(Some(session.agents.get(source, path, folder)?))
}

/// What `source` of a chain leads to, as a layer of the store: under its own path, or as the layer's root. With it the path
/// without links.
pub(super) fn subtree_layer(
    execution: &Execution<'_>,
    chain: &Chain,
    source: &str,
    as_root: bool,
) -> Result<(Option<Digest>, String), StepError> {
    let resolved = chain.resolve(source.as_bytes(), true)?;
    if resolved.found.is_none() {
        let path = source.to_owned();
        return Err(CopyError::NotFound { path, hint: None }.into());
    }
    let store = &execution.session.store;
    let mut writer = store.layers().writer(&Chain::new(Vec::new()))?;
    let skipped = if as_root { resolved.path.len() } else { 0 };
    for found in chain.walk(&resolved.path) {
        let path = found.entry.path.get(skipped..).unwrap_or_default();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        if !path.is_empty() {
            let copied = writer.copy(path, &found.entry.meta(), chain, &found);
            copied.map_err(CopyError::Layer)?;
        }
    }
    let layer = writer.finish()?;
    Ok((layer.as_ref().map(Layer::diff_id), shown(&resolved.path)))
}
