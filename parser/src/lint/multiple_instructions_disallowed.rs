//! `CMD`, `ENTRYPOINT` and `HEALTHCHECK` count once a stage: all but the last have no effect.

use super::rule::Rule;
use crate::line::Line;
use crate::stage::StageBuilder;

pub(super) const RULE: Rule = Rule::new(
    "MultipleInstructionsDisallowed",
    "multiple-instructions-disallowed",
    "Multiple instructions of the same type should not be used in the same stage",
);

/// Checks an instruction that counts once; `kind` is its name in upper case. The one before it has no effect.
pub(crate) fn look_at(line: &Line, kind: &'static str, stage: &mut StageBuilder<'_>) {
    if let Some(before) = stage.use_once(kind, line.span) {
        let message = format!(
            "Multiple {} instructions should not be used in the same stage because only the last one will be used",
            line.name()
        );
        stage.warn(&RULE, before, message);
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::warnings;

    #[test]
    fn stages_count_alone() {
        assert!(warnings("FROM scratch\nCMD [\"a\"]\nFROM scratch\nCMD [\"b\"]").is_empty());
        assert_eq!(
            warnings("FROM scratch\nCMD [\"a\"]\nHEALTHCHECK NONE\nCMD [\"b\"]\nCMD [\"c\"]").len(),
            2
        );
    }
}
