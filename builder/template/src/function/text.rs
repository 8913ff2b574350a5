//! Functions of texts: `json`, `print`, `upper`, `pad`, `html` and the like.

use super::{Cost, int_of, text_of};
use crate::value::Value;
use std::fmt::Write;

pub fn json(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let json = arguments[0].to_json();
    let text = match cost.indents {
        true => harmless(&format!("{json:#}")),
        false => json.to_string(),
    };
    made(text, cost)
}

/// What Go escapes for the sake of web pages; nothing but strings of JSON has these characters.
fn harmless(json: &str) -> String {
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
    json.replace('&', "\\u0026")
}

fn made(text: String, cost: &mut Cost) -> Result<Value, String> {
    cost.add(text.len())?;
    Ok(text.into())
}

/// As Go's `Sprint`: a space between two that are no texts.
pub fn print(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    made(printed(arguments), cost)
}

fn printed(arguments: &[Value]) -> String {
    let mut text = String::new();
    let mut after_text = true;
    for value in arguments {
        let is_text = matches!(value, Value::Text(_));
        if !after_text && !is_text {
            text.push(' ');
        }
        let _ = write!(text, "{value}");
        after_text = is_text;
    }
    text
}

/// As Go's `Sprintln`: a space between any two.
pub fn println(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let words: Vec<String> = arguments.iter().map(Value::to_string).collect();
    made(words.join(" ") + "\n", cost)
}

pub fn upper(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    made(text_of(&arguments[0])?.to_uppercase(), cost)
}

pub fn lower(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    made(text_of(&arguments[0])?.to_lowercase(), cost)
}

pub fn trim(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    made(text_of(&arguments[0])?.trim().to_owned(), cost)
}

/// Capital letters where words begin.
pub fn title(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let mut in_word = false;
    let mut titled = String::new();
    for c in text_of(&arguments[0])?.chars() {
        if in_word {
            titled.push(c);
        } else {
            titled.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    made(titled, cost)
}

/// A text with so many spaces before and after; nothing stays nothing.
pub fn pad(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let text = text_of(&arguments[0])?;
    let spaces = |at: usize| Ok::<_, String>(usize::try_from(int_of(&arguments[at])?).unwrap_or(0));
    let (before, after) = (spaces(1)?, spaces(2)?);
    if text.is_empty() {
        return Ok("".into());
    }
    cost.add(before.saturating_add(after).saturating_add(text.len()))?;
    Ok(format!("{}{text}{}", " ".repeat(before), " ".repeat(after)).into())
}

/// At most so many characters.
pub fn truncate(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let length = usize::try_from(int_of(&arguments[1])?).unwrap_or(0);
    made(text_of(&arguments[0])?.chars().take(length).collect(), cost)
}

/// A text with each of one part replaced by another.
pub fn replace(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let (text, from, to) = (
        text_of(&arguments[0])?,
        text_of(&arguments[1])?,
        text_of(&arguments[2])?,
    );
    let times = if from.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(from).count()
    };
    cost.add(text.len().saturating_add(times.saturating_mul(to.len())))?;
    Ok(text.replace(from, to).into())
}

pub fn html(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let entity = |c: char, out: &mut String| match c {
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '&' => out.push_str("&amp;"),
        '"' => out.push_str("&#34;"),
        '\'' => out.push_str("&#39;"),
        '\0' => out.push('\u{fffd}'),
        c => out.push(c),
    };
    escaped(arguments, cost, entity)
}

pub fn js(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let escape = |c: char, out: &mut String| match c {
        '\\' | '\'' | '"' => out.extend(['\\', c]),
        '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c => out.push(c),
    };
    escaped(arguments, cost, escape)
}

pub fn urlquery(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let escape = |c: char, out: &mut String| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~') => out.push(c),
        ' ' => out.push('+'),
        c => c
            .encode_utf8(&mut [0; 4])
            .bytes()
            .for_each(|byte| out.push_str(&format!("%{byte:02X}"))),
    };
    escaped(arguments, cost, escape)
}

fn escaped(
    arguments: &[Value],
    cost: &mut Cost,
    escape: fn(char, &mut String),
) -> Result<Value, String> {
    let mut out = String::new();
    printed(arguments).chars().for_each(|c| escape(c, &mut out));
    made(out, cost)
}
