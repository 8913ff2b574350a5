//! `FROM x as y`: both keywords in the same case.

use super::rule::Rule;
use super::{Findings, from_lines};
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule::new(
    "FromAsCasing",
    "from-as-casing",
    "The 'as' keyword should match the case of the 'from' keyword",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in from_lines(dockerfile) {
        let from = line.name();
        let [_, keyword, _, ..] = line.words() else {
            continue;
        };
        let matches = if *from == from.to_lowercase() {
            keyword.text == keyword.text.to_lowercase()
        } else {
            // A name in mixed case has a rule of its own.
            *from != from.to_uppercase() || keyword.text == keyword.text.to_uppercase()
        };
        if !matches {
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
        assert_eq!(
            warnings("from x As a")[0].1,
            "'As' and 'from' keywords' casing do not match"
        );
    }

    #[test]
    fn a_name_in_mixed_case_matches_any() {
        for keyword in ["as", "AS", "aS"] {
            let found = warnings(&format!("From x {keyword} a"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, "ConsistentInstructionCasing");
        }
    }
}
