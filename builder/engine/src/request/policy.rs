//! Source policies as BuildKit has them: rules that allow, deny or replace what a build takes from outside. A source is its
//! identifier (`docker-image://docker.io/library/alpine:3`, `https://…`, `git://host/path#ref:folder`) and attributes. Unaware of
//! Dockerfiles and of how sources are fetched; what of a build becomes a source is in `source/policy.rs`.
//!
//! The rules of a policy are read in order. Of ALLOW and DENY the last that matches decides; a CONVERT that changes something starts
//! again with what it made of the source, whatever comes after it.

mod pattern;
mod read;

use crate::failure::Refusal;
use pattern::Pattern;
pub use read::PolicyError;
use std::collections::BTreeMap;

/// What a build takes from outside, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) identifier: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A source that is still converted after so many rounds never ends (BuildKit's limit).
const MAX_ROUNDS: usize = 20;

/// The rules of one file.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What messages call it.
    name: String,
    rules: Vec<Rule>,
}

/// What becomes of a source that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Allow,
    Deny,
    Convert,
}

#[derive(Debug, Clone)]
struct Rule {
    action: Action,
    pattern: Pattern,
    constraints: Vec<Constraint>,
    /// What a source becomes: an identifier, in which `${1}` may stand for parts of the old one, and attributes.
    identifier: Option<String>,
    attributes: BTreeMap<String, String>,
}

/// What an attribute must be; one that is not there is empty.
#[derive(Debug, Clone)]
struct Constraint {
    key: String,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(regex::Regex),
}

/// A source that rules changed, and the last of them.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) source: Source,
    pub(crate) rule: String,
}

/// What the policies make of a source; nothing when it stays as it is.
///
/// # Errors
/// When it is denied, or converted for ever.
pub(crate) fn evaluate(policies: &[Policy], source: &Source) -> Result<Option<Converted>, Refusal> {
    let mut converted: Option<Converted> = None;
    for _ in 0..=MAX_ROUNDS {
        let current = converted.as_ref().map_or(source, |last| &last.source);
        let mut next = None;
        for policy in policies {
            next = policy.evaluate(current)?;
            if next.is_some() {
                break;
            }
        }
        match next {
            Some(next) => converted = Some(next),
            None => return Ok(converted),
        }
    }
    Err(Refusal::Endless(source.identifier.clone()))
}

impl Policy {
    /// One round of one policy.
    fn evaluate(&self, source: &Source) -> Result<Option<Converted>, Refusal> {
        let mut denied = None;
        for (place, rule) in self.rules.iter().enumerate() {
            if !rule.matches(source) {
                continue;
            }
            match rule.action {
                Action::Allow => denied = None,
                Action::Deny => denied = Some(place),
                Action::Convert => {
                    let converted = rule.convert(source);
                    if converted != *source {
                        let (source, rule) = (converted, self.describe(place));
                        return Ok(Some(Converted { source, rule }));
                    }
                }
            }
        }
        let refused = |place| Refusal::Denied {
            identifier: source.identifier.clone(),
            rule: self.describe(place),
        };
        denied.map_or(Ok(None), |place| Err(refused(place)))
    }

    fn describe(&self, place: usize) -> String {
        let rule = &self.rules[place];
        let action = match rule.action {
            Action::Allow => "ALLOW",
            Action::Deny => "DENY",
            Action::Convert => "CONVERT",
        };
        let (number, pattern) = (place + 1, rule.pattern.text());
        format!("rule {number} of {} ({action} {pattern})", self.name)
    }
}

impl Rule {
    fn matches(&self, source: &Source) -> bool {
        let is_met = |constraint: &Constraint| {
            let value = source.attributes.get(&constraint.key);
            let value = value.map_or("", String::as_str);
            match &constraint.condition {
                Condition::Equal(other) => value == other,
                Condition::NotEqual(other) => value != other,
                Condition::Matches(pattern) => pattern.is_match(value),
            }
        };
        self.constraints.iter().all(is_met) && self.pattern.matches(&source.identifier)
    }

    fn convert(&self, source: &Source) -> Source {
        let mut converted = source.clone();
        if let Some(identifier) = &self.identifier {
            converted.identifier = self.pattern.replace(&source.identifier, identifier);
        }
        converted.attributes.extend(self.attributes.clone());
        converted
    }
}

#[cfg(test)]
mod tests;
