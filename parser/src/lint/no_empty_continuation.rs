//! An empty line inside a continued instruction. The warning marks it, but names the instruction's last line, as in BuildKit.

use super::Findings;
use super::rule::Rule;
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule::new(
    "NoEmptyContinuation",
    "no-empty-continuation",
    "Empty continuation lines will become errors in a future release",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in &dockerfile.lines {
        if let Some(empty) = line.empty_continuation() {
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
