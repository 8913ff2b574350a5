//! Rules that need values: evaluation asks them. Here are their names and texts.

use std::collections::BTreeSet;

use kiln_oci::{Platform, Reference};

use super::{Config, Rule, Scope};
use crate::diagnostic::{Diagnostic, Phase};
use crate::graph::{CopySource, Op, StageGraph};
use crate::ignore::Matcher;
use crate::line::Word;
use crate::source::Span;
use crate::suggest;
use crate::words::Expansion;

macro_rules! rules {
    ($($constant:ident, $name:literal, $slug:literal, $description:literal;)*) => {
        $(pub(crate) const $constant: Rule = Rule {
            name: $name,
            slug: $slug,
            description: $description,
            experimental: false,
            scope: Scope::Stage,
            check: None,
        };)*
    };
}

rules! {
    JSON_ARGS_RECOMMENDED, "JSONArgsRecommended", "json-args-recommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals";
    WORKDIR_RELATIVE_PATH, "WorkdirRelativePath", "workdir-relative-path",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes";
    UNDEFINED_VAR, "UndefinedVar", "undefined-var",
        "Variables should be defined before their use";
    UNDEFINED_ARG_IN_FROM, "UndefinedArgInFrom", "undefined-arg-in-from",
        "FROM command must use declared ARGs";
    INVALID_DEFAULT_ARG_IN_FROM, "InvalidDefaultArgInFrom", "invalid-default-arg-in-from",
        "Default value for global ARG results in an empty or invalid base image name";
    INVALID_BASE_IMAGE_PLATFORM, "InvalidBaseImagePlatform", "invalid-base-image-platform",
        "Base image platform does not match expected target platform";
    REDUNDANT_TARGET_PLATFORM, "RedundantTargetPlatform", "redundant-target-platform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior";
    FROM_PLATFORM_FLAG_CONST_DISALLOWED, "FromPlatformFlagConstDisallowed", "from-platform-flag-const-disallowed",
        "FROM --platform flag should not use a constant value";
    EXPOSE_PROTO_CASING, "ExposeProtoCasing", "expose-proto-casing",
        "Protocol in EXPOSE instruction should be lowercase";
    EXPOSE_INVALID_FORMAT, "ExposeInvalidFormat", "expose-invalid-format",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release";
    COPY_IGNORED_FILE, "CopyIgnoredFile", "copy-ignored-file",
        "Attempting to Copy file that is excluded by .dockerignore";
}

/// A variable that no `ARG` and no `ENV` sets.
pub(crate) fn undefined_var<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
    span: Span,
) -> Diagnostic {
    let near = suggest::nearest(name, known).map(|near| format!(" (did you mean ${near}?)"));
    let message = format!(
        "Usage of undefined variable '${name}'{}",
        near.unwrap_or_default()
    );
    evaluated(&UNDEFINED_VAR, span, message)
}

/// Variables of `FROM` that no global `ARG` declares.
pub(crate) fn undefined_in_from<'a>(
    unset: &BTreeSet<String>,
    known: impl Iterator<Item = &'a str> + Clone,
    span: Span,
) -> Vec<Diagnostic> {
    let undeclared = unset
        .iter()
        .filter(|name| !known.clone().any(|other| other == *name));
    let warn = |name: &String| {
        let near = suggest::nearest(name, known.clone());
        let near = near
            .map(|near| format!(" (did you mean {near}?)"))
            .unwrap_or_default();
        let message = format!("FROM argument '{name}' is not declared{near}");
        evaluated(&UNDEFINED_ARG_IN_FROM, span, message)
    };
    undeclared.map(warn).collect()
}

/// `--platform` that says nothing new, or what only one builder wants.
pub(crate) fn platform_flag(
    flag: &Word,
    expansion: &Expansion,
    target: &str,
    stage: &str,
) -> Option<Diagnostic> {
    let result = expansion.text.as_str();
    if expansion.used.is_empty() && expansion.unset.is_empty() {
        let platform = Platform::parse(result).ok()?;
        let named = stage.contains(&platform.os) || stage.contains(&platform.architecture);
        let message = format!("FROM --platform flag should not use constant value {result:?}");
        return (!named)
            .then(|| evaluated(&FROM_PLATFORM_FLAG_CONST_DISALLOWED, flag.span, message));
    }
    let only_target = expansion.unset.is_empty()
        && expansion.used.len() == 1
        && expansion.used.contains("TARGETPLATFORM");
    let message = format!(
        "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
        flag.text
    );
    (only_target && result == target)
        .then(|| evaluated(&REDUNDANT_TARGET_PLATFORM, flag.span, message))
}

/// A base that is none when no `--build-arg` is given.
pub(crate) fn default_base(written: &str, result: &str, span: Span) -> Option<Diagnostic> {
    let message =
        format!("Default value for ARG {written} results in empty or invalid base image name");
    Reference::parse(result)
        .is_err()
        .then(|| evaluated(&INVALID_DEFAULT_ARG_IN_FROM, span, message))
}

/// An image for another platform than was asked for.
pub(crate) fn base_platform(
    image: &str,
    expected: &Platform,
    actual: &Platform,
    span: Span,
) -> Option<Diagnostic> {
    let same = (&expected.os, &expected.architecture) == (&actual.os, &actual.architecture);
    // Very old images say nothing.
    let silent = actual.os.is_empty() && actual.architecture.is_empty();
    let message = format!(
        "Base image {image} was pulled with platform {:?}, expected {:?} for current build",
        actual.normalized().to_string(),
        expected.to_string()
    );
    (!same && !silent).then(|| evaluated(&INVALID_BASE_IMAGE_PLATFORM, span, message))
}

/// `CopyIgnoredFile`: sources of the main context that its `.dockerignore` leaves out. With `!`
/// patterns nothing can be said.
pub fn ignored_sources(
    dockerfile: &crate::Dockerfile,
    graph: &StageGraph,
    ignore: &Matcher,
    config: &Config,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if ignore.has_exclusions() {
        return found;
    }
    for node in &graph.nodes {
        let Op::Copy(copy) = &node.op else {
            continue;
        };
        for source in &copy.sources {
            let CopySource::Files { from, paths } = source else {
                continue;
            };
            if !matches!(graph.node(*from).op, Op::Context { name: None }) {
                continue;
            }
            for path in paths.iter().filter(|path| !path.pattern.is_empty()) {
                if ignore.ignored(&path.pattern).unwrap_or(false) {
                    let verb = if copy.is_add { "Add" } else { "Copy" };
                    let message = format!(
                        "Attempting to {verb} file {:?} that is excluded by .dockerignore",
                        path.pattern
                    );
                    let warning =
                        evaluated(&COPY_IGNORED_FILE, node.span.unwrap_or_default(), message);
                    found.push(Diagnostic {
                        line: node.line,
                        ..warning
                    });
                }
            }
        }
    }
    config.retain(dockerfile, &mut found);
    found
}

fn evaluated(rule: &Rule, span: Span, message: String) -> Diagnostic {
    Diagnostic {
        phase: Phase::Evaluate,
        ..rule.warning(span, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{build_arg, evaluated as graph, no_arguments};

    fn warnings(source: &str) -> Vec<(&'static str, String)> {
        let found = graph(source, no_arguments()).warnings.into_iter();
        found
            .map(|warning| (warning.code, warning.message))
            .collect()
    }

    #[test]
    fn shell_forms_of_commands() {
        let found = warnings("FROM scratch\nCMD a");
        assert_eq!(found[0].0, "JSONArgsRecommended");
        assert!(warnings("FROM scratch\nSHELL [\"x\"]\nENTRYPOINT a").is_empty());
        assert!(warnings("FROM scratch\nENTRYPOINT [\"a\"]").is_empty());
    }

    #[test]
    fn relative_directories_without_an_absolute_one() {
        let found = warnings("FROM scratch\nWORKDIR a\nWORKDIR b");
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].1,
            "Relative workdir \"a\" can have unexpected results if the base image changes"
        );
        assert!(warnings("FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b").is_empty());
    }

    #[test]
    fn arguments_of_from() {
        assert_eq!(
            warnings("ARG TAGS=x\nFROM scratch${TAG}")[0].1,
            "FROM argument 'TAG' is not declared (did you mean TAGS?)"
        );
        let found = graph("ARG B\nFROM $B", build_arg("B", "scratch")).warnings;
        assert_eq!(found[0].code, "InvalidDefaultArgInFrom");
    }

    #[test]
    fn platforms_of_from() {
        let names = |from: &str| {
            warnings(&format!("FROM {from}"))
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names("--platform=$TARGETPLATFORM scratch"),
            ["RedundantTargetPlatform"]
        );
        assert_eq!(
            names("--platform=linux/arm64 scratch"),
            ["FromPlatformFlagConstDisallowed"]
        );
        assert!(names("--platform=linux/arm64 scratch AS arm64-tools").is_empty());
        assert!(names("--platform=$BUILDPLATFORM scratch").is_empty());
    }

    #[test]
    fn platforms_of_images() {
        let (amd64, arm64) = (
            Platform::new("linux", "amd64"),
            Platform::new("linux", "arm64"),
        );
        assert!(base_platform("x", &amd64, &amd64, Span::default()).is_none());
        let message = base_platform("x", &amd64, &arm64, Span::default())
            .unwrap()
            .message;
        assert_eq!(
            message,
            "Base image x was pulled with platform \"linux/arm64\", expected \"linux/amd64\" for current build"
        );
    }

    #[test]
    fn ports() {
        let names: Vec<_> = warnings("FROM scratch\nEXPOSE 80/TCP 1:2")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["ExposeProtoCasing", "ExposeInvalidFormat"]);
    }

    #[test]
    fn sources_that_are_ignored() {
        let source = "FROM scratch\nCOPY a b/c . /x/\nADD d /x/\n";
        let parsed = crate::parse(source);
        let graph = graph(source, no_arguments());
        let found = |patterns: &[&str]| {
            let matcher = Matcher::new(patterns).unwrap();
            ignored_sources(&parsed.dockerfile, &graph, &matcher, &Config::default())
                .into_iter()
                .map(|found| found.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&["b", "d"]), [2, 3]);
        assert!(found(&["b", "!c"]).is_empty());
    }
}
