//! `# check=…`: which rules count, and whether their warnings are errors. Unaware of what rules look for.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::Rule;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::go;
use crate::lexer::{self, Directive};
use crate::source::Span;

/// The build argument that replaces the directive.
const BUILD_ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What `# check=skip=A,B;experimental=C;error=true` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    skip: Choice,
    experimental: Choice,
    /// Warnings are errors.
    error: bool,
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
    /// The setting of a build: `--build-arg BUILDKIT_DOCKERFILE_CHECK=…`, else the file's directive.
    ///
    /// # Errors
    /// An unknown option.
    pub fn of(
        directives: &[Directive],
        build_args: &BTreeMap<String, String>,
    ) -> Result<Self, Diagnostic> {
        let mut directives = directives.iter();
        let directive = directives.find(|directive| directive.name == "check");
        let (text, span) = match (build_args.get(BUILD_ARGUMENT), directive) {
            (Some(text), _) => (text.as_str(), Span::default()),
            (None, Some(directive)) => (up_to_blank(&directive.value), directive.span),
            (None, None) => return Ok(Config::default()),
        };
        Config::parse(text).map_err(|option| {
            let message = format!("invalid check option {option:?}");
            Diagnostic::error(code::CHECK_OPTION, Phase::Evaluate, span, message)
                .with_help("write skip=A,B, error=true or experimental=A,B, with ; between them")
        })
    }

    /// Reads `skip=A,B;experimental=C;error=true`; the error is the part that cannot be read.
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

    /// Whether a rule is asked about an instruction; `comments` are directly above it.
    pub(crate) fn asks(&self, rule: &Rule, comments: &[String]) -> bool {
        let own = own(comments).unwrap_or_default();
        let holds = |choice: fn(&Config) -> &Choice| {
            choice(self).holds(rule.name) || choice(&own).holds(rule.name)
        };
        // `skip=all` does not affect a rule that was asked for by name.
        if rule.experimental {
            holds(|config| &config.experimental)
        } else {
            !holds(|config| &config.skip)
        }
    }

    /// The error into which `error=true` turns warnings.
    pub fn violation(&self, found: &[Diagnostic]) -> Option<Diagnostic> {
        // The codes of other warnings are those of errors.
        let counts = |warning: &&Diagnostic| self.error && !warning.code.starts_with("DF");
        let mut counting = found.iter().filter(counts).peekable();
        let first = counting.peek()?.span;
        let rules: BTreeSet<&str> = counting.map(|warning| warning.code).collect();
        let rules: Vec<&str> = rules.into_iter().collect();
        let message = format!("lint violation found for rules: {}", rules.join(", "));
        let error = Diagnostic::error(code::LINT, Phase::Evaluate, first, message);
        Some(error.with_help("`# check=error=true` turns warnings into errors"))
    }
}

/// `# check=…` in comments, written like the directive. One that cannot be read is an ordinary comment. It can only skip rules or ask for
/// them; `error=true` is about the whole file.
fn own(comments: &[String]) -> Option<Config> {
    let comments = comments.iter();
    let mut settings = comments.filter_map(|comment| lexer::setting(comment));
    let (_, options) = settings.find(|(name, _)| name == "check")?;
    Config::parse(up_to_blank(options)).ok()
}

/// The text after the first blank says why, for people.
fn up_to_blank(value: &str) -> &str {
    value.split(' ').next().unwrap_or_default()
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
        let source = "FROM x AS A\nMAINTAINER m";
        assert_eq!(names(source), ["StageNameCasing", "MaintainerDeprecated"]);
        let skip = |what: &str| names(&format!("# check=skip={what};error=true\n{source}"));
        assert_eq!(skip("StageNameCasing, X"), ["MaintainerDeprecated"]);
        assert!(skip("all").is_empty());
    }

    #[test]
    fn a_comment_speaks_for_its_instruction() {
        let source = "FROM x\n# check=skip=MaintainerDeprecated\nMAINTAINER m\nMAINTAINER n";
        assert_eq!(names(source).len(), 1);
    }

    #[test]
    fn what_is_asked_of_the_file_is_skipped_for_the_file_only() {
        let source = "FROM x AS a\n# check=skip=all\nFROM x AS a\n# check=skip=all\nRUN a \\\n\n b";
        assert_eq!(names(source), ["DuplicateStageName", "NoEmptyContinuation"]);
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
            Config::of(&parsed.dockerfile.directives, &BTreeMap::new())
                .map_err(|error| error.message)
        };
        let wrong = |option: &str| Err(format!("invalid check option {option:?}"));
        assert_eq!(of("# check=skip\nFROM x"), wrong("skip"));
        assert_eq!(of("# check=error=maybe\nFROM x"), wrong("error=maybe"));
        assert_eq!(of("# check=skip=A;skp=B\nFROM x"), wrong("skp=B"));
        assert!(of("# check=error=1\nFROM x").unwrap().error);
    }

    #[test]
    fn a_build_argument_replaces_the_directive() {
        let parsed = crate::parse("# check=skip=all\nFROM x\nMAINTAINER m");
        let arguments = [(BUILD_ARGUMENT.to_owned(), "error=true".to_owned())];
        let config = Config::of(&parsed.dockerfile.directives, &arguments.into()).unwrap();
        let found = crate::lint::check(&parsed.dockerfile, &config, None);
        assert_eq!(found.len(), 1);
        let error = config.violation(&found).unwrap();
        assert_eq!(
            error.message,
            "lint violation found for rules: MaintainerDeprecated"
        );
        assert_eq!(Config::default().violation(&found), None);
    }

    #[test]
    fn the_value_ends_at_the_first_blank() {
        let source = "FROM x AS A\nMAINTAINER m";
        let found = |value: &str| names(&format!("# check={value}\n{source}"));
        let only = ["MaintainerDeprecated"];
        assert_eq!(found("skip=StageNameCasing because it is old"), only);
        assert_eq!(found("skip=StageNameCasing, MaintainerDeprecated"), only);
        assert!(found("skip=all error=maybe").is_empty());
        let parsed = crate::parse(&format!("# check=error=true; skip=all\n{source}"));
        let of = |arguments: BTreeMap<_, _>| Config::of(&parsed.dockerfile.directives, &arguments);
        assert!(
            of(BTreeMap::new()).is_err(),
            "an option is missing behind ;"
        );
        let argument = (BUILD_ARGUMENT.to_owned(), "skip=A, B; error=1".to_owned());
        let config = of([argument].into()).unwrap();
        assert!(config.error && config.skip.holds("B"));
    }

    #[test]
    fn comments_are_written_as_directives_are() {
        let of = |comment: &str| names(&format!("FROM x\n{comment}\nMAINTAINER m"));
        assert!(of("# check=skip=MaintainerDeprecated until 2027").is_empty());
        assert!(of("#  Check = skip=all").is_empty());
        assert!(of("# check=skip=maybe\n# check=skip=all").len() == 1);
        assert_eq!(of("# see check=skip=all").len(), 1);
    }

    #[test]
    fn errors_are_about_the_whole_file() {
        let source = "FROM x\n# check=error=true\nMAINTAINER m";
        let parsed = crate::parse(source);
        let config = Config::of(&parsed.dockerfile.directives, &BTreeMap::new()).unwrap();
        let found = crate::lint::check(&parsed.dockerfile, &config, None);
        assert_eq!((found.len(), config.violation(&found)), (1, None));
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
