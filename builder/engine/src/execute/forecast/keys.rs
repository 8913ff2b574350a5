//! Keys of steps before anything runs: as far as what goes into them is known and here. Unaware of what becomes of the steps.

use super::Walk;
use crate::execute::key::{BELOW, Key, Seen, source_name};
use crate::execute::missing;
use crate::execute::operation::run::Run;
use crate::execute::operation::{Source, copy::Copy, make_directory};
use crate::execute::prefetch::asks_for_names;
use crate::execute::step::Step;
use crate::failure::StepError;
use crate::plan::output::{Output, Stack};
use crate::source::fetch::RemoteSource;
use kiln_oci::Digest;
use kiln_parser::graph::{CopyOp, CopySource, NodeId, Op, RunMount, RunOp};
use std::cell::Cell;
use std::collections::BTreeMap;

/// What has to be there first, by the node that gives it.
pub(super) type Awaited = BTreeMap<usize, String>;

/// Under what a step is looked up.
pub(super) struct Asked {
    pub(super) key: Key,
    /// The key that it has where there is one id, if that counts too.
    pub(super) other: Option<Key>,
    pub(super) seen: Cell<Seen>,
}

/// Why there is no key.
pub(super) enum Unknown {
    /// With what goes into it anyway.
    Awaits(Awaited, Part),
    /// The build cannot get further than this step.
    Failed(StepError),
}

/// What is known of a key.
#[derive(Default)]
pub(super) struct Part {
    pub(super) inputs: Vec<(String, Digest)>,
    pub(super) seen: Cell<Seen>,
}

impl Asked {
    fn of(key: Key, seen: Seen) -> Self {
        Asked {
            key,
            other: None,
            seen: seen.into(),
        }
    }

    /// Only a part of it, where it is not known what is below.
    fn on(self, below: Result<Stack, Awaited>) -> Result<Self, Unknown> {
        let awaits = match below {
            Ok(_) => return Ok(self),
            Err(awaits) => awaits,
        };
        let (mut inputs, seen) = (self.key.inputs, self.seen);
        inputs.retain(|(name, _)| name != BELOW);
        Err(Unknown::Awaits(awaits, Part { inputs, seen }))
    }
}

impl From<Awaited> for Unknown {
    fn from(awaits: Awaited) -> Self {
        Unknown::Awaits(awaits, Part::default())
    }
}

impl From<StepError> for Unknown {
    fn from(error: StepError) -> Self {
        Unknown::Failed(error)
    }
}

impl Walk<'_> {
    pub(super) fn asked(&self, step: &Step<'_>) -> Result<Asked, Unknown> {
        match &step.node.op {
            // what a build begins with is no step
            Op::Scratch | Op::Image { .. } | Op::Context { .. } => Err(Awaited::new().into()),
            Op::MakeDirectory { base, .. } => {
                let key = make_directory::key(step.definition, self.stack(*base)?.content);
                Ok(Asked::of(key, Seen::default()))
            }
            Op::Run(run) => self.asked_of_run(step, run),
            Op::Copy(copy) => self.asked_of_copy(step, copy),
        }
    }

    fn asked_of_run(&self, step: &Step<'_>, run: &RunOp) -> Result<Asked, Unknown> {
        let source = |mount: &RunMount| mount.files().map(|(from, ..)| self.files(from));
        let mounts = run.mounts.iter().map(|mount| source(mount).transpose());
        let run = Run {
            op: run,
            mounts: mounts.collect::<Result<Vec<_>, _>>()?,
            options: &self.build.run,
            has_epoch: step.epoch.is_some(),
        };
        let base = self.stack(run.op.base);
        let below = base
            .as_ref()
            .map_or(Stack::empty().content, |base| base.content);
        let with_one_id = || self.plan.definition_with_one_id(step.node);
        let other = self.runs_nothing().then(with_one_id);
        let asked = Asked {
            other: other.map(|other| run.key(other, below)).transpose()?,
            ..Asked::of(run.key(step.definition, below)?, run.seen())
        };
        asked.on(base)
    }

    fn asked_of_copy(&self, step: &Step<'_>, copy: &CopyOp) -> Result<Asked, Unknown> {
        let sources = copy.sources.iter();
        let sources = sources.map(|source| self.copied(step.node.id, source));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let base = match copy.link {
            false => self.stack(copy.base),
            true if asks_for_names(copy) => Ok(self.stack(copy.base)?),
            true => Ok(Stack::empty()),
        };
        let below = base.as_ref().map_or_else(|_| Stack::empty(), Stack::clone);
        let made = Copy::new(&self.session.store, copy, &below, &sources);
        let made = made.map_err(|error| match error {
            // who is called so is in files that are not here
            StepError::Store(_) => Unknown::from(self.files_of(copy.base)),
            error => Unknown::Failed(missing(self.build, step.node, &sources).explain(error)),
        })?;
        let (key, seen) = (made.key(step.definition), made.seen());
        let asked = Asked::of(key, seen);
        asked.on(base)
    }

    /// What a node gives, or what has to be there before that is known.
    fn output(&self, node: NodeId) -> Result<&Output, Awaited> {
        let awaited = || self.awaited.get(&node.0).cloned().unwrap_or_default();
        self.known.get(&node.0).ok_or_else(awaited)
    }

    pub(super) fn stack(&self, node: NodeId) -> Result<Stack, Awaited> {
        let layers = self.output(node)?.layers();
        Ok(layers.map_or_else(Stack::empty, |done| done.stack.clone()))
    }

    /// The files of a node, where they are here: the store takes none.
    fn files(&self, node: NodeId) -> Result<Source, Awaited> {
        let output = self.output(node)?;
        let files = output.files(&self.session.store);
        let folder = self.plan.context_folder(self.build, node);
        Ok(Source {
            files: files.map_err(|_| self.files_of(node))?,
            layers: output.layers().map(|done| done.stack.clone()),
            folder: folder.map(Into::into),
        })
    }

    /// The files of a source of COPY. What is outside the machine is not fetched.
    fn copied(&self, step: NodeId, source: &CopySource) -> Result<Source, Awaited> {
        if let CopySource::Files { from, .. } = source {
            return self.files(*from);
        }
        let unknown = || Awaited::from([(step.0, source_name(source))]);
        let layer = match RemoteSource::of(source) {
            None => None,
            Some(remote) => {
                self.plan.fetches.content(&remote).ok_or_else(unknown)?;
                let access = self.build.access(self.session);
                let fetched = self.plan.fetches.get(access, &remote);
                fetched.map_err(|_| unknown())?.layer
            }
        };
        let files = self.session.store.layers().chain(layer.as_slice());
        Ok(Source {
            files: files.map_err(|_| unknown())?,
            layers: None,
            folder: None,
        })
    }

    fn files_of(&self, node: NodeId) -> Awaited {
        let name = match &self.plan.graph.node(node).op {
            Op::Image { reference, .. } => reference.clone(),
            _ => self.label(node),
        };
        [(node.0, format!("the layers of {name}"))].into()
    }

    pub(super) fn label(&self, node: NodeId) -> String {
        self.labels.get(&node.0).cloned().unwrap_or_default()
    }

    /// A step that has to be executed first.
    pub(super) fn itself(&self, step: NodeId) -> Awaited {
        [(step.0, self.label(step))].into()
    }
}
