//! An empty line inside a continued instruction.

use super::{Findings, Rule, Scope};
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule {
    name: "NoEmptyContinuation",
    slug: "no-empty-continuation",
    description: "Empty continuation lines will become errors in a future release",
    experimental: false,
    scope: Scope::File,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in &dockerfile.lines {
        if let Some(span) = line.empty_continuation {
            findings.add(&RULE, line, span, "Empty continuation line".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn comments_are_no_empty_lines() {
        assert!(warnings("FROM x\nRUN a \\\n# c\n b").is_empty());
        assert_eq!(
            warnings("FROM x\nRUN a \\\n\n b")[0].1,
            "Empty continuation line"
        );
    }
}
