//! One step of a build: its operation, and what carrying it out needs of the build around it. Unaware of other steps and of what the
//! operations do.

use crate::event::EventKind;
use crate::execute::past::Past;
use crate::session::Session;
use kiln_oci::Digest;
use kiln_parser::diagnostic::{Diagnostic, Phase};
use kiln_parser::graph::Node;
use std::time::Instant;

/// One node of the graph that makes a layer.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Store, events, clock, cancellation.
    pub session: &'a Session,
    /// The operation and where it stands in the Dockerfile.
    pub node: &'a Node,
    /// Digest of the operation without its inputs.
    pub definition: Digest,
    /// Digest of all that it is made from, known before anything runs.
    pub derived: Digest,
    /// `SOURCE_DATE_EPOCH`: the time of all files that kiln writes itself; of what a command leaves, none is later.
    pub epoch: Option<i64>,
    /// Whether it is executed even if its result is known.
    pub ignores_cache: bool,
    /// `--cache-ttl`: the age in seconds at which a result is too old to be used.
    pub max_age: Option<i64>,
    /// What is known of the builds before, if anything is to be told of them.
    pub past: Option<&'a Past<'a>>,
}

/// When an execution began: for durations, and as the time that the layer and its history carry.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// For durations.
    pub at: Instant,
    /// Seconds since 1970; `SOURCE_DATE_EPOCH` where it is given.
    pub time: i64,
}

impl Step<'_> {
    /// The execution begins now.
    pub fn begin(&self) -> Begun {
        Begun {
            at: Instant::now(),
            time: self.epoch.unwrap_or_else(|| self.session.host.seconds()),
        }
    }

    /// Sends an event about this step; `kind` is given its number.
    pub fn send(&self, kind: impl FnOnce(usize) -> EventKind) {
        self.session.events.send(kind(self.node.id.0));
    }

    /// Keeps and tells a warning about the instruction.
    pub fn warn(&self, code: &'static str, message: String, help: Option<String>) {
        let span = self.node.span.unwrap_or_default();
        self.session.found_by_step(&Diagnostic {
            line: self.node.line,
            phase: Phase::Execute,
            help,
            ..Diagnostic::warning(code, span, message)
        });
    }
}
