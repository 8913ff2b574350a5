//! What a rule's selector matches: a text, a text with `*`, or a regular expression of Go. Unaware of what is matched.

use kiln_parser::ignore::go_regex;
use regex::Regex;

/// How an identifier is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MatchType {
    /// `*` stands for any text.
    #[default]
    Wildcard,
    Exact,
    Regex,
}

/// A compiled selector.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    /// None where only the text itself matches.
    regex: Option<Regex>,
}

impl Pattern {
    /// Compiles a selector.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn new(text: String, kind: MatchType) -> Result<Self, String> {
        let regex = match kind {
            MatchType::Exact => None,
            MatchType::Wildcard if text.contains("**") => {
                return Err(format!("{text:?} holds **, which is no wildcard"));
            }
            MatchType::Wildcard => {
                let parts: Vec<String> = text.split('*').map(regex::escape).collect();
                let regex = Regex::new(&format!("^{}$", parts.join("(.*)")));
                Some(regex.map_err(|error| format!("{text:?}: {error}"))?)
            }
            MatchType::Regex => {
                let wrong = || format!("{text:?} is no regular expression that kiln understands");
                Some(go_regex(&text).ok_or_else(wrong)?)
            }
        };
        Ok(Pattern { text, regex })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, identifier: &str) -> bool {
        let regex = self.regex.as_ref();
        identifier == self.text || regex.is_some_and(|regex| regex.is_match(identifier))
    }

    /// The identifier with what matches replaced; `${1}` is the first part that a wildcard or a group stands for.
    pub(super) fn replace(&self, identifier: &str, with: &str) -> String {
        match &self.regex {
            Some(regex) if regex.is_match(identifier) => {
                regex.replace_all(identifier, with).into_owned()
            }
            _ => with.to_owned(),
        }
    }
}
