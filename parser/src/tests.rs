//! Helpers of unit tests, and tests of the whole pipeline.

mod pipeline;
mod properties;

use kiln_oci::Platform;

use crate::ast::parse;
use crate::evaluate::evaluate;
use crate::graph::{Stage, StageGraph};
use crate::inputs::{Bases, Evaluation, Inputs};

/// `linux/amd64` and nothing else.
pub(crate) fn no_arguments() -> Inputs {
    Inputs::new(Platform::new("linux", "amd64"))
}

/// One `--build-arg`.
pub(crate) fn build_arg(name: &str, value: &str) -> Inputs {
    let mut inputs = no_arguments();
    inputs
        .language
        .build_args
        .insert(name.to_owned(), value.to_owned());
    inputs
}

/// The graph of a Dockerfile that needs no images.
pub(crate) fn evaluated(source: &str, inputs: Inputs) -> StageGraph {
    let parsed = parse(source);
    assert!(!parsed.has_errors(), "{:?}", parsed.errors);
    match evaluate(&parsed.dockerfile, &inputs, &Bases::default()) {
        Ok(Evaluation::Graph(graph)) => *graph,
        other => panic!("{other:?}"),
    }
}

/// The target of a Dockerfile that needs no images and no inputs.
pub(crate) fn target(source: &str) -> Stage {
    evaluated(source, no_arguments()).target_stage().clone()
}

/// The rules and messages of what is found in a Dockerfile that needs no images and no inputs.
pub(crate) fn warnings(source: &str) -> Vec<(&'static str, String)> {
    let found = evaluated(source, no_arguments()).warnings.into_iter();
    found
        .map(|warning| (warning.code, warning.message))
        .collect()
}

/// What is wrong with a Dockerfile before evaluation.
pub(crate) fn messages(source: &str) -> Vec<String> {
    parse(source)
        .errors
        .iter()
        .map(|found| found.message.clone())
        .collect()
}

/// What evaluation finds wrong.
pub(crate) fn evaluation_messages(source: &str) -> Vec<String> {
    let parsed = parse(source);
    assert!(!parsed.has_errors(), "{:?}", parsed.errors);
    match evaluate(&parsed.dockerfile, &no_arguments(), &Bases::default()) {
        Err(found) => found.into_iter().map(|found| found.message).collect(),
        Ok(other) => panic!("{other:?}"),
    }
}
