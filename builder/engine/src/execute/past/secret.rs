//! What no record may hold: values of secrets, and of variables whose names sound like secrets. Unaware of where texts come from.

use crate::plan::Plan;
use crate::request::RunOptions;
use kiln_cache::KeyBuilder;
use kiln_parser::graph::{Op, Stage};
use kiln_parser::redact::credentials;
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands in the place of a value.
const HIDDEN: &str = "***";
/// Bytes of a value that is looked for; a shorter one is part of many words, a longer one is a file.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=4096;
/// Digits of a digest that tell two values apart, and do not tell them.
const DIGITS: usize = 8;

/// Parts of names.
const PARTS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "apikey",
    "private",
];
/// Words of names.
const WORDS: [&str; 6] = ["key", "auth", "pass", "pwd", "pword", "pat"];

/// Whether the value of a variable is not to be told.
pub fn is_hidden(name: &str, value: &str) -> bool {
    is_secret(name) || credentials(value) != value
}

/// Whether the name of a variable sounds like a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|ch: char| !ch.is_ascii_alphanumeric());
    PARTS.iter().any(|part| name.contains(part)) || words.any(|word| WORDS.contains(&word))
}

/// What tells two values of a variable apart.
pub fn fingerprint(name: &str, value: &str) -> String {
    let key = KeyBuilder::new("value").bytes(name, value.as_bytes());
    key.finish().0.hex()[..DIGITS].to_owned()
}

/// The values that are hidden, wherever they stand.
#[derive(Debug)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// All that a build knows of.
    pub fn of(plan: &Plan, options: &RunOptions) -> Self {
        let secrets = options.secrets.values();
        let secrets = secrets.filter_map(|secret| std::str::from_utf8(secret).ok());
        let secrets = secrets.map(|secret| secret.trim_end().to_owned());
        let variables = plan.graph.nodes.iter().flat_map(|node| match &node.op {
            Op::Run(run) => run.env.as_slice(),
            _ => &[],
        });
        let stages = &plan.graph.stages;
        let variables = variables.chain(stages.iter().flat_map(|stage| &stage.config.env));
        let of_variables = variables.filter_map(|variable| variable.split_once('='));
        let of_variables = of_variables.map(|(name, value)| (name, value.to_owned()));
        let of_arguments = stages.iter().flat_map(arguments);
        let named = of_variables.chain(of_arguments);
        let named = named.filter(|(name, _)| is_secret(name));
        let values = secrets.chain(named.map(|(_, value)| value));
        let values: BTreeSet<String> = values
            .filter(|value| LENGTHS.contains(&value.len()))
            .collect();
        let mut values: Vec<String> = values.into_iter().collect();
        // one may be a part of another one
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Secrets(values)
    }

    /// A text without them, and without those of addresses.
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, value: &String| text.replace(value, HIDDEN);
        self.0.iter().fold(credentials(text).into_owned(), hide)
    }

    /// The same for all texts of a document.
    pub fn hide_in(&self, document: &mut Value) {
        match document {
            Value::String(text) => *text = self.hide(text),
            Value::Array(all) => all.iter_mut().for_each(|value| self.hide_in(value)),
            Value::Object(all) => all.values_mut().for_each(|value| self.hide_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn arguments(stage: &Stage) -> impl Iterator<Item = (&str, String)> {
    let arguments = stage.arguments.iter();
    arguments.filter_map(|argument| Some((argument.name.as_str(), argument.value.clone()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sound_like_secrets() {
        for name in [
            "GITHUB_TOKEN",
            "npmToken",
            "API_KEY",
            "DB_PASSWORD",
            "AUTH",
            "ssh-key",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["MONKEY", "VERSION", "PATH", "COMPASS"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn values_are_hidden_wherever_they_stand() {
        let secrets = Secrets(vec!["hunter22".to_owned(), "hunter2".to_owned()]);
        let mut document = serde_json::json!({"a": ["x hunter2 y"], "b": "hunter22", "c": 1});
        secrets.hide_in(&mut document);
        let hidden = serde_json::json!({"a": ["x *** y"], "b": "***", "c": 1});
        assert_eq!(document, hidden);
        assert_ne!(fingerprint("A", "one"), fingerprint("A", "two"));
    }
}
