//! Names that sound like secrets: `ARG` and `ENV` stay in the image's history.

use super::{Findings, Rule, Scope};
use crate::ast::Dockerfile;
use crate::instruction::Instruction;

pub(super) const RULE: Rule = Rule {
    name: "SecretsUsedInArgOrEnv",
    slug: "secrets-used-in-arg-or-env",
    description: "Sensitive data should not be used in the ARG or ENV commands",
    experimental: false,
    scope: Scope::Stage,
    check: Some(check),
};

/// Words between underscores that make a name suspicious.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// Words that make it harmless again.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for statement in dockerfile.stages.iter().flat_map(|stage| &stage.statements) {
        let line = &dockerfile.lines[statement.line];
        let (kind, names): (_, Vec<&str>) = match &statement.instruction {
            Instruction::Arg(arg) => (
                "ARG",
                arg.arguments
                    .iter()
                    .map(|argument| argument.name.as_str())
                    .collect(),
            ),
            Instruction::Env(env) => (
                "ENV",
                env.pairs.iter().map(|pair| pair.key.as_str()).collect(),
            ),
            _ => continue,
        };
        for name in names.into_iter().filter(|name| is_secret(name)) {
            let message =
                format!("Do not use ARG or ENV instructions for sensitive data ({kind} {name:?})");
            findings.add(&RULE, line, line.span, message);
        }
    }
}

fn is_secret(name: &str) -> bool {
    let has = |words: &[&str]| {
        let mut parts = name.split('_');
        parts.any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
    };
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tests::warnings;

    #[test]
    fn words_of_names() {
        assert!(is_secret("GITHUB_TOKEN") && is_secret("api_Key") && is_secret("AUTH"));
        assert!(!is_secret("MONKEY") && !is_secret("PUBLIC_KEY") && !is_secret("TOKENS"));
        assert_eq!(
            warnings("FROM x\nARG A PASSWORD=1\nENV DB_SECRET=x").len(),
            2
        );
    }
}
