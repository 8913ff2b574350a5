//! `ENV key value`.

use super::{Findings, Rule, Scope};
use crate::ast::Dockerfile;
use crate::line::Arguments;

pub(super) const RULE: Rule = Rule {
    name: "LegacyKeyValueFormat",
    slug: "legacy-key-value-format",
    description: "Legacy key/value format with whitespace separator should not be used",
    experimental: false,
    scope: Scope::Stage,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in &dockerfile.lines {
        let Arguments::Pairs(pairs) = &line.arguments else {
            continue;
        };
        for pair in pairs.iter().filter(|pair| pair.legacy) {
            let name = &line.name.text;
            let message = format!(
                "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
            );
            findings.add(&RULE, line, pair.span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn env_and_label() {
        assert_eq!(warnings("FROM x\nENV a b\nLABEL c d\nENV e=f").len(), 2);
    }
}
