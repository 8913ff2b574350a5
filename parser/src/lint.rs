//! Warnings about what is allowed but rarely meant: BuildKit's rules, by its names. To add one
//! that looks at the text only: write `lint/x.rs` and add its line to [`RULES`]. Rules that
//! need values are asked while a stage is evaluated; their texts stand in `lint/evaluated.rs`.
//!
//! A Dockerfile that has an error is told what the rules found before it: [`When`] says how far
//! the reading must have come for a rule to be asked.
//!
//! `# check=skip=A,B;error=true` steers them for the file, and a comment directly above an
//! instruction does so for what is asked of that instruction alone.

mod config;
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
pub(crate) mod secrets_used_in_arg_or_env;
mod stage_name_casing;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ast::{Dockerfile, Parsed};
use crate::diagnostic::{Diagnostic, Phase};
use crate::line::Line;
use crate::source::Span;

pub use config::Config;

/// The name of the rule about images for another platform.
pub const INVALID_BASE_IMAGE_PLATFORM: &str = evaluated::INVALID_BASE_IMAGE_PLATFORM.name;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// PascalCase: the code of its warnings.
    pub name: &'static str,
    /// The last part of the address where it is explained; empty if it is nowhere.
    slug: &'static str,
    /// What it demands.
    pub description: &'static str,
    /// Only if asked for: `# check=experimental=…`.
    pub experimental: bool,
    /// When it is asked.
    when: When,
    /// None for rules that need values.
    check: Option<fn(&Dockerfile, &mut Findings)>,
}

/// How far the reading has come when a rule is asked; in BuildKit's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The lines are split.
    Lines,
    /// One instruction is read; those behind the first broken one are not.
    Instruction,
    /// All instructions are read.
    Stages,
    /// A stage is evaluated.
    Values,
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
    /// Where the rule is explained; empty if it is nowhere.
    pub fn url(&self) -> String {
        match self.slug {
            "" => String::new(),
            slug => format!("https://docs.docker.com/go/dockerfile/rule/{slug}/"),
        }
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
        let name = match url.as_str() {
            "" => name.to_owned(),
            url => format!("[{name}]({url})"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name}{mark} | {description} |");
    }
    text
}

/// How many warnings about the text are told.
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
        let warning = rule.warning(span, message);
        self.push(Diagnostic {
            line: line.first,
            ..warning
        });
    }
}

/// Runs the rules that look at the text only. `broken` is the line of the first instruction that
/// could not be read. Warnings come in the order of their places.
pub(crate) fn check(
    dockerfile: &Dockerfile,
    config: &Config,
    broken: Option<u32>,
) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    for rule in RULES {
        let Some(check) = rule.check.filter(|_| rule.when.is_reached(broken)) else {
            continue;
        };
        let before = findings.0.len();
        check(dockerfile, &mut findings);
        if rule.when == When::Instruction {
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

/// What rules find in a text that is no good Dockerfile: nothing if its lines cannot be split.
///
/// # Errors
/// A `# check=` that cannot be read.
pub fn before_errors(
    parsed: &Parsed,
    build_args: &BTreeMap<String, String>,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let config = Config::of(&parsed.dockerfile, build_args)?;
    let is_syntax = |error: &Diagnostic| error.phase == Phase::Syntax;
    let broken = parsed.errors.iter().map(|error| error.line).min();
    Ok(match broken {
        Some(_) if parsed.errors.iter().any(is_syntax) => Vec::new(),
        broken => check(&parsed.dockerfile, &config, broken),
    })
}

impl When {
    fn is_reached(self, broken: Option<u32>) -> bool {
        broken.is_none() || matches!(self, When::Lines | When::Instruction)
    }
}

/// All `FROM`s, also those that have errors.
fn from_lines(dockerfile: &Dockerfile) -> impl Iterator<Item = &Line> {
    let lines = dockerfile.lines.iter();
    lines.filter(|line| line.name.text.eq_ignore_ascii_case("FROM"))
}

/// The comments directly above the instruction that begins at a line.
fn comments(dockerfile: &Dockerfile, line: u32) -> &[String] {
    let lines = &dockerfile.lines;
    match lines.binary_search_by_key(&line, |line| line.first) {
        Ok(at) => &lines[at].comments,
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
        let found: Vec<_> = found("from x AS a\nRUN a\nMAINTAINER m")
            .iter()
            .map(|found| (found.code, found.line))
            .collect();
        assert_eq!(found[0], ("ConsistentInstructionCasing", 1));
        assert_eq!(found[2], ("MaintainerDeprecated", 3));
    }
}
