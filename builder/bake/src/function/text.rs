//! Functions of texts. What counts or cuts goes by what people take for characters.

use super::Answer;
use super::arguments::Arguments;
use crate::value::Value;
use unicode_segmentation::UnicodeSegmentation;

/// Blanks that `indent` adds at most.
const WIDEST: usize = 1000;

pub fn lower(arguments: &Arguments<'_>) -> Answer {
    let simple = |ch: char| Some(ch.to_lowercase()).filter(|mapped| mapped.len() == 1);
    Ok(mapped(&arguments.text(0)?, |ch| simple(ch)?.next()))
}

pub fn upper(arguments: &Arguments<'_>) -> Answer {
    Ok(mapped(&arguments.text(0)?, |ch| upper_of(ch).into()))
}

/// The capital letter, where it is one letter.
fn upper_of(ch: char) -> char {
    let mut upper = ch.to_uppercase();
    match upper.len() {
        1 => upper.next().unwrap_or(ch),
        _ => ch,
    }
}

fn mapped(text: &str, map: impl Fn(char) -> Option<char>) -> Value {
    Value::String(text.chars().map(|ch| map(ch).unwrap_or(ch)).collect())
}

pub fn title(arguments: &Arguments<'_>) -> Answer {
    let mut before = ' ';
    let mut text = String::new();
    for ch in arguments.text(0)?.chars() {
        text.push(if separates(before) { upper_of(ch) } else { ch });
        before = ch;
    }
    Ok(Value::String(text))
}

/// Whether a word begins behind it.
fn separates(ch: char) -> bool {
    match ch {
        ch if ch.is_alphanumeric() || ch == '_' => false,
        ch if ch.is_ascii() => true,
        ch => ch.is_whitespace(),
    }
}

pub fn trim(arguments: &Arguments<'_>) -> Answer {
    let cut: Vec<char> = arguments.text(1)?.chars().collect();
    Ok(Value::from(arguments.text(0)?.trim_matches(&cut[..])))
}

pub fn trimprefix(arguments: &Arguments<'_>) -> Answer {
    let text = arguments.text(0)?;
    let rest = text.strip_prefix(arguments.text(1)?.as_str());
    Ok(Value::from(rest.unwrap_or(&text)))
}

pub fn trimsuffix(arguments: &Arguments<'_>) -> Answer {
    let text = arguments.text(0)?;
    let rest = text.strip_suffix(arguments.text(1)?.as_str());
    Ok(Value::from(rest.unwrap_or(&text)))
}

pub fn trimspace(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::from(arguments.text(0)?.trim()))
}

pub fn chomp(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::from(
        arguments.text(0)?.trim_end_matches(['\r', '\n']),
    ))
}

pub fn indent(arguments: &Arguments<'_>) -> Answer {
    let blanks = " ".repeat(arguments.count(0)?.min(WIDEST));
    let text = arguments.text(1)?;
    Ok(Value::String(text.replace('\n', &format!("\n{blanks}"))))
}

pub fn replace(arguments: &Arguments<'_>) -> Answer {
    let [text, from, to] = [0, 1, 2].map(|at| arguments.text(at));
    Ok(Value::String(text?.replace(&from?, &to?)))
}

pub fn reverse(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::String(
        arguments.text(0)?.graphemes(true).rev().collect(),
    ))
}

pub fn strlen(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::from(
        arguments.text(0)?.graphemes(true).count() as i128
    ))
}

/// From an offset, which may be counted from the end; a negative length means the rest.
pub fn substr(arguments: &Arguments<'_>) -> Answer {
    let text = arguments.text(0)?;
    let all: Vec<&str> = text.graphemes(true).collect();
    let (offset, length) = (arguments.integer(1)?, arguments.integer(2)?);
    let from_end = || all.len() - usize::try_from(-offset).unwrap_or(all.len()).min(all.len());
    let start = usize::try_from(offset).unwrap_or_else(|_| from_end());
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(Value::String(
        all.into_iter().skip(start).take(length).collect(),
    ))
}

pub fn byteslen(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::from(arguments.text(0)?.len() as i128))
}

pub fn bytesslice(arguments: &Arguments<'_>) -> Answer {
    let text = arguments.text(0)?;
    let (offset, length) = (arguments.count(1)?, arguments.count(2)?);
    let part = offset
        .checked_add(length)
        .and_then(|end| text.get(offset..end));
    part.map(Value::from)
        .ok_or_else(|| "there is no such part of the text".to_owned())
}

pub fn split(arguments: &Arguments<'_>) -> Answer {
    let (separator, text) = (arguments.text(0)?, arguments.text(1)?);
    if separator.is_empty() {
        return Ok(text.chars().map(String::from).collect());
    }
    Ok(text.split(&separator).collect())
}

pub fn join(arguments: &Arguments<'_>) -> Answer {
    let mut all = Vec::new();
    for at in 1..arguments.values.len() {
        all.extend(arguments.texts(at)?);
    }
    Ok(Value::String(all.join(&arguments.text(0)?)))
}

/// What stays are the characters of targets' names.
pub fn sanitize(arguments: &Arguments<'_>) -> Answer {
    let stays = |ch: char| ch.is_ascii_alphanumeric() || ch == '_' || ch == '-';
    Ok(mapped(&arguments.text(0)?, |ch| {
        Some(if stays(ch) { ch } else { '_' })
    }))
}

pub fn basename(arguments: &Arguments<'_>) -> Answer {
    let path = arguments.text(0)?;
    let shorter = path.trim_end_matches('/');
    Ok(Value::from(match (path.as_str(), shorter) {
        ("", _) => ".",
        (_, "") => "/",
        (_, path) => path.rsplit('/').next().unwrap_or(path),
    }))
}

pub fn dirname(arguments: &Arguments<'_>) -> Answer {
    let path = arguments.text(0)?;
    let folder = path.rfind('/').map_or("", |at| &path[..=at]);
    Ok(Value::String(crate::path::clean(folder)))
}

pub fn homedir(arguments: &Arguments<'_>) -> Answer {
    let home = arguments.host.home();
    Ok(Value::String(home.unwrap_or_else(|| "/".to_owned())))
}
