//! Rules that need values: their names and texts. Evaluation asks them; unaware of stages and of the rest of the Dockerfile.

use std::collections::BTreeSet;

use kiln_oci::Platform;

use super::rule::Rule;
use crate::diagnostic::{Diagnostic, Phase};
use crate::go;
use crate::ignore::Matcher;
use crate::line::Word;
use crate::path;
use crate::source::Span;
use crate::suggest;
use crate::words::Expansion;

macro_rules! rules {
    ($($constant:ident, $name:literal, $slug:literal, $description:literal;)*) => {
        $(pub(crate) const $constant: Rule = Rule::new($name, $slug, $description);)*
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
    INVALID_BASE_IMAGE_PLATFORM, "InvalidBaseImagePlatform", "",
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

/// The message about a variable that no `ARG` and no `ENV` sets. `known` have a value.
pub(crate) fn undefined_var<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = suggest::nearest(name, known).map(|near| format!(" (did you mean ${near}?)"));
    let near = near.unwrap_or_default();
    format!("Usage of undefined variable '${name}'{near}")
}

/// Variables of `FROM` that no global `ARG` declares; `known` are declared or have a value.
pub(crate) fn undefined_in_from(
    unset: &BTreeSet<String>,
    known: &[&str],
    span: Span,
) -> Vec<Diagnostic> {
    let undeclared = unset.iter().filter(|name| !known.contains(&name.as_str()));
    let warn = |name: &String| {
        let near = suggest::help(name, known.iter().copied());
        let near = near.map_or(String::new(), |near| format!(" ({near})"));
        let message = format!("FROM argument '{name}' is not declared{near}");
        evaluated(&UNDEFINED_ARG_IN_FROM, span, message)
    };
    undeclared.map(warn).collect()
}

/// A `--platform` that says nothing new, or that only one builder wants.
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
        let value = go::quote(result);
        let message = format!("FROM --platform flag should not use constant value {value}");
        let warning = evaluated(&FROM_PLATFORM_FLAG_CONST_DISALLOWED, flag.span, message);
        return Some(warning).filter(|_| !named);
    }
    let mut used = expansion.used.iter();
    let only_target = expansion.unset.is_empty() && used.all(|name| name == "TARGETPLATFORM");
    let message = format!(
        "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
        flag.text
    );
    (only_target && result == target)
        .then(|| evaluated(&REDUNDANT_TARGET_PLATFORM, flag.span, message))
}

/// A base that is invalid when no `--build-arg` is given.
pub(crate) fn invalid_default(written: &str, span: Span) -> Diagnostic {
    let message =
        format!("Default value for ARG {written} results in empty or invalid base image name");
    evaluated(&INVALID_DEFAULT_ARG_IN_FROM, span, message)
}

/// An image for another platform than was asked for.
pub(crate) fn base_platform(
    image: &str,
    expected: &Platform,
    actual: &Platform,
    span: Span,
) -> Option<Diagnostic> {
    let same = (&expected.os, &expected.architecture) == (&actual.os, &actual.architecture);
    // Very old images name none.
    let silent = actual.os.is_empty() && actual.architecture.is_empty();
    let message = format!(
        "Base image {image} was pulled with platform {:?}, expected {:?} for current build",
        actual.normalized().to_string(),
        expected.normalized().to_string()
    );
    (!same && !silent).then(|| evaluated(&INVALID_BASE_IMAGE_PLATFORM, span, message))
}

/// The message about a source of the main context that its `.dockerignore` leaves out. With `!` patterns nothing can be said.
pub(crate) fn ignored_source(verb: &str, source: &str, ignore: &Matcher) -> Option<String> {
    let source = path::clean(source);
    // A pattern leaves out the root only if it leaves out everything in it.
    let is_root = matches!(source.as_str(), "." | "/");
    let counts = !ignore.has_exclusions() && (!is_root || ignore.ignores_all());
    let is_ignored = counts && ignore.ignored(&source).unwrap_or(false);
    let source = go::quote(&source);
    is_ignored
        .then(|| format!("Attempting to {verb} file {source} that is excluded by .dockerignore"))
}

fn evaluated(rule: &Rule, span: Span, message: String) -> Diagnostic {
    rule.warning(span, message).in_phase(Phase::Evaluate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{build_arg, evaluated as graph, warnings};

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
        let found = |patterns: &[&str], source: &str| {
            let matcher = Matcher::new(patterns).unwrap();
            ignored_source("Copy", source, &matcher)
        };
        let message = |source: &str| {
            Some(format!(
                "Attempting to Copy file {source:?} that is excluded by .dockerignore"
            ))
        };
        assert_eq!(found(&["b", "d"], "b/c"), message("b/c"));
        assert_eq!(found(&["b", "d"], "./d/"), message("d"));
        assert_eq!(found(&["b", "d"], "a"), None);
        assert_eq!(found(&["b", "!c"], "b"), None);
    }

    #[test]
    fn the_root_is_ignored_only_with_all_that_is_in_it() {
        for pattern in ["*", "**", "**/*"] {
            let matcher = Matcher::new([pattern]).unwrap();
            assert!(ignored_source("Add", "./", &matcher).is_some(), "{pattern}");
        }
        for pattern in [".*", "a", "*.txt", "?"] {
            let matcher = Matcher::new([pattern]).unwrap();
            assert_eq!(ignored_source("Add", ".", &matcher), None, "{pattern}");
        }
    }
}
