//! `MAINTAINER`.

use super::Findings;
use super::rule::Rule;
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule::new(
    "MaintainerDeprecated",
    "maintainer-deprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in &dockerfile.lines {
        if line.name().eq_ignore_ascii_case("MAINTAINER") {
            let message = "Maintainer instruction is deprecated in favor of using label";
            findings.add(&RULE, line, line.span, message.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn labels_are_better() {
        assert_eq!(warnings("FROM x\nMAINTAINER me").len(), 1);
    }
}
