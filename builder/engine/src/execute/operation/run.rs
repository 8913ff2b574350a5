//! `RUN`: what decides about its result, and the process that it is. Unaware of how a process is run, and of other steps.

mod advice;
mod caches;
mod mounts;

use super::{Source, accounts, subtree_digest, subtree_times};
use crate::execute::key::{BELOW, Key, Seen, mount_name};
use crate::execute::past::files::table;
use crate::execute::process::{Process, ProcessNetwork};
use crate::execute::results::TIME_OF;
use crate::execute::runner::console::Console;
use crate::execute::runner::{Below, Changed, Runner};
use crate::execute::step::Step;
use crate::execute::users::Identity;
use crate::failure::StepError;
use crate::request::RunOptions;
use advice::Scene;
use kiln_cache::Chain;
use kiln_oci::Digest;
use kiln_parser::graph::{RunOp, Security};

/// A RUN and what its inputs became.
#[derive(Debug)]
pub struct Run<'a> {
    /// The operation.
    pub op: &'a RunOp,
    /// For each mount the files that it shows or starts with, if it names any.
    pub mounts: Vec<Option<Source>>,
    /// What every RUN of the build sees.
    pub options: &'a RunOptions,
    /// Whether files have the times that `SOURCE_DATE_EPOCH` says: those of a mounted image are its own, and the result may show them.
    pub has_epoch: bool,
}

impl Run<'_> {
    /// What decides about the result: the operation, the files below, the files that are mounted. Secrets never do.
    ///
    /// # Errors
    /// When links in a mount's source go in circles.
    pub fn key(&self, definition: Digest, below: Digest) -> Result<Key, StepError> {
        let key = Key::begin("run", definition).input(BELOW, below);
        let mut key = self.options.key(key);
        for (mount, source) in self.op.mounts.iter().zip(&self.mounts) {
            if let (Some((_, path, target)), Some(source)) = (mount.files(), source) {
                let files = subtree_digest(&source.files, path)?;
                key = key.input(&mount_name(target), files);
                if self.has_epoch && source.layers.is_some() {
                    let times = subtree_times(&source.files, path)?;
                    key = key.list(&format!("{TIME_OF}mount {target}"), times);
                }
            }
        }
        Ok(key.into())
    }

    /// What of that a person understands: the files of contexts, the values of flags.
    pub fn seen(&self) -> Seen {
        let mut seen = Seen {
            values: self.options.values(),
            ..Seen::default()
        };
        for (mount, source) in self.op.mounts.iter().zip(&self.mounts) {
            let source = source.as_ref().filter(|source| source.layers.is_none());
            if let (Some((_, path, target)), Some(source)) = (mount.files(), source)
                && let Ok(resolved) = source.files.resolve(path.as_bytes(), true)
            {
                let found = source.files.walk(&resolved.path);
                let table = table(found.iter().map(|found| found.entry));
                seen.files.insert(mount_name(target), table);
            }
        }
        seen
    }

    /// Tells what kiln does not do, before anything runs. As in BuildKit, a step does without a device that it does not require.
    pub fn look_for_devices(&self, step: &Step<'_>) -> Result<(), StepError> {
        for device in &self.op.devices {
            let lack = format!(
                "--device={}: kiln gives RUN no devices of the host",
                device.name
            );
            if device.required {
                return Err(StepError::Unsupported(lack));
            }
            step.session.events.warn(lack);
        }
        Ok(())
    }

    /// Runs the command. Who runs it is looked up in the finished layers: no upper may change the accounts.
    ///
    /// # Errors
    /// When the command fails, cannot be started, or a mount is not possible.
    pub fn make(
        &self,
        step: &Step<'_>,
        below: &Below<'_>,
        runner: &dyn Runner,
        console: &Console<'_>,
    ) -> Result<Changed, StepError> {
        let files = step.session.store.layers().chain(&below.live.base.layers)?;
        let process = self.process_on(step, &files)?;
        let ran = runner.run(below, &process, console);
        ran.map_err(|error| {
            let scene = Scene {
                op: self.op,
                files: &files,
                user: &process.user,
                options: self.options,
                has_one_id: step.session.ids.is_single(),
            };
            scene.advise(error)
        })
    }

    /// The process on these files.
    ///
    /// # Errors
    /// When its user is not listed, or a mount is not possible.
    pub fn process_on(&self, step: &Step<'_>, files: &Chain) -> Result<Process, StepError> {
        let user = accounts(files)?.identity(&self.op.user)?;
        self.process(step, user)
    }

    /// The process. Its variables are the image's and the arguments in scope; proxies and secrets beat them.
    fn process(&self, step: &Step<'_>, user: Identity) -> Result<Process, StepError> {
        let op = self.op;
        let host = &step.session.host;
        let mut process = Process::new(user, op.hostname.as_deref(), host, self.options);
        process.argv.clone_from(&op.argv);
        process.env.clone_from(&op.env);
        process.cwd.clone_from(&op.cwd);
        let network = ProcessNetwork::of(op.network, &self.options.default_network);
        process.set_network(network, host);
        process.is_privileged = op.security == Security::Insecure;
        process.set_env(&op.proxy_env.0);
        mounts::add(step, self, &mut process)?;
        process.complete_env();
        Ok(process)
    }
}
