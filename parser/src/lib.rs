//! Dockerfile text to stage graph. Pure: no I/O, no clock, no environment.
//!
//! ```text
//! &str ─parse─▶ Dockerfile ─evaluate(inputs, bases)─▶ Needs(images)   resolve them, ask again
//!                                                  └▶ Graph(StageGraph)
//! ```
//! The language is that of BuildKit's frontend, with its stable and labs features. Beside the
//! language stand its two pattern dialects: [`ignore`] (`.dockerignore`) and [`glob`] (sources
//! of `COPY`).
#![forbid(unsafe_code)]

pub mod ast;
pub mod check;
pub mod chmod;
pub mod code;
pub mod csv;
pub mod debug;
pub mod diagnostic;
mod evaluate;
mod flags;
pub mod frontend;
pub mod glob;
pub mod graph;
pub mod heredoc;
pub mod ignore;
pub mod inputs;
pub mod instruction;
mod lexer;
pub mod line;
pub mod lint;
pub mod path;
pub mod redact;
pub mod source;
mod steps;
pub mod suggest;
pub mod targets;
pub mod words;

#[cfg(test)]
mod tests;

pub use ast::{Dockerfile, MAX_SOURCE, MAX_STAGES, Parsed, parse};
pub use diagnostic::{Diagnostic, Phase, Severity};
pub use evaluate::epoch::{EpochSource, epoch_source};
pub use evaluate::outline::{self, outline};
pub use evaluate::{evaluate, evaluate_with};
pub use graph::StageGraph;
pub use inputs::{Bases, Evaluation, ImageRequest, Inputs, NamedContext};
pub use lexer::Directive;
