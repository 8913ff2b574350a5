//! Everything that can be said about a Dockerfile without building it: errors and what the rules of [`crate::lint`] find, in all stages
//! unless a target was asked for. An unknown base image does not stop a check. Unaware of how images are found.

use kiln_oci::ImageConfig;

use crate::ast::{Dockerfile, parse};
use crate::diagnostic::Diagnostic;
use crate::evaluate::evaluate_with;
use crate::graph::StageGraph;
use crate::inputs::{Bases, Entitlement, Evaluation, ImageRequest, Inputs};
use crate::lint::{self, Config};

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What would stop the build.
    pub errors: Vec<Diagnostic>,
    /// What the rules found, in the order of the places; up to the first error, if there is one.
    pub warnings: Vec<Diagnostic>,
    /// Unknown images: no warning is given about variables that they may set.
    pub unknown_images: Vec<ImageRequest>,
    /// The error into which `error=true` of `# check=` turns the warnings.
    pub violation: Option<Diagnostic>,
}

/// Checks a Dockerfile. `find` gives the configuration of an image, if it has one.
pub fn check(
    source: &str,
    inputs: &Inputs,
    find: &mut dyn FnMut(&ImageRequest) -> Option<ImageConfig>,
) -> Report {
    let parsed = parse(source);
    let (dockerfile, mut report) = (&parsed.dockerfile, Report::default());
    if parsed.has_errors() {
        match lint::before_errors(&parsed, &inputs.language.build_args) {
            Ok(warnings) => report.warnings = warnings,
            Err(error) => report.errors.push(error),
        }
        report.errors.extend(parsed.errors);
        return report;
    }
    use Entitlement::{Device, NetworkHost, SecurityInsecure};
    let mut all = inputs.clone();
    all.all_stages = inputs.language.target.is_none();
    // A build asks for what it must be granted when it is executed.
    all.language.allow = [NetworkHost, SecurityInsecure, Device].into();
    match graph(dockerfile, &all, find, &mut report) {
        Ok(graph) => {
            // It was read before, while the stages were evaluated.
            let config = Config::of(&dockerfile.directives, &inputs.language.build_args);
            report.warnings = graph.warnings;
            report.violation = config.unwrap_or_default().violation(&report.warnings);
        }
        Err(errors) => report.errors.extend(errors),
    }
    report
}

/// The graph of a Dockerfile without errors. `find` is asked for images; the report lists those that it does not have.
///
/// # Errors
/// What is wrong with it; then the report has the warnings so far.
pub(crate) fn graph(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    find: &mut dyn FnMut(&ImageRequest) -> Option<ImageConfig>,
    report: &mut Report,
) -> Result<StageGraph, Vec<Diagnostic>> {
    let mut bases = Bases::default();
    loop {
        match evaluate_with(dockerfile, inputs, &bases, &mut report.warnings)? {
            Evaluation::Graph(graph) => return Ok(*graph),
            Evaluation::Needs(requests) => {
                for request in requests {
                    match find(&request) {
                        Some(config) => bases.insert(&request, config),
                        None => {
                            bases.insert_unknown(&request);
                            report.note_unknown(request);
                        }
                    }
                }
            }
        }
    }
}

impl Report {
    /// Only images whose configuration counts.
    fn note_unknown(&mut self, request: ImageRequest) {
        if request.needs_config {
            self.unknown_images.push(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ignore::Matcher;
    use crate::tests::{build_arg, no_arguments};

    fn report(source: &str, inputs: &Inputs) -> Report {
        let inputs = Inputs {
            ignore: Matcher::new(["ignored"]).unwrap(),
            ..inputs.clone()
        };
        check(source, &inputs, &mut |_| None)
    }

    fn codes(found: &[Diagnostic]) -> Vec<(&'static str, u32)> {
        found.iter().map(|found| (found.code, found.line)).collect()
    }

    #[test]
    fn all_stages_are_checked_unless_there_is_a_target() {
        let source = "FROM scratch AS a\nENV a b\nFROM scratch AS b\nCMD x\nCOPY ignored /";
        let all = report(source, &no_arguments());
        let expected = [
            ("LegacyKeyValueFormat", 2),
            ("JSONArgsRecommended", 4),
            ("CopyIgnoredFile", 5),
        ];
        assert_eq!(codes(&all.warnings), expected);
        let mut inputs = no_arguments();
        inputs.language.target = Some("b".to_owned());
        assert_eq!(codes(&report(source, &inputs).warnings), expected[1..]);
    }

    #[test]
    fn unknown_bases_stop_nothing_and_their_variables_are_not_missed() {
        let found = report(
            "FROM x\nRUN true\nLABEL a=$FOO\nFROM scratch\nLABEL a=$FOO",
            &no_arguments(),
        );
        assert!(found.errors.is_empty());
        assert_eq!(codes(&found.warnings), [("UndefinedVar", 5)]);
        assert_eq!(found.unknown_images[0].reference, "x");
    }

    #[test]
    fn nothing_is_said_of_values_that_unknown_bases_may_set() {
        let values = "WORKDIR $HOME\nVOLUME $DATA\nEXPOSE $PORT/TCP\nSTOPSIGNAL $SIGNAL\nCOPY $DATA/ignored /\n\
            RUN --mount=target=$TARGET true\nENV A=${B?}\n";
        let found = report(&format!("FROM x\n{values}"), &no_arguments());
        assert_eq!((&found.errors[..], &found.warnings[..]), (&[][..], &[][..]));
        let found = report("FROM x\nARG PORT\nEXPOSE $PORT/tcp\n", &no_arguments());
        assert_eq!(found.errors.len(), 1);
        let found = report(&format!("FROM scratch\n{values}"), &no_arguments());
        assert_eq!(found.errors.len(), 1);
    }

    #[test]
    fn what_bases_say_counts() {
        let mut config = ImageConfig::new(&no_arguments().build_platform);
        config.config.env = vec!["FOO=1".to_owned()];
        config.config.on_build = vec!["RUN $UNKNOWN".to_owned(), "LABEL b=$BAR".to_owned()];
        let mut find = |_: &ImageRequest| Some(config.clone());
        let found = check("FROM x\nLABEL a=$FOO", &no_arguments(), &mut find);
        assert_eq!(codes(&found.warnings), [("UndefinedVar", 1)]);
        assert!(found.warnings[0].message.contains("$BAR"));
    }

    #[test]
    fn errors_keep_the_warnings_before_them() {
        let source = "FROM scratch\nCMD x\nENV a b\nEXPOSE many";
        let found = report(source, &no_arguments());
        assert_eq!(codes(&found.errors).len(), 1);
        let names: Vec<_> = found.warnings.iter().map(|found| found.code).collect();
        assert_eq!(names, ["JSONArgsRecommended", "LegacyKeyValueFormat"]);
        let found = report("FROM $X AS A\nENV a b", &no_arguments());
        let names: Vec<_> = found.warnings.iter().map(|found| found.code).collect();
        assert_eq!(
            names,
            [
                "InvalidDefaultArgInFrom",
                "UndefinedArgInFrom",
                "StageNameCasing"
            ]
        );
        let found = report("FROM x AS A\nFOO", &no_arguments());
        assert_eq!(codes(&found.warnings), [("StageNameCasing", 1)]);
        assert_eq!(codes(&found.errors).len(), 1);
    }

    #[test]
    fn warnings_become_an_error_where_that_was_asked_for() {
        let source = "# check=error=true\nFROM scratch\nCMD x";
        let error = report(source, &no_arguments()).violation.unwrap();
        assert_eq!(
            error.message,
            "lint violation found for rules: JSONArgsRecommended"
        );
        let inputs = build_arg("BUILDKIT_DOCKERFILE_CHECK", "skip=all");
        let found = report(source, &inputs);
        assert!(found.violation.is_none() && found.warnings.is_empty());
    }
}
