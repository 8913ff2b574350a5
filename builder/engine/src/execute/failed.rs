//! What the failure of a node means for the others: it is told and stops them, unless it only says that a file of a folder has changed,
//! and the folder is read again. Unaware of how nodes are carried out.

use super::Execution;
use crate::event::EventKind;
use crate::failure::{StepError, StepFailure};
use crate::host::emulation;
use crate::plan::Plan;
use kiln_oci::ImageConfig;
use kiln_parser::graph::{Node, Op};
use std::sync::PoisonError;

impl Execution<'_> {
    /// Keeps and tells the first failure that has a reason of its own, and cancels the other steps.
    pub(super) fn fail(&self, node: &Node, error: StepError) {
        let is_change = self.is_change(node, &error);
        let is_cancelled = error.is_cancelled();
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let is_only_change = first
            .as_ref()
            .is_some_and(|first| self.is_change(&self.plan.graph.nodes[first.node], &first.error));
        if !is_cancelled && !self.session.cancel.requested() {
            if !is_only_change || !is_change {
                self.tell(node, &error);
            }
            if first.is_none() || is_only_change {
                *first = Some(Box::new(failure(self.plan, node, error)));
            }
        }
        let goes_on = is_change || is_cancelled && is_only_change;
        if !goes_on {
            self.session.cancel.stop();
        }
    }

    fn tell(&self, node: &Node, error: &StepError) {
        let events = &self.session.events;
        match error.changed_file().filter(|_| self.is_change(node, error)) {
            Some(file) => events.warn(format!(
                "{file} changed during the build: its context is read again"
            )),
            None => events.send(EventKind::Failed {
                step: node.id.0,
                message: crate::failure::chain_of_causes(error),
                used: error.used(),
                key: self.past.key(node.id.0),
            }),
        }
    }

    /// Whether a step failed only because a folder is no longer what was planned with.
    fn is_change(&self, node: &Node, error: &StepError) -> bool {
        self.reads_again && error.changed_file().is_some() && self.plan.reads_folder(node)
    }
}

/// What is said of a node that failed.
pub(super) fn failure(plan: &Plan, node: &Node, error: StepError) -> StepFailure {
    StepFailure {
        node: node.id.0,
        title: node.title.clone(),
        place: plan.stage_name(node.stage),
        emulation: emulation_problem(plan, node),
        span: node.span,
        line: node.line,
        error,
    }
}

/// Why a RUN for another processor may have failed.
fn emulation_problem(plan: &Plan, node: &Node) -> Option<String> {
    if !matches!(node.op, Op::Run(_)) {
        return None;
    }
    let stage = plan.graph.stages.get(node.stage?)?;
    let base = || stage.base_image.as_ref().map(ImageConfig::platform);
    emulation::problem(&stage.platform).or_else(|| emulation::problem(&base()?))
}
