//! A RUN among the other steps. Its users start on its live upper while its layer is written; it starts on its own parent's live upper
//! only when no record of the same operation exists: with one, the parent's digest is worth waiting for, because the step may be
//! cached. Unaware of what the command sees and of how it is run.

mod unchanged;

use crate::exchange::mounts::Mounts;
use crate::execute::key::Key;
use crate::execute::live::{Live, LiveUpper};
use crate::execute::operation::run::Run;
use crate::execute::remains::{FailedRun, Remains};
use crate::execute::room::with_room;
use crate::execute::runner::console::Console;
use crate::execute::runner::{Below, Changed, Runner};
use crate::execute::schedule::Schedule;
use crate::execute::step::{Begun, Step};
use crate::failure::StepError;
use crate::plan::output::{Done, Stack};
use kiln_cache::{CommitOptions, Layer, Upper};
use kiln_oci::Digest;
use kiln_parser::graph::Stage;
use std::sync::Arc;

/// A RUN of a build that is being executed.
#[derive(Debug)]
pub struct Overlap<'a> {
    /// The step.
    pub step: &'a Step<'a>,
    /// The operation.
    pub run: Run<'a>,
    /// Where the other steps are.
    pub schedule: &'a Schedule,
    /// What runs the command.
    pub runner: &'a dyn Runner,
    /// Where nothing can be run: the definition that the step has where there is one id.
    pub single_id: Option<Digest>,
    /// How an upper becomes a layer.
    pub commit: CommitOptions,
    /// What it may have seen of shared caches.
    pub mounts: &'a Mounts,
    /// The stage that it is in.
    pub stage: &'a Stage,
    /// Where what it leaves is put if it fails.
    pub remains: &'a Remains,
}

/// What a step starts on.
enum Start {
    /// Its parent's uppers, before they are layers. Its key is known later.
    Live(Arc<Live>),
    /// Finished layers, so the key is known.
    Finished(Key, Stack),
}

impl Overlap<'_> {
    /// Looks the step up or executes it.
    ///
    /// # Errors
    /// When the command fails, cannot be started, or the store fails.
    pub fn carry_out(self) -> Result<Done, StepError> {
        self.run.look_for_devices(self.step)?;
        let mut start = self.start()?;
        if let Some(done) = self.cached(&start)? {
            return Ok(done);
        }
        let _lock = self.step.lock()?;
        if let Start::Live(_) = start {
            // While this waited, another build may have made the step.
            start = self.start()?;
        }
        if let Some(done) = self.cached(&start)? {
            return Ok(done);
        }
        self.runner.check()?;
        self.schedule.running(self.step.node.id)?;
        match start {
            Start::Live(live) => self.execute(&live, None),
            Start::Finished(key, base) => self.execute(&Live::finished(base), Some(key)),
        }
    }

    fn start(&self) -> Result<Start, StepError> {
        if let Some(live) = self.live()? {
            return Ok(Start::Live(live));
        }
        let base = self.base()?;
        let key = self.run.key(self.step.definition, base.content)?;
        Ok(Start::Finished(key, base))
    }

    /// The parent's uppers, if it is worth starting on them: the parent's layer is not written yet, this operation was never recorded,
    /// and no upper changes what is read before the command starts.
    fn live(&self) -> Result<Option<Arc<Live>>, StepError> {
        let Some(live) = self.schedule.live_uppers(self.run.op.base) else {
            return Ok(None);
        };
        let store = &self.step.session.store;
        if !self.step.ignores_cache && store.records().has_definition(&self.step.definition)? {
            return Ok(None);
        }
        let is_unchanged =
            unchanged::in_all(&store.layers().chain(&live.base.layers)?, &live.uppers)?;
        Ok(is_unchanged.then_some(live))
    }

    /// The parent's layers, waited for until all are written.
    fn base(&self) -> Result<Stack, StepError> {
        Ok(self.schedule.layers(self.run.op.base)?.stack.clone())
    }

    /// Where nothing can be run, a result counts whatever ids there were when it was made.
    fn cached(&self, start: &Start) -> Result<Option<Done>, StepError> {
        let Start::Finished(key, base) = start else {
            return Ok(None);
        };
        let seen = &|| self.run.seen();
        match (self.step.cached(base, key, seen)?, self.single_id) {
            (None, Some(definition)) => {
                let key = self.run.key(definition, base.content)?;
                self.step.cached(base, &key, seen)
            }
            (found, _) => Ok(found),
        }
    }

    /// Executes the step, and keeps what it has printed, however it ended.
    fn execute(&self, live: &Live, key: Option<Key>) -> Result<Done, StepError> {
        let options = self.run.options;
        let console = Console::new(self.step, options.stdin.as_deref(), options.keeps_failed);
        let done = self.execute_with(&console, live, key);
        if let (Err(_), Some(upper)) = (&done, console.left().changes) {
            self.leave(live, upper)?;
        }
        let result = done.as_ref().ok().and_then(|done| done.step.as_ref());
        if let Some(log) = console.left().log {
            let key = result.map(|result| &result.key);
            self.step.keep_log(&log, key, self.run.op, self.run.options);
        }
        done
    }

    /// Keeps what a command has left that failed.
    fn leave(&self, live: &Live, upper: Upper) -> Result<(), StepError> {
        let files = self.step.session.store.layers().chain(&live.base.layers)?;
        let process = self.run.process_on(self.step, &files)?;
        let of = (self.run.op, self.stage);
        self.remains.put(FailedRun::new(of, process, live, upper));
        Ok(())
    }

    fn execute_with(
        &self,
        console: &Console<'_>,
        live: &Live,
        key: Option<Key>,
    ) -> Result<Done, StepError> {
        self.step.started(key.as_ref(), &|| self.run.seen());
        self.keep_inputs(key.as_ref());
        let begun = self.step.begin();
        let written = || self.written(live);
        let below = Below::new(live, &written);
        let run = || self.run.make(self.step, &below, self.runner, console);
        let changed = with_room(self.step.session, run)?;
        self.step.ran(begun, console.left().used);
        match changed {
            Changed::Layer(layer) => self.settle(key, layer.as_ref(), begun),
            Changed::Upper(upper) => {
                let upper = Arc::new(LiveUpper::new(upper));
                self.schedule
                    .live(self.step.node.id, live.with(upper.clone()));
                self.commit(key, (live, &upper), begun)
            }
        }
    }

    /// The layers of what the step ran on, waited for until all are written. They are not always those of its parent's result, which may
    /// be an earlier one with other times.
    fn written(&self, live: &Live) -> Result<Vec<Digest>, StepError> {
        self.base()?;
        Ok(live.layers())
    }

    /// Makes the upper a layer and records it. The parent's own commit comes first: its index says what was below.
    fn commit(
        &self,
        key: Option<Key>,
        (live, upper): (&Live, &LiveUpper),
        begun: Begun,
    ) -> Result<Done, StepError> {
        let store = &self.step.session.store;
        let below = store.layers().chain(&self.written(live)?)?;
        let place = upper.place().path.clone();
        let keep = || Ok(store.layers().commit_upper(&place, &below, &self.commit)?);
        let committed = with_room(self.step.session, keep)?;
        let made = committed.layer.as_ref().map(Layer::diff_id);
        upper.written(made);
        let done = self.settle(key, committed.layer.as_ref(), begun)?;
        let kept = done.step.as_ref().and_then(|step| step.diff_id);
        if let (Some(diff_id), Some(excess)) = (made.filter(|_| made == kept), committed.excess) {
            let adopt = |upper: &Upper| store.views().adopt(upper, &excess, &diff_id);
            upper.relocate(excess.is_empty(), adopt)?;
        }
        Ok(done)
    }

    /// Keeps what the step is made of, once that is known.
    fn keep_inputs(&self, key: Option<&Key>) {
        if let Some(key) = key {
            self.step.keep_inputs(key, &|| self.run.seen());
        }
    }

    /// Records the layer; a step that began on a live upper has its key only now.
    fn settle(
        &self,
        key: Option<Key>,
        layer: Option<&Layer>,
        begun: Begun,
    ) -> Result<Done, StepError> {
        let base = self.base()?;
        let key = match key {
            Some(key) => key,
            None => self.run.key(self.step.definition, base.content)?,
        };
        self.keep_inputs(Some(&key));
        let mut basis = self.schedule.rests_on(self.step.node.op.inputs())?;
        basis.caches = basis.caches.with(&self.mounts.seen_by(self.step.node.id.0));
        basis.isolation = basis.isolation.min(self.runner.isolation());
        self.step.settle(&base, key, layer, basis, begun)
    }
}
