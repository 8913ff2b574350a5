//! `# check=…`: which rules count, and whether their warnings are errors.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::Dockerfile;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::evaluate::go;
use crate::source::Span;

use super::Rule;

/// The build argument that replaces the directive.
const BUILD_ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What `# check=skip=A,B;experimental=C;error=true` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    skip: Choice,
    experimental: Choice,
    /// Warnings are errors.
    pub error: bool,
}

/// Some rules or all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Choice {
    all: bool,
    names: Vec<String>,
}

impl Choice {
    fn parse(text: &str) -> Self {
        let names = text.split(',').map(|name| name.trim().to_owned());
        Choice {
            all: text.trim() == "all",
            names: names.collect(),
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|other| other == name)
    }
}

impl Config {
    /// What a build obeys: `--build-arg BUILDKIT_DOCKERFILE_CHECK=…`, else the file's directive.
    ///
    /// # Errors
    /// An option that is none.
    pub fn of(
        dockerfile: &Dockerfile,
        build_args: &BTreeMap<String, String>,
    ) -> Result<Self, Diagnostic> {
        let directives = &mut dockerfile.directives.iter();
        let directive = directives.find(|directive| directive.name == "check");
        let (text, span) = match (build_args.get(BUILD_ARGUMENT), directive) {
            (Some(text), _) => (text.as_str(), Span::default()),
            (None, Some(directive)) => (directive.value.as_str(), directive.span),
            (None, None) => return Ok(Config::default()),
        };
        Config::parse(text).map_err(|option| {
            let message = format!("invalid check option {option:?}");
            Diagnostic::error(code::CHECK_OPTION, Phase::Evaluate, span, message)
                .with_help("write skip=A,B, error=true or experimental=A,B, with ; between them")
        })
    }

    /// Reads `skip=A,B;experimental=C;error=true`; else the part that cannot be read.
    fn parse(text: &str) -> Result<Self, String> {
        let mut config = Config::default();
        if text.trim().is_empty() {
            return Ok(config);
        }
        for option in text.split(';') {
            let (key, value) = option.split_once('=').ok_or(option)?;
            match key.trim() {
                "skip" => config.skip = Choice::parse(value),
                "experimental" => config.experimental = Choice::parse(value),
                "error" => config.error = go::boolean(value.trim()).ok_or(option)?,
                _ => return Err(option.to_owned()),
            }
        }
        Ok(config)
    }

    /// Drops warnings of rules that are skipped, or experimental and not asked for.
    pub(crate) fn retain(&self, dockerfile: &Dockerfile, found: &mut Vec<Diagnostic>) {
        found.retain(|warning| {
            let own = comment_above(dockerfile, warning).unwrap_or_default();
            let is_experimental = Rule::find(warning.code).is_some_and(|rule| rule.experimental);
            // `skip=all` does not touch what somebody asked for by name.
            let holds = |choice: fn(&Config) -> &Choice| {
                choice(self).holds(warning.code) || choice(&own).holds(warning.code)
            };
            if is_experimental {
                holds(|config| &config.experimental)
            } else {
                !holds(|config| &config.skip)
            }
        });
    }

    /// The error that `error=true` makes of warnings.
    pub fn violation(&self, dockerfile: &Dockerfile, found: &[Diagnostic]) -> Option<Diagnostic> {
        let counts = |warning: &&Diagnostic| {
            if Rule::find(warning.code).is_none() {
                return false;
            }
            self.error || comment_above(dockerfile, warning).is_some_and(|own| own.error)
        };
        let mut counting = found.iter().filter(counts).peekable();
        let first = counting.peek()?.span;
        let rules: BTreeSet<&str> = counting.map(|warning| warning.code).collect();
        let rules: Vec<&str> = rules.into_iter().collect();
        let message = format!("lint violation found for rules: {}", rules.join(", "));
        let mut error = Diagnostic::error(code::LINT, Phase::Evaluate, first, message);
        error.help = Some("`# check=error=true` makes errors of warnings".to_owned());
        Some(error)
    }
}

/// `# check=…` in the comments directly above the instruction of a warning. One that cannot be
/// read is a comment like others.
fn comment_above(dockerfile: &Dockerfile, warning: &Diagnostic) -> Option<Config> {
    let lines = &dockerfile.lines;
    let at = lines.binary_search_by_key(&warning.line, |line| line.first);
    let mut comments = lines[at.ok()?].comments.iter();
    let options = comments.find_map(|comment| comment.strip_prefix("check="))?;
    Config::parse(options).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tests::warnings;

    fn names(source: &str) -> Vec<&'static str> {
        warnings(source).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn rules_can_be_skipped() {
        let source = "FROM x\nENV a b\nMAINTAINER m";
        assert_eq!(
            names(source),
            ["LegacyKeyValueFormat", "MaintainerDeprecated"]
        );
        let skip = |what: &str| names(&format!("# check=skip={what};error=true\n{source}"));
        assert_eq!(skip("LegacyKeyValueFormat, X"), ["MaintainerDeprecated"]);
        assert!(skip("all").is_empty());
    }

    #[test]
    fn a_comment_speaks_for_its_instruction() {
        let source = "FROM x\n# check=skip=LegacyKeyValueFormat\nENV a b\nENV c d";
        assert_eq!(names(source).len(), 1);
    }

    #[test]
    fn skipping_all_leaves_what_was_asked_for_by_name() {
        let source = "# check=skip=all;experimental=all\n# c\nFROM x AS a\nENV a b";
        assert_eq!(names(source), ["InvalidDefinitionDescription"]);
    }

    #[test]
    fn options_that_are_none() {
        let of = |source: &str| {
            let parsed = crate::parse(source);
            Config::of(&parsed.dockerfile, &BTreeMap::new()).map_err(|error| error.message)
        };
        let wrong = |option: &str| Err(format!("invalid check option {option:?}"));
        assert_eq!(of("# check=skip\nFROM x"), wrong("skip"));
        assert_eq!(of("# check=error=maybe\nFROM x"), wrong("error=maybe"));
        assert_eq!(of("# check=skip=A;skp=B\nFROM x"), wrong("skp=B"));
        assert!(of("# check=error=1\nFROM x").unwrap().error);
    }

    #[test]
    fn a_build_argument_replaces_the_directive() {
        let parsed = crate::parse("# check=skip=all\nFROM x\nENV a b");
        let arguments = [(BUILD_ARGUMENT.to_owned(), "error=true".to_owned())];
        let config = Config::of(&parsed.dockerfile, &arguments.into()).unwrap();
        let found = crate::lint::check(&parsed.dockerfile, &config, None);
        assert_eq!(found.len(), 1);
        let error = config.violation(&parsed.dockerfile, &found).unwrap();
        assert_eq!(
            error.message,
            "lint violation found for rules: LegacyKeyValueFormat"
        );
        assert_eq!(
            Config::default().violation(&parsed.dockerfile, &found),
            None
        );
    }

    #[test]
    fn a_comment_makes_errors_of_its_instruction_only() {
        let source = "FROM x\n# check=error=true\nENV a b\nMAINTAINER m";
        let parsed = crate::parse(source);
        let config = Config::default();
        let found = crate::lint::check(&parsed.dockerfile, &config, None);
        let error = config.violation(&parsed.dockerfile, &found).unwrap();
        assert!(error.message.ends_with("rules: LegacyKeyValueFormat"));
    }

    #[test]
    fn experimental_rules_must_be_asked_for() {
        let source = "# c\nFROM x AS a";
        assert!(names(source).is_empty());
        assert_eq!(
            names(&format!("# check=experimental=all\n{source}")).len(),
            1
        );
    }
}
