//! Warnings about what is allowed but rarely meant: BuildKit's rules, by its names. To add one
//! that looks at the text only: write `lint/x.rs` and add its line to [`RULES`]. Rules that
//! need values are asked while a stage is evaluated; their texts stand in `lint/evaluated.rs`.
//!
//! `# check=skip=A,B;error=true` steers them for the file, and so does the same text in a
//! comment directly above an instruction, for that instruction.

mod config;
mod consistent_instruction_casing;
mod duplicate_stage_name;
pub(crate) mod evaluated;
mod from_as_casing;
mod invalid_definition_description;
mod legacy_key_value_format;
mod maintainer_deprecated;
mod multiple_instructions_disallowed;
mod no_empty_continuation;
mod reserved_stage_name;
mod secrets_used_in_arg_or_env;
mod stage_name_casing;

use std::fmt::Write as _;

use crate::ast::{Dockerfile, StageAst};
use crate::diagnostic::Diagnostic;
use crate::source::Span;

pub use config::Config;
pub use evaluated::ignored_sources;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// PascalCase: the code of its warnings.
    pub name: &'static str,
    /// The last part of the address where it is explained.
    slug: &'static str,
    /// What it demands.
    pub description: &'static str,
    /// Only if asked for: `# check=experimental=…`.
    pub experimental: bool,
    /// Where it counts.
    scope: Scope,
    /// None for rules that need values.
    check: Option<fn(&Dockerfile, &mut Findings)>,
}

/// Where a rule about the text counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// In the whole file.
    File,
    /// In stages that are built: like BuildKit, which asks while it evaluates them.
    Stage,
}

/// All rules.
pub const RULES: &[Rule] = &[
    stage_name_casing::RULE,
    from_as_casing::RULE,
    no_empty_continuation::RULE,
    consistent_instruction_casing::RULE,
    duplicate_stage_name::RULE,
    reserved_stage_name::RULE,
    maintainer_deprecated::RULE,
    multiple_instructions_disallowed::RULE,
    legacy_key_value_format::RULE,
    secrets_used_in_arg_or_env::RULE,
    invalid_definition_description::RULE,
    evaluated::JSON_ARGS_RECOMMENDED,
    evaluated::WORKDIR_RELATIVE_PATH,
    evaluated::UNDEFINED_VAR,
    evaluated::UNDEFINED_ARG_IN_FROM,
    evaluated::INVALID_DEFAULT_ARG_IN_FROM,
    evaluated::INVALID_BASE_IMAGE_PLATFORM,
    evaluated::REDUNDANT_TARGET_PLATFORM,
    evaluated::FROM_PLATFORM_FLAG_CONST_DISALLOWED,
    evaluated::EXPOSE_PROTO_CASING,
    evaluated::EXPOSE_INVALID_FORMAT,
    evaluated::COPY_IGNORED_FILE,
];

impl Rule {
    /// Where the rule is explained.
    pub fn url(&self) -> String {
        format!("https://docs.docker.com/go/dockerfile/rule/{}/", self.slug)
    }

    /// The rule of a name.
    pub fn find(name: &str) -> Option<&'static Rule> {
        RULES.iter().find(|rule| rule.name == name)
    }

    pub(crate) fn warning(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(self.name, span, message)
    }
}

/// The reference of all rules, in Markdown.
pub fn reference() -> String {
    let mut text = "| rule | what it demands |\n| --- | --- |\n".to_owned();
    let mut rules: Vec<&Rule> = RULES.iter().collect();
    rules.sort_by_key(|rule| rule.name);
    for rule in rules {
        let mark = if rule.experimental {
            " (only if asked for)"
        } else {
            ""
        };
        let (name, url) = (rule.name, rule.url());
        let description = rule.description.replace('|', "\\|").replace('<', "\\<");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| [{name}]({url}){mark} | {description} |");
    }
    text
}

/// How many warnings about the text are told.
const MAX_FINDINGS: usize = 1_000;

/// What the rules found.
#[derive(Debug, Default)]
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn add(&mut self, rule: &Rule, line: &crate::line::Line, span: Span, message: String) {
        if self.0.len() >= MAX_FINDINGS {
            return;
        }
        let warning = rule.warning(span, message);
        self.0.push(Diagnostic {
            line: line.first,
            ..warning
        });
    }
}

/// Runs the rules that look at the text only. `built` are the numbers of the stages that are
/// built, in order; None is all. Warnings come in the order of their places.
pub(crate) fn check(
    dockerfile: &Dockerfile,
    config: &Config,
    built: Option<&[usize]>,
) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    for rule in RULES {
        if let Some(check) = rule.check {
            let before = findings.0.len();
            check(dockerfile, &mut findings);
            if let (Scope::Stage, Some(built)) = (rule.scope, built) {
                let own = findings.0.split_off(before);
                let counts = |found: &Diagnostic| is_built(dockerfile, built, found);
                findings.0.extend(own.into_iter().filter(counts));
            }
        }
    }
    let mut found = findings.0;
    config.retain(dockerfile, &mut found);
    found.sort_by_key(|warning| warning.span);
    found
}

/// Whether a finding is in one of these stages.
fn is_built(dockerfile: &Dockerfile, built: &[usize], found: &Diagnostic) -> bool {
    let begins = |stage: &StageAst| dockerfile.lines[stage.line].first;
    let after = dockerfile
        .stages
        .partition_point(|stage| begins(stage) <= found.line);
    after
        .checked_sub(1)
        .is_some_and(|stage| built.binary_search(&stage).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What is found in a text.
    fn found(source: &str) -> Vec<Diagnostic> {
        let parsed = crate::parse(source);
        assert!(!parsed.has_errors(), "{:?}", parsed.errors);
        let config = Config::of(&parsed.dockerfile, &BTreeMap::new()).unwrap();
        check(&parsed.dockerfile, &config, None)
    }

    /// The names and messages of warnings about the text.
    pub(super) fn warnings(source: &str) -> Vec<(&'static str, String)> {
        let found = found(source).into_iter();
        found
            .map(|warning| (warning.code, warning.message))
            .collect()
    }

    #[test]
    fn rules_about_stages_count_where_something_is_built() {
        let source = "FROM x AS a\nENV a b\nMAINTAINER m\nFROM y\nENV c d";
        let parsed = crate::parse(source);
        let lines = |built: Option<&[usize]>| {
            let found = check(&parsed.dockerfile, &Config::default(), built);
            found.iter().map(|found| found.line).collect::<Vec<_>>()
        };
        assert_eq!(lines(None), [2, 3, 5]);
        assert_eq!(lines(Some(&[1])), [3, 5]);
        assert_eq!(lines(Some(&[0])), [2, 3]);
    }

    #[test]
    fn there_are_22_rules_with_their_own_names() {
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 22);
        assert!(
            Rule::find("UndefinedVar")
                .unwrap()
                .url()
                .ends_with("/undefined-var/")
        );
    }

    #[test]
    fn warnings_come_in_order_with_their_lines() {
        let found: Vec<_> = found("from x AS a\nENV a b\nMAINTAINER m")
            .iter()
            .map(|found| (found.code, found.line))
            .collect();
        assert_eq!(found[0], ("ConsistentInstructionCasing", 1));
        assert!(
            found.contains(&("LegacyKeyValueFormat", 2))
                && found.contains(&("MaintainerDeprecated", 3))
        );
    }
}
