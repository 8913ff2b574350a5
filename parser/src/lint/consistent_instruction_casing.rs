//! All names of instructions should be in the same case, that of the majority.

use super::Findings;
use super::rule::Rule;
use crate::ast::Dockerfile;
use crate::line::Line;

pub(super) const RULE: Rule = Rule::new(
    "ConsistentInstructionCasing",
    "consistent-instruction-casing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    let lower = |line: &&Line| !line.name().chars().any(char::is_uppercase);
    let upper = |line: &&Line| !line.name().chars().any(char::is_lowercase);
    // Lines before the first stage do not count.
    let first = dockerfile.stages.first().map_or(0, |stage| stage.line);
    let lines = &dockerfile.lines[first..];
    let want_lower = lines.iter().filter(lower).count() > lines.iter().filter(upper).count();
    let wanted = if want_lower { "lowercase" } else { "uppercase" };
    for line in lines {
        if !(if want_lower {
            lower(&line)
        } else {
            upper(&line)
        }) {
            let message = format!(
                "Command '{}' should match the case of the command majority ({wanted})",
                line.name()
            );
            findings.add(&RULE, line, line.name_span(), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn the_majority_decides() {
        assert!(warnings("from x\nrun a").is_empty());
        let found = warnings("FROM x\nrun a\nRUN b\nRun c");
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].1,
            "Command 'run' should match the case of the command majority (uppercase)"
        );
    }
}
