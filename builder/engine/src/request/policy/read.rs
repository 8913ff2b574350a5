//! Reads the JSON of a source policy. Words and numbers of BuildKit's `policy.proto` are both understood, and its older spelling
//! `match_type`. What is unknown is an error, because a policy that is half understood protects nobody. Unaware of files.

use super::pattern::{MatchType, Pattern};
use super::{Action, Condition, Constraint, Policy, Rule};
use kiln_parser::ignore::go_regex;
use serde::de::{Deserializer, Unexpected, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use thiserror::Error;

/// Why a text is no source policy.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// It is no JSON, or not of this form; the error names line and column.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// An array in the place of an object.
    #[error("{0} has to be an object, with {{ and }}")]
    NoObject(&'static str),
    /// Made for another BuildKit.
    #[error("version {0} of source policies is unknown")]
    Version(i64),
    /// A rule that cannot be followed.
    #[error("rule {number}: {problem}")]
    Rule {
        /// Its place, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    #[serde(default)]
    version: i64,
    #[serde(default)]
    rules: Option<Vec<RuleText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    #[serde(default, deserialize_with = "word")]
    action: Action,
    selector: SelectorText,
    #[serde(default)]
    updates: Option<UpdatesText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorText {
    identifier: String,
    #[serde(
        default,
        rename = "matchType",
        alias = "match_type",
        deserialize_with = "word"
    )]
    match_type: MatchType,
    #[serde(default)]
    constraints: Option<Vec<ConstraintText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintText {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default, deserialize_with = "word")]
    condition: Comparison,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdatesText {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Default)]
enum Comparison {
    #[default]
    Equal,
    NotEqual,
    Matches,
}

impl Default for Action {
    /// What is first in BuildKit's table, and so is left out when it writes a policy.
    fn default() -> Self {
        Action::Allow
    }
}

/// An enumeration of `policy.proto`: its words, in the order of their numbers.
trait Words: Copy + 'static {
    const WHAT: &'static str;
    const WORDS: &'static [(&'static str, Self)];
}

impl Words for Action {
    const WHAT: &'static str = "action";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ALLOW", Action::Allow),
        ("DENY", Action::Deny),
        ("CONVERT", Action::Convert),
    ];
}

impl Words for MatchType {
    const WHAT: &'static str = "match type";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("WILDCARD", MatchType::Wildcard),
        ("EXACT", MatchType::Exact),
        ("REGEX", MatchType::Regex),
    ];
}

impl Words for Comparison {
    const WHAT: &'static str = "condition";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("EQUAL", Comparison::Equal),
        ("NOTEQUAL", Comparison::NotEqual),
        ("MATCHES", Comparison::Matches),
    ];
}

/// A word, or its number.
fn word<'de, D: Deserializer<'de>, T: Words>(deserializer: D) -> Result<T, D::Error> {
    struct Reader<T>(PhantomData<T>);
    impl<T: Words> Visitor<'_> for Reader<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
            write!(f, "one of {}", words.join(", "))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let found = T::WORDS.iter().find(|(word, _)| *word == text);
            let unknown = || {
                let expected: &dyn de::Expected = &self;
                E::custom(format!("unknown {} {text:?}, expected {expected}", T::WHAT))
            };
            found.map(|(_, value)| *value).ok_or_else(unknown)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
            let place = usize::try_from(number).ok();
            let found = place.and_then(|place| T::WORDS.get(place));
            let unknown = || E::invalid_value(Unexpected::Unsigned(number), &self);
            found.map(|(_, value)| *value).ok_or_else(unknown)
        }
    }
    deserializer.deserialize_any(Reader(PhantomData))
}

impl Policy {
    /// Reads a policy, which messages call `name`.
    ///
    /// # Errors
    /// When the text is none, or says something that kiln does not know.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        let read: PolicyText = serde_json::from_str(text)?;
        check_objects(&serde_json::from_str(text)?).map_err(PolicyError::NoObject)?;
        if !(0..=1).contains(&read.version) {
            return Err(PolicyError::Version(read.version));
        }
        let rules = read.rules.unwrap_or_default().into_iter().enumerate();
        let rules = rules.map(|(place, text)| {
            let number = place + 1;
            rule(text).map_err(|problem| PolicyError::Rule { number, problem })
        });
        Ok(Policy {
            name: name.to_owned(),
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

/// serde takes an array for an object, whose fields it fills in their order.
fn check_objects(policy: &Value) -> Result<(), &'static str> {
    let of = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_default();
    let list = |value: Value| value.as_array().cloned().unwrap_or_default();
    let is_wrong = |value: &Value| !(value.is_object() || value.is_null());
    if !policy.is_object() {
        return Err("a policy");
    }
    for rule in list(of(policy, "rules")) {
        let selector = of(&rule, "selector");
        let mut constraints = list(of(&selector, "constraints")).into_iter();
        if is_wrong(&rule) {
            return Err("a rule");
        } else if is_wrong(&selector) {
            return Err("a selector");
        } else if is_wrong(&of(&rule, "updates")) {
            return Err("updates");
        } else if constraints.any(|constraint| is_wrong(&constraint)) {
            return Err("a constraint");
        }
    }
    Ok(())
}

fn rule(text: RuleText) -> Result<Rule, String> {
    let selector = text.selector;
    if selector.identifier.is_empty() {
        return Err("its selector has no identifier".to_owned());
    }
    let has_updates = text.updates.is_some();
    let UpdatesText { identifier, attrs } = text.updates.unwrap_or_default();
    let attributes = attrs.unwrap_or_default();
    match text.action {
        Action::Convert if !has_updates => return Err("CONVERT needs updates".to_owned()),
        Action::Convert if identifier.is_empty() && attributes.is_empty() => {
            return Err("CONVERT needs updates: an identifier or attrs".to_owned());
        }
        _ => {}
    }
    let constraints = selector.constraints.unwrap_or_default().into_iter();
    Ok(Rule {
        action: text.action,
        pattern: Pattern::new(selector.identifier, selector.match_type)?,
        constraints: constraints.map(constraint).collect::<Result<_, _>>()?,
        identifier: Some(identifier).filter(|identifier| !identifier.is_empty()),
        attributes,
    })
}

fn constraint(text: ConstraintText) -> Result<Constraint, String> {
    let ConstraintText {
        key,
        value,
        condition,
    } = text;
    let condition = match condition {
        Comparison::Equal => Condition::Equal(value),
        Comparison::NotEqual => Condition::NotEqual(value),
        Comparison::Matches => {
            let wrong = || format!("{value:?} is no regular expression that kiln understands");
            Condition::Matches(go_regex(&value).ok_or_else(wrong)?)
        }
    };
    Ok(Constraint { key, condition })
}
