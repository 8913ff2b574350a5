//! `# check=…`: which rules count.

use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;

use super::Rule;

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
    /// The file's own. Options that cannot be read do nothing.
    pub fn of(dockerfile: &Dockerfile) -> Self {
        let directive = dockerfile
            .directives
            .iter()
            .find(|directive| directive.name == "check");
        directive.map_or(Config::default(), |directive| {
            Config::parse(&directive.value)
        })
    }

    fn parse(text: &str) -> Self {
        let mut config = Config::default();
        for option in text.split(';') {
            match option
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
            {
                Some(("skip", value)) => config.skip = Choice::parse(value),
                Some(("experimental", value)) => config.experimental = Choice::parse(value),
                Some(("error", value)) => {
                    config.error = matches!(value, "true" | "1" | "t" | "True" | "TRUE" | "T")
                }
                _ => {}
            }
        }
        config
    }

    /// Drops warnings of rules that are skipped, or experimental and not asked for.
    pub(crate) fn retain(&self, dockerfile: &Dockerfile, found: &mut Vec<Diagnostic>) {
        found.retain(|warning| {
            let own = comment_above(dockerfile, warning);
            let skipped = self.skip.holds(warning.code)
                || own.as_ref().is_some_and(|own| own.skip.holds(warning.code));
            let experimental = Rule::find(warning.code).is_some_and(|rule| rule.experimental);
            !skipped && (!experimental || self.experimental.holds(warning.code))
        });
    }
}

/// `# check=…` directly above the instruction of a warning.
fn comment_above(dockerfile: &Dockerfile, warning: &Diagnostic) -> Option<Config> {
    let at = dockerfile
        .lines
        .binary_search_by_key(&warning.line, |line| line.first)
        .ok()?;
    let comments = &dockerfile.lines[at].comments;
    let options = comments
        .iter()
        .find_map(|comment| comment.strip_prefix("check="))?;
    Some(Config::parse(options))
}

#[cfg(test)]
mod tests {
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
    fn experimental_rules_must_be_asked_for() {
        let source = "# c\nFROM x AS a";
        assert!(names(source).is_empty());
        assert_eq!(
            names(&format!("# check=experimental=all\n{source}")).len(),
            1
        );
    }
}
