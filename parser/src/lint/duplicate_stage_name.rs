//! Two stages with the same name: the last one counts.

use std::collections::BTreeSet;

use super::Findings;
use super::rule::Rule;
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule::new(
    "DuplicateStageName",
    "duplicate-stage-name",
    "Stage names should be unique",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for stage in &dockerfile.stages {
        let Some(name) = &stage.from.name else {
            continue;
        };
        if !seen.insert(name) {
            let line = &dockerfile.lines[stage.line];
            let message = format!("Duplicate stage name {name:?}, stage names should be unique");
            findings.add(&RULE, line, line.span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn the_case_does_not_matter() {
        let found = warnings("FROM x AS a\nFROM y AS b\nFROM z AS a");
        assert_eq!(
            found[0].1,
            "Duplicate stage name \"a\", stage names should be unique"
        );
        assert_eq!(found.len(), 1);
    }
}
