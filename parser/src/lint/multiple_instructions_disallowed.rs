//! `CMD`, `ENTRYPOINT` and `HEALTHCHECK` count once a stage: all but the last are for nothing.

use super::{Findings, Rule, Scope};
use crate::ast::Dockerfile;
use crate::line::Line;

pub(super) const RULE: Rule = Rule {
    name: "MultipleInstructionsDisallowed",
    slug: "multiple-instructions-disallowed",
    description: "Multiple instructions of the same type should not be used in the same stage",
    experimental: false,
    scope: Scope::Stage,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for stage in &dockerfile.stages {
        let lines = stage
            .statements
            .iter()
            .map(|statement| &dockerfile.lines[statement.line]);
        for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
            let same = lines
                .clone()
                .filter(|line| line.name.text.eq_ignore_ascii_case(name));
            let mut same: Vec<&Line> = same.collect();
            same.pop();
            for line in same {
                let message = format!(
                    "Multiple {} instructions should not be used in the same stage because only the \
                     last one will be used",
                    line.name.text
                );
                findings.add(&RULE, line, line.span, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn stages_count_alone() {
        assert!(warnings("FROM x\nCMD [\"a\"]\nFROM x\nCMD [\"b\"]").is_empty());
        assert_eq!(
            warnings("FROM x\nCMD [\"a\"]\nHEALTHCHECK NONE\nCMD [\"b\"]\nCMD [\"c\"]").len(),
            2
        );
    }
}
