//! `ENV key value`.

use super::{Rule, When};
use crate::evaluate::StageBuilder;
use crate::line::{Line, Pair};

pub(super) const RULE: Rule = Rule {
    name: "LegacyKeyValueFormat",
    slug: "legacy-key-value-format",
    description: "Legacy key/value format with whitespace separator should not be used",
    experimental: false,
    when: When::Values,
    check: None,
};

/// Looks at a pair of `ENV` or `LABEL`.
pub(crate) fn look_at(line: &Line, pair: &Pair, stage: &mut StageBuilder<'_>) {
    if pair.legacy {
        let name = &line.name.text;
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
