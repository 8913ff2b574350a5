//! `RUN`: one process in a sandbox on top of a file system; what it changed becomes a layer.
//!
//! Users of this step start on its live upper while the layer is written. It starts on its own parent's live upper only when
//! no record of the same operation exists: with one, the parent's digest is worth waiting for, because the step may be cached.

mod attempt;
mod caches;
pub use caches::Emptied;
mod live;
mod log;
mod mounts;
mod process;

use super::{accounts, subtree_digest};
use crate::execute::rootfs::{Changes, Space};
use crate::execute::users::Identity;
use crate::execute::{Execution, Key, finish};
use crate::failure::StepError;
use crate::plan::output::{Done, Live, LiveUpper};
use attempt::Left;
use kiln_cache::{Chain, CommitOptions, CommittedUpper, KeyBuilder};
use kiln_parser::graph::{Node, RunMount, RunOp};
use std::sync::Arc;
use std::time::Instant;

/// Looks the step up or executes it; `early` is told when users may start.
///
/// # Errors
/// When the command fails, cannot be started, or the store fails.
pub fn execute(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    early: &dyn Fn(Live),
) -> Result<Done, StepError> {
    look_for_devices(execution, run)?;
    let mut start = Start::choose(execution, node, run)?;
    if let Some(done) = start.cached(execution, node, run)? {
        return Ok(done);
    }
    let _lock = execution.lock(node)?;
    if matches!(start, Start::Live(_)) {
        // While this waited, another build may have made the step.
        start = Start::choose(execution, node, run)?;
    }
    if let Some(done) = start.cached(execution, node, run)? {
        return Ok(done);
    }
    if let Some(refused) = &execution.session.refused {
        return Err(StepError::NoNamespaces(refused.clone()));
    }
    let (below, key) = match start {
        Start::Live(live) => (live, None),
        Start::Committed(key, base) => (
            Arc::new(Live {
                base: base.stack.clone(),
                uppers: Vec::new(),
            }),
            Some(key),
        ),
    };
    execution.started(node, key.as_ref());
    let begun = (Instant::now(), execution.now());
    let identity = identity(execution, run, &below)?;
    let left = attempt::run(execution, node, run, &identity, &below)?;
    execution.ran(node, begun.0);
    let Left {
        changes: Changes::Upper(upper),
        space: Space::Store,
    } = left
    else {
        return commit_apart(execution, node, run, key, &left, begun);
    };
    let upper = Arc::new(LiveUpper::new(upper));
    early(Live {
        base: below.base.clone(),
        uppers: below
            .uppers
            .iter()
            .cloned()
            .chain([upper.clone()])
            .collect(),
    });
    commit(execution, node, run, key, &upper, begun)
}

/// What a step starts on.
enum Start {
    /// Its parent's uppers, before they are layers. Its key is known later.
    Live(Arc<Live>),
    /// Written layers, so the key is known.
    Committed(Key, Arc<Done>),
}

impl Start {
    fn choose(execution: &Execution<'_>, node: &Node, run: &RunOp) -> Result<Self, StepError> {
        if let Some(live) = live::base(execution, node, run)? {
            return Ok(Start::Live(live));
        }
        let base = execution.done(run.base)?;
        Ok(Start::Committed(key(execution, node, run)?, base))
    }

    /// Where nothing can be run, a result counts whatever ids there were when it was made.
    fn cached(
        &self,
        execution: &Execution<'_>,
        node: &Node,
        run: &RunOp,
    ) -> Result<Option<Done>, StepError> {
        match self {
            Start::Live(_) => Ok(None),
            Start::Committed(key, base) => match execution.cached(node, &base.stack, key)? {
                None if execution.session.refused.is_some() => {
                    let key = key_with_one_id(execution, node, run)?;
                    execution.cached(node, &base.stack, &key)
                }
                found => Ok(found),
            },
        }
    }
}

/// What kiln does not do, said before anything runs. As in BuildKit, a step does without a device that it does not require.
fn look_for_devices(execution: &Execution<'_>, run: &RunOp) -> Result<(), StepError> {
    for device in &run.devices {
        let lack = format!(
            "--device={}: kiln gives RUN no devices of the host",
            device.name
        );
        if device.required {
            return Err(StepError::Unsupported(lack));
        }
        execution.session.events.warn(lack);
    }
    Ok(())
}

/// What decides about the result: the operation, the files below, the files that are mounted. Secrets never do.
fn key(execution: &Execution<'_>, node: &Node, run: &RunOp) -> Result<Key, StepError> {
    key_of(execution, run, execution.key("run", node))
}

fn key_with_one_id(execution: &Execution<'_>, node: &Node, run: &RunOp) -> Result<Key, StepError> {
    let definition = execution.plan.definition_with_one_id(node);
    let key = KeyBuilder::new("run").input("instruction", definition);
    key_of(execution, run, key)
}

fn key_of(execution: &Execution<'_>, run: &RunOp, key: KeyBuilder) -> Result<Key, StepError> {
    let mut key = key.input("files below", execution.done(run.base)?.stack.content);
    key = execution.build.run.key(key);
    for mount in &run.mounts {
        if let RunMount::Bind {
            from,
            source,
            target,
            ..
        }
        | RunMount::Cache {
            from: Some(from),
            source,
            target,
            ..
        } = mount
        {
            key = key.input(
                &format!("mount {target}"),
                subtree_digest(&execution.files(*from)?, source)?,
            );
        }
    }
    Ok(finish(key))
}

/// Who runs the command. Names are looked up in the committed base: [`live::base`] made sure that no upper changes them.
fn identity(execution: &Execution<'_>, run: &RunOp, below: &Live) -> Result<Identity, StepError> {
    let files: Chain = execution.session.store.layers().chain(&below.base.layers)?;
    Ok(accounts(&files)?.identity(&run.user)?)
}

/// Makes the upper a layer and records it. The parent's own commit comes first: its index says what was below.
fn commit(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    key: Option<Key>,
    upper: &Arc<LiveUpper>,
    begun: (Instant, i64),
) -> Result<Done, StepError> {
    let store = &execution.session.store;
    let base = execution.done(run.base)?;
    let below = store.layers().chain(&base.stack.layers)?;
    let place = upper.place().clone();
    let committed = store
        .layers()
        .commit_upper(&place, &below, &options(execution))?;
    let done = settle(execution, node, run, key, &committed, begun)?;
    let made = committed.layer.as_ref().map(kiln_cache::Layer::diff_id);
    let kept = done.step.as_ref().and_then(|step| step.diff_id);
    if let Some(diff_id) = made.filter(|made| committed.adoptable && Some(*made) == kept) {
        upper.relocate(|upper| store.views().adopt(upper, &diff_id))?;
    }
    Ok(done)
}

/// The same for what is nobody's lower: changes in memory, whose room is given back, and copies.
fn commit_apart(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    key: Option<Key>,
    left: &Left,
    begun: (Instant, i64),
) -> Result<Done, StepError> {
    let store = &execution.session.store;
    let below = store
        .layers()
        .chain(&execution.done(run.base)?.stack.layers)?;
    let options = options(execution);
    let committed = match &left.changes {
        Changes::Upper(upper) => store
            .layers()
            .commit_upper(&upper.upper, &below, &options)?,
        Changes::Copy(copy) => store.layers().commit_copy(copy, &below, &options)?,
    };
    let done = settle(execution, node, run, key, &committed, begun)?;
    if let Changes::Copy(copy) = &left.changes {
        store.scratch().discard(&copy.path)?;
    }
    Ok(done)
}

fn options(execution: &Execution<'_>) -> CommitOptions {
    CommitOptions {
        clamp_mtime: execution.plan.graph.source_date_epoch,
        single_id: execution.session.ids.is_single(),
    }
}

/// Records the layer; a step that began on a live upper has its key only now.
fn settle(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    key: Option<Key>,
    committed: &CommittedUpper,
    begun: (Instant, i64),
) -> Result<Done, StepError> {
    let base = execution.done(run.base)?;
    let key = match key {
        Some(key) => key,
        None => self::key(execution, node, run)?,
    };
    execution.settle(node, &base.stack, &key, committed.layer.as_ref(), begun)
}
