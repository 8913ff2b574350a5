//! A default for `TARGETARCH` and its family: it counts instead of the platform that is built, so every platform gets files of one.

use super::Finding;
use super::subject::Subject;
use kiln_parser::instruction::{Arg, Instruction};

/// Arguments that a build sets by itself.
const AUTOMATIC: [&str; 8] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
];

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(source) = subject.source else {
        return Vec::new();
    };
    let dockerfile = source.dockerfile;
    let globals = dockerfile
        .globals
        .iter()
        .map(|global| (global.line, &global.arg));
    let statements = dockerfile.stages.iter().flat_map(|stage| &stage.statements);
    let own = statements.filter_map(|statement| match &statement.instruction {
        Instruction::Arg(arg) => Some((statement.line, arg)),
        _ => None,
    });
    let found = globals.chain(own).flat_map(|(line, arg)| {
        let line = dockerfile.lines.get(line).map(|line| line.first);
        findings(line, arg)
    });
    found.collect()
}

fn findings(line: Option<u32>, arg: &Arg) -> Vec<Finding> {
    let automatic = arg
        .arguments
        .iter()
        .filter(|argument| AUTOMATIC.contains(&argument.name.as_str()));
    let found = automatic.filter_map(|argument| {
        let (name, default) = (&argument.name, argument.default.as_ref()?);
        Some(Finding {
            line,
            what: format!(
                "ARG {name}={} hides the platform that is built: the value is always this one",
                default.text
            ),
            advice: format!("ARG {name}"),
            ..Finding::default()
        })
    });
    found.collect()
}
