//! `FROM x AS Name`: names of stages are lower case, whatever is written.

use super::rule::Rule;
use super::{Findings, from_lines};
use crate::ast::Dockerfile;

pub(super) const RULE: Rule = Rule::new(
    "StageNameCasing",
    "stage-name-casing",
    "Stage names should be lowercase",
);

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for line in from_lines(dockerfile) {
        if let [_, _, name] = line.words()
            && name.text != name.text.to_lowercase()
        {
            let message = format!("Stage name '{}' should be lowercase", name.text);
            findings.add(&RULE, line, name.span, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn lower_case_is_good() {
        assert!(warnings("FROM x AS a\nFROM y").is_empty());
        assert_eq!(
            warnings("FROM x AS Ab")[0].1,
            "Stage name 'Ab' should be lowercase"
        );
    }
}
