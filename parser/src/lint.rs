//! Warnings about what is allowed but rarely meant: BuildKit's rules, by its names. Unaware of how warnings are shown.
//!
//! To add a rule that looks at the text only: write `lint/x.rs` and add its line to [`CHECKS`]. Rules that need values are asked while a
//! stage is evaluated; their texts are in `lint/evaluated.rs`.
//!
//! A Dockerfile that has an error still gets the warnings of the rules that were asked before it: [`When`] says how far the reading must
//! have come for a rule to be asked.
//!
//! `# check=skip=A,B;error=true` controls the rules for the file; a comment directly above an instruction does so for that instruction.

pub(crate) mod config;
mod consistent_instruction_casing;
mod duplicate_stage_name;
pub(crate) mod evaluated;
mod from_as_casing;
mod invalid_definition_description;
pub(crate) mod legacy_key_value_format;
mod maintainer_deprecated;
pub(crate) mod multiple_instructions_disallowed;
mod no_empty_continuation;
mod reserved_stage_name;
pub(crate) mod rule;
pub(crate) mod secrets_used_in_arg_or_env;
mod stage_name_casing;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ast::{Dockerfile, Parsed};
use crate::diagnostic::{Diagnostic, Phase};
use crate::line::Line;
use crate::source::Span;

pub use config::Config;
pub use rule::Rule;

/// The name of the rule about images for another platform.
pub const INVALID_BASE_IMAGE_PLATFORM: &str = evaluated::INVALID_BASE_IMAGE_PLATFORM.name;

/// How far the reading has come when a rule is asked; in BuildKit's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The lines are split.
    Lines,
    /// One instruction is read; those after the first broken one are not.
    Instruction,
    /// All instructions are read.
    Stages,
}

/// A rule that looks at the text only.
type Check = (Rule, When, fn(&Dockerfile, &mut Findings));

static CHECKS: [Check; 8] = [
    (
        stage_name_casing::RULE,
        When::Instruction,
        stage_name_casing::check,
    ),
    (
        from_as_casing::RULE,
        When::Instruction,
        from_as_casing::check,
    ),
    (
        no_empty_continuation::RULE,
        When::Lines,
        no_empty_continuation::check,
    ),
    (
        consistent_instruction_casing::RULE,
        When::Stages,
        consistent_instruction_casing::check,
    ),
    (
        duplicate_stage_name::RULE,
        When::Stages,
        duplicate_stage_name::check,
    ),
    (
        reserved_stage_name::RULE,
        When::Stages,
        reserved_stage_name::check,
    ),
    (
        maintainer_deprecated::RULE,
        When::Instruction,
        maintainer_deprecated::check,
    ),
    (
        invalid_definition_description::RULE,
        When::Instruction,
        invalid_definition_description::check,
    ),
];

/// Rules that need values.
static EVALUATED: [Rule; 14] = [
    multiple_instructions_disallowed::RULE,
    legacy_key_value_format::RULE,
    secrets_used_in_arg_or_env::RULE,
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

/// All rules.
fn rules() -> impl Iterator<Item = &'static Rule> {
    CHECKS.iter().map(|(rule, ..)| rule).chain(&EVALUATED)
}

impl Rule {
    /// The rule with a name.
    pub fn find(name: &str) -> Option<&'static Rule> {
        rules().find(|rule| rule.name == name)
    }
}

/// The reference of all rules, in Markdown.
pub fn reference() -> String {
    let mut text = "| rule | what it demands |\n| --- | --- |\n".to_owned();
    let mut rules: Vec<&Rule> = rules().collect();
    rules.sort_by_key(|rule| rule.name);
    for rule in rules {
        let mark = if rule.experimental {
            " (only if asked for)"
        } else {
            ""
        };
        let (name, url) = (rule.name, rule.url());
        let description = rule.description.replace('|', "\\|").replace('<', "\\<");
        let name = match url.as_str() {
            "" => name.to_owned(),
            url => format!("[{name}]({url})"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name}{mark} | {description} |");
    }
    text
}

/// How many warnings about the text are reported.
const MAX_FINDINGS: usize = 1_000;

/// What the rules found.
#[derive(Debug, Default)]
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn push(&mut self, warning: Diagnostic) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push(warning);
        }
    }

    fn add(&mut self, rule: &Rule, line: &Line, span: Span, message: String) {
        self.push(rule.warning(span, message).at_line(line.first));
    }
}

/// Asks the rules that look at the text only. `broken` is the line of the first instruction that could not be read. Warnings come in the
/// order of their places.
pub(crate) fn check(
    dockerfile: &Dockerfile,
    config: &Config,
    broken: Option<u32>,
) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    for (rule, when, check) in CHECKS.iter().filter(|(_, when, _)| when.is_reached(broken)) {
        let before = findings.0.len();
        check(dockerfile, &mut findings);
        if *when == When::Instruction {
            let own = findings.0.split_off(before);
            let counts = |found: &Diagnostic| {
                broken.is_none_or(|broken| found.line <= broken)
                    && config.asks(rule, comments(dockerfile, found.line))
            };
            findings.0.extend(own.into_iter().filter(counts));
        } else if !config.asks(rule, &[]) {
            findings.0.truncate(before);
        }
    }
    let mut found = findings.0;
    found.sort_by_key(|warning| warning.span);
    found
}

/// What rules find in a Dockerfile with errors: nothing if its lines cannot be split.
///
/// # Errors
/// A `# check=` that cannot be read.
pub fn before_errors(
    parsed: &Parsed,
    build_args: &BTreeMap<String, String>,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let config = Config::of(&parsed.dockerfile.directives, build_args)?;
    let is_syntax = |error: &Diagnostic| error.phase == Phase::Syntax;
    let broken = parsed.errors.iter().map(|error| error.line).min();
    Ok(match broken {
        Some(_) if parsed.errors.iter().any(is_syntax) => Vec::new(),
        broken => check(&parsed.dockerfile, &config, broken),
    })
}

impl When {
    fn is_reached(self, broken: Option<u32>) -> bool {
        broken.is_none() || self != When::Stages
    }
}

/// All `FROM`s, even those that have errors.
fn from_lines(dockerfile: &Dockerfile) -> impl Iterator<Item = &Line> {
    let lines = dockerfile.lines.iter();
    lines.filter(|line| line.name().eq_ignore_ascii_case("FROM"))
}

/// The comments directly above the instruction that begins at a line.
fn comments(dockerfile: &Dockerfile, line: u32) -> &[String] {
    let lines = &dockerfile.lines;
    match lines.binary_search_by_key(&line, |line| line.first) {
        Ok(at) => lines[at].comments(),
        Err(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a text.
    fn found(source: &str) -> Vec<Diagnostic> {
        let parsed = crate::parse(source);
        assert!(!parsed.has_errors(), "{:?}", parsed.errors);
        let config = Config::of(&parsed.dockerfile.directives, &BTreeMap::new()).unwrap();
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
    fn an_error_leaves_the_rules_that_were_asked_before_it() {
        let source = "from x AS A\nMAINTAINER\nMAINTAINER n\nFROM y AS A\nRUN a \\\n\n b";
        let parsed = crate::parse(source);
        let found = before_errors(&parsed, &BTreeMap::new()).unwrap();
        let codes: Vec<_> = found.iter().map(|found| (found.code, found.line)).collect();
        let expected = [
            ("FromAsCasing", 1),
            ("StageNameCasing", 1),
            ("MaintainerDeprecated", 2),
            ("NoEmptyContinuation", 7),
        ];
        assert_eq!(codes, expected);
        let parsed = crate::parse("FROM x AS A\nRUN <<E\n");
        assert_eq!(before_errors(&parsed, &BTreeMap::new()), Ok(Vec::new()));
    }

    #[test]
    fn there_are_22_rules_with_their_own_names() {
        let mut names: Vec<_> = rules().map(|rule| rule.name).collect();
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
        let found: Vec<_> = found("from x AS a\nRUN a\nMAINTAINER m")
            .iter()
            .map(|found| (found.code, found.line))
            .collect();
        assert_eq!(found[0], ("ConsistentInstructionCasing", 1));
        assert_eq!(found[2], ("MaintainerDeprecated", 3));
    }
}
