//! Functions of regular expressions, which are Go's: the classes `\d`, `\s` and `\w` have ASCII only.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::Value;
use regex::{Captures, Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Bytes that a compiled pattern may have.
const LARGEST: usize = 1 << 20;

/// The first match.
pub fn regex(arguments: &Arguments<'_>) -> Answer {
    let (pattern, text) = (compiled(&arguments.text(0)?)?, arguments.text(1)?);
    let found = pattern.captures(&text);
    let found = found.ok_or_else(|| "the pattern matches nothing".to_owned())?;
    shown(&pattern, &found)
}

/// All matches.
pub fn regexall(arguments: &Arguments<'_>) -> Answer {
    let (pattern, text) = (compiled(&arguments.text(0)?)?, arguments.text(1)?);
    let all = pattern.captures_iter(&text);
    let all = all.map(|found| shown(&pattern, &found));
    all.collect::<Worded<_>>().map(Value::List)
}

pub fn regex_replace(arguments: &Arguments<'_>) -> Answer {
    let (text, pattern) = (arguments.text(0)?, compiled(&arguments.text(1)?)?);
    let with = arguments.text(2)?;
    Ok(Value::from(
        pattern.replace_all(&text, with.as_str()).as_ref(),
    ))
}

/// A match without groups is what was matched, one with groups their texts, by name where they have names.
fn shown(pattern: &Regex, found: &Captures<'_>) -> Answer {
    let group = |at: usize| {
        let group = found.get(at);
        group.map_or(Value::Null, |group| Value::from(group.as_str()))
    };
    let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
    if names.is_empty() {
        return Ok(group(0));
    }
    let named = names.iter().flatten().count();
    let groups = names.iter().enumerate();
    match named {
        0 => Ok(groups.map(|(at, _)| group(at + 1)).collect()),
        all if all == names.len() => {
            let groups = groups.filter_map(|(at, name)| Some(((*name)?.to_owned(), group(at + 1))));
            Ok(Value::Map(groups.collect::<BTreeMap<_, _>>()))
        }
        _ => Err("either all groups of a pattern have names, or none".to_owned()),
    }
}

fn compiled(pattern: &str) -> Worded<Regex> {
    let built = RegexBuilder::new(&in_ascii(pattern)?)
        .size_limit(LARGEST)
        .build();
    built.map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default();
        format!("{pattern:?} is no pattern: {why}")
    })
}

/// Classes that mean more than ASCII where patterns are of Unicode, written out.
fn in_ascii(pattern: &str) -> Worded<String> {
    let mut written = String::with_capacity(pattern.len());
    let (mut chars, mut in_class) = (pattern.chars(), false);
    while let Some(ch) = chars.next() {
        match ch {
            '[' if !in_class => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        match chars.as_str().chars().next().filter(|_| ch == '\\') {
            Some(next) => {
                written.push_str(&escape(next, in_class)?);
                chars.next();
            }
            None => written.push(ch),
        }
    }
    Ok(written)
}

/// What an escaped character means.
fn escape(ch: char, in_class: bool) -> Worded<String> {
    let members = match ch.to_ascii_lowercase() {
        'd' => "0-9",
        's' => "\\t\\n\\f\\r ",
        'w' => "0-9A-Za-z_",
        'b' if !in_class => return Ok(format!("(?-u:\\{ch})")),
        _ => return Ok(format!("\\{ch}")),
    };
    match (in_class, ch.is_ascii_uppercase()) {
        (true, false) => Ok(members.to_owned()),
        (true, true) => Err("a class within a class cannot be negated here".to_owned()),
        (false, false) => Ok(format!("[{members}]")),
        (false, true) => Ok(format!("[^{members}]")),
    }
}
