//! Names that sound like secrets: `ARG` and `ENV` stay in the image's history.

use super::rule::Rule;
use crate::go;
use crate::line::Line;
use crate::stage::StageBuilder;

pub(super) const RULE: Rule = Rule::new(
    "SecretsUsedInArgOrEnv",
    "secrets-used-in-arg-or-env",
    "Sensitive data should not be used in the ARG or ENV commands",
);

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

/// Looks at the name of a variable; `kind` is `ARG` or `ENV`.
pub(crate) fn look_at(line: &Line, kind: &str, name: &str, stage: &mut StageBuilder<'_>) {
    if is_secret(name) {
        let name = go::quote(name);
        let message =
            format!("Do not use ARG or ENV instructions for sensitive data ({kind} {name})");
        stage.warn(&RULE, line.span, message);
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
    use crate::tests::warnings;

    #[test]
    fn words_of_names() {
        assert!(is_secret("GITHUB_TOKEN") && is_secret("api_Key") && is_secret("AUTH"));
        assert!(!is_secret("MONKEY") && !is_secret("PUBLIC_KEY") && !is_secret("TOKENS"));
        assert_eq!(
            warnings("FROM scratch\nARG A PASSWORD=1\nENV DB_SECRET=x").len(),
            2
        );
    }
}
