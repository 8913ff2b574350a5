//! One question a line, one answer a line, both JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ignore::{IgnoreError, IgnoreFile, Matcher};
use crate::words::{self, Quotes, Style};

#[derive(Deserialize)]
struct WordQuestion {
    #[serde(default)]
    id: Value,
    word: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    mode: String,
    escape: Option<char>,
    #[serde(default)]
    quotes: String,
    #[serde(default)]
    unset: String,
}

/// Expands one word: `{"word", "env", "mode": "word"|"words", "escape", "quotes":
/// "keep"|"raw"|"literal", "unset": "keep"}` gives `{"result", "unset"}`, `{"words"}` or
/// `{"error"}`, with the question's `id`.
pub fn words_line(line: &str) -> String {
    answer(line, |question: WordQuestion| {
        let style = Style {
            escape: question.escape.unwrap_or('\\'),
            quotes: match question.quotes.as_str() {
                "keep" => Quotes::Keep,
                "raw" => Quotes::Raw,
                "literal" => Quotes::Literal,
                _ => Quotes::Remove,
            },
            keep_unset: question.unset == "keep",
        };
        let answer = match words::expand_words(&question.word, style, &question.env) {
            Ok((words, _)) if question.mode == "words" => json!({"words": words}),
            Ok((_, expansion)) => json!({"result": expansion.text, "unset": expansion.unset}),
            Err(error) => json!({"error": error.to_string()}),
        };
        (question.id, answer)
    })
}

#[derive(Deserialize)]
struct IgnoreQuestion {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    patterns: Vec<String>,
    file: Option<String>,
    #[serde(default)]
    paths: Vec<String>,
}

/// Decides on paths: `{"patterns": […]}` or `{"file": text}`, and `{"paths"}`, gives
/// `{"ignored": [bool…]}`, for a file also its `patterns`, or `{"error"}`, with the `id`.
pub fn ignore_line(line: &str) -> String {
    answer(line, |question: IgnoreQuestion| {
        let mut answer = json!({});
        let patterns = match &question.file {
            Some(text) => {
                let file = IgnoreFile::parse(text);
                answer["patterns"] = json!(file.patterns);
                file.patterns
            }
            None => question.patterns,
        };
        match decide(&patterns, &question.paths) {
            Ok(ignored) => answer["ignored"] = json!(ignored),
            Err(error) => answer["error"] = json!(error.to_string()),
        }
        (question.id, answer)
    })
}

fn decide(patterns: &[String], paths: &[String]) -> Result<Vec<bool>, IgnoreError> {
    let matcher = Matcher::new(patterns)?;
    paths.iter().map(|path| matcher.ignored(path)).collect()
}

fn answer<'l, Q: Deserialize<'l>>(line: &'l str, ask: impl FnOnce(Q) -> (Value, Value)) -> String {
    let (id, mut answer) = match serde_json::from_str(line) {
        Ok(question) => ask(question),
        Err(error) => (Value::Null, json!({"error": error.to_string()})),
    };
    answer["id"] = id;
    answer.to_string()
}
