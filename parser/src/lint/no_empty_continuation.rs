//! An empty line inside a continued instruction. The mark is there; the line that is told is the instruction's last one, as
//! BuildKit counts.

use super::{Findings, Rule, When};
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule {
    name: "NoEmptyContinuation",
    slug: "no-empty-continuation",
    description: "Empty continuation lines will become errors in a future release",
    experimental: false,
    when: When::Lines,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in &dockerfile.lines {
        if let Some(empty) = line.empty_continuation {
            let mut found = RULE.warning(empty.span, "Empty continuation line");
            found.line = empty.last;
            findings.push(found);
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
