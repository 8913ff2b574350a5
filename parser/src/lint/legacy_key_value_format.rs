//! `ENV key value`.

use super::rule::Rule;
use crate::line::{Line, Pair};
use crate::stage::StageBuilder;

pub(super) const RULE: Rule = Rule::new(
    "LegacyKeyValueFormat",
    "legacy-key-value-format",
    "Legacy key/value format with whitespace separator should not be used",
);

/// Looks at a pair of `ENV` or `LABEL`.
pub(crate) fn look_at(line: &Line, pair: &Pair, stage: &mut StageBuilder<'_>) {
    if pair.legacy {
        let name = line.name();
        let message = format!(
            "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
        );
        stage.warn(&RULE, pair.span, message);
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::warnings;

    #[test]
    fn env_and_label() {
        assert_eq!(
            warnings("FROM scratch\nENV a b\nLABEL c d\nENV e=f").len(),
            2
        );
    }
}
