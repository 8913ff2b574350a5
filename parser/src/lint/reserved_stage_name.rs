//! Stages whose name hides the meaning of a word.

use super::Findings;
use super::rule::Rule;
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule::new(
    "ReservedStageName",
    "reserved-stage-name",
    "Reserved words should not be used as stage names",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for stage in &dockerfile.stages {
        if let Some(name @ ("scratch" | "context")) = stage.from.name.as_deref() {
            let line = &dockerfile.lines[stage.line];
            let message =
                format!("Stage name should not use the same name as reserved stage {name:?}");
            findings.add(&RULE, line, line.span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn two_words_are_reserved() {
        assert_eq!(
            warnings("FROM x AS scratch\nFROM x AS context\nFROM x AS other").len(),
            2
        );
    }
}
