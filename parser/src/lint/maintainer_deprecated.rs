//! `MAINTAINER`.

use super::{Findings, Rule, When};
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule {
    name: "MaintainerDeprecated",
    slug: "maintainer-deprecated",
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    experimental: false,
    when: When::Instruction,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in &dockerfile.lines {
        if line.name.text.eq_ignore_ascii_case("MAINTAINER") {
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
