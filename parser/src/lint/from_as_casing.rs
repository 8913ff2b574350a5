//! `FROM x as y`: both keywords in the same case.

use super::{Findings, Rule, Scope};
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule {
    name: "FromAsCasing",
    slug: "from-as-casing",
    description: "The 'as' keyword should match the case of the 'from' keyword",
    experimental: false,
    scope: Scope::File,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for stage in &dockerfile.stages {
        let line = &dockerfile.lines[stage.line];
        let from = &line.name.text;
        let [_, keyword, _] = line.words() else {
            continue;
        };
        let expected = if from.chars().all(char::is_lowercase) {
            "as"
        } else {
            "AS"
        };
        if keyword.text != expected {
            let message = format!(
                "'{}' and '{from}' keywords' casing do not match",
                keyword.text
            );
            findings.add(&RULE, line, keyword.span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn the_keywords_match() {
        assert!(warnings("FROM x AS a").is_empty() && warnings("from x as a").is_empty());
        assert_eq!(
            warnings("FROM x as a")[0].1,
            "'as' and 'FROM' keywords' casing do not match"
        );
    }
}
