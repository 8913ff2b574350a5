//! Dockerfile text to stage graph. Pure: no I/O, no clock, no environment. Unaware of how images are found and steps are executed.
//!
//! ```text
//! &str ─parse─▶ Dockerfile ─evaluate(inputs, bases)─▶ Needs(images)   resolve them, ask again
//!                                                  └▶ Graph(StageGraph)
//! ```
//! The language is that of BuildKit's frontend, with its stable and labs features. Its two pattern dialects are here too: [`ignore`]
//! (`.dockerignore`) and [`glob`] (sources of `COPY`).
//!
//! ```
//! use kiln_oci::{ImageConfig, Platform};
//! use kiln_parser::{Bases, Evaluation, Inputs, evaluate, parse};
//!
//! let parsed = parse("FROM alpine\nWORKDIR /src\nRUN make\n");
//! assert!(!parsed.has_errors());
//!
//! let platform = Platform::new("linux", "amd64");
//! let inputs = Inputs::new(platform.clone());
//! let mut bases = Bases::default();
//! let graph = loop {
//!     match evaluate(&parsed.dockerfile, &inputs, &bases).unwrap() {
//!         Evaluation::Graph(graph) => break graph,
//!         // A real caller asks a registry for the configuration.
//!         Evaluation::Needs(requests) => {
//!             for request in requests {
//!                 assert_eq!(request.reference, "alpine");
//!                 bases.insert(&request, ImageConfig::new(&platform));
//!             }
//!         }
//!     }
//! };
//! assert_eq!(graph.nodes[graph.target_stage().output.0].title, "RUN make");
//! ```
//!
//! # Floors
//!
//! From the lowest: `source`, `diagnostic`, `words`, `glob`, `ignore` and other text; `lexer`, `heredoc`, `line`; `graph` and `inputs` (data);
//! `lint/rule` and `lint/config`; `stage` (a stage while instructions change it); `instruction`; `ast`; `lint` (rules about the text);
//! `evaluate`; `check`. A floor uses only those before it.
#![forbid(unsafe_code)]

pub mod almost_json;
mod ast;
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
mod go;
pub mod graph;
mod heredoc;
pub mod ignore;
pub mod inputs;
pub mod instruction;
mod lexer;
mod line;
pub mod lint;
mod path;
pub mod redact;
pub mod source;
mod stage;
mod steps;
pub mod suggest;
pub mod targets;
pub mod words;

#[cfg(test)]
mod tests;

pub use ast::{Dockerfile, MAX_SOURCE, MAX_STAGES, Parsed, StageAst, Statement, parse};
pub use diagnostic::{Diagnostic, Phase, Severity};
pub use evaluate::epoch::{EpochSource, epoch_source};
pub use evaluate::outline::{self, outline};
pub use evaluate::{evaluate, evaluate_with};
pub use graph::StageGraph;
pub use inputs::{Bases, Evaluation, ImageRequest, Inputs, NamedContext};
pub use lexer::Directive;
pub use line::Line;
