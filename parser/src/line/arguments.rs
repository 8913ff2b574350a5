//! How arguments are split: JSON arrays, lists of words, one text, pairs. Unaware of what they mean.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::head::is_blank;
use super::{Arguments, Pair, Word};
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::lexer::Text;
use crate::steps;

/// The shape of an instruction's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One text: `USER`, `WORKDIR`.
    Text,
    /// Words between blanks: `FROM`, `EXPOSE`.
    List,
    /// A JSON array or one text: `RUN`, `CMD`.
    JsonOrText,
    /// A JSON array or words: `COPY`, `VOLUME`.
    JsonOrList,
    /// Words in which quotes hold blanks: `ARG`.
    Quoted,
    /// `key=value` words or `key value`: `ENV`, `LABEL`.
    Pairs,
    /// A word, then a JSON array or one text: `HEALTHCHECK`.
    Health,
    /// Another instruction: `ONBUILD`.
    Trigger,
}

/// Splits arguments, which have no blanks around them.
pub(super) fn read(
    form: Form,
    text: &Text<'_>,
    name: &str,
    rest: &str,
    escape: char,
) -> Result<Arguments, Diagnostic> {
    steps::look_at(rest.len());
    Ok(match form {
        _ if rest.is_empty() && form == Form::Pairs => Arguments::Pairs(Arc::default()),
        _ if rest.is_empty() => Arguments::default(),
        Form::Text | Form::Trigger => one(text, rest),
        Form::List => plain(text, list(rest)),
        Form::Quoted => plain(text, quoted(rest, escape)),
        Form::JsonOrText => json(text, rest)?.unwrap_or_else(|| one(text, rest)),
        Form::JsonOrList => json(text, rest)?.unwrap_or_else(|| plain(text, list(rest))),
        Form::Pairs => Arguments::Pairs(pairs(text, name, rest, escape)?.into()),
        Form::Health => health(text, rest)?,
    })
}

fn one(text: &Text<'_>, slice: &str) -> Arguments {
    plain(text, std::iter::once(slice))
}

fn plain<'t>(text: &Text<'_>, slices: impl IntoIterator<Item = &'t str>) -> Arguments {
    let words = slices
        .into_iter()
        .map(|slice| Word::new(slice, text.span_of(slice)));
    Arguments::Words {
        words: words.collect(),
        json: false,
    }
}

fn list(rest: &str) -> impl Iterator<Item = &str> {
    rest.split(is_blank).filter(|word| !word.is_empty())
}

/// `None` if the text is no JSON array: then it is meant for a shell.
fn json(text: &Text<'_>, rest: &str) -> Result<Option<Arguments>, Diagnostic> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(rest) else {
        return Ok(None);
    };
    let mut words = Vec::with_capacity(values.len());
    for value in values {
        let span = text.span_of(value.get());
        if !value.get().starts_with('"') {
            let message = "when using JSON array syntax, arrays must be comprised of strings only";
            let error = Diagnostic::error(code::JSON_STRINGS, Phase::Syntax, span, message);
            return Err(error.with_label("not a string"));
        }
        words.push(Word::new(json_string(value.get()), span));
    }
    let words = words.into();
    Ok(Some(Arguments::Words { words, json: true }))
}

/// Decodes a valid JSON string. Lone surrogates, which Rust's strings cannot hold, become
/// U+FFFD, as in Go.
fn json_string(literal: &str) -> String {
    if let Ok(text) = serde_json::from_str(literal) {
        return text;
    }
    let mut repaired = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let (length, is_valid) = surrogates(escape).unwrap_or_else(|| {
            let escaped = escape[1..].chars().next();
            (1 + escaped.map_or(0, char::len_utf8), true)
        });
        let kept = if is_valid {
            &escape[..length]
        } else {
            "\u{fffd}"
        };
        repaired.push_str(kept);
        rest = &escape[length..];
    }
    repaired.push_str(rest);
    serde_json::from_str(&repaired).unwrap_or_default()
}

/// The length of a surrogate escape, and whether it is a pair. None for other escapes.
fn surrogates(escape: &str) -> Option<(usize, bool)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(escape)? {
        0xd800..=0xdbff => {
            let low = escape.get(6..).and_then(unit);
            let paired = low.is_some_and(|low| (0xdc00..=0xdfff).contains(&low));
            Some((if paired { 12 } else { 6 }, paired))
        }
        0xdc00..=0xdfff => Some((6, false)),
        _ => None,
    }
}

fn health(text: &Text<'_>, rest: &str) -> Result<Arguments, Diagnostic> {
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (kind, command) = rest.split_at(end);
    let command = command.trim_start();
    let kind = Word::new(kind, text.span_of(kind));
    let arguments = match command {
        "" => Arguments::default(),
        command => json(text, command)?.unwrap_or_else(|| one(text, command)),
    };
    Ok(match arguments {
        Arguments::Words { words, json } => {
            let words = std::iter::once(kind).chain(words.iter().cloned()).collect();
            Arguments::Words { words, json }
        }
        other => other,
    })
}

/// Words as written, quotes and escapes kept. A lone escape at the very end is dropped.
fn quoted(rest: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote) = (None, None);
    let mut end = rest.len();
    let mut chars = rest.char_indices();
    while let Some((at, ch)) = chars.next() {
        if quote.is_none() && ch.is_whitespace() {
            words.extend(start.take().map(|start| &rest[start..at]));
            continue;
        }
        start.get_or_insert(at);
        if ch == escape && quote != Some('\'') {
            if chars.next().is_none() {
                end = at;
            }
        } else if quote == Some(ch) {
            quote = None;
        } else if quote.is_none() && matches!(ch, '\'' | '"') {
            quote = Some(ch);
        }
    }
    let last = start.map(|start| &rest[start..end]);
    words.extend(last.filter(|word| !word.is_empty()));
    words
}

fn pairs(text: &Text<'_>, name: &str, rest: &str, escape: char) -> Result<Vec<Pair>, Diagnostic> {
    let words = quoted(rest, escape);
    if !words.first().is_some_and(|word| word.contains('=')) {
        return legacy(text, name, rest).map(|pair| vec![pair]);
    }
    let pairs = words.into_iter().map(|word| {
        let span = text.span_of(word);
        let Some((key, value)) = word.split_once('=') else {
            let message =
                format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value");
            let error = Diagnostic::error(code::KEY_VALUE, Phase::Syntax, span, message);
            return Err(error.with_help("quote values that contain spaces"));
        };
        Ok(Pair {
            key: key.into(),
            value: value.into(),
            legacy: false,
            span,
        })
    });
    pairs.collect()
}

/// `ENV key value with blanks`
fn legacy(text: &Text<'_>, name: &str, rest: &str) -> Result<Pair, Diagnostic> {
    let span = text.span_of(rest);
    let Some((key, value)) = rest.split_once(is_blank) else {
        let message = format!("{} must have two arguments", name.to_ascii_uppercase());
        let error = Diagnostic::error(code::KEY_VALUE, Phase::Syntax, span, message);
        return Err(error.with_help(format!("write {rest}=value")));
    };
    Ok(Pair {
        key: key.into(),
        value: value.trim_start_matches(is_blank).into(),
        legacy: true,
        span,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(rest: &str) -> Option<Vec<String>> {
        let text = Text::whole(rest, 0);
        let read = json(&text, text.as_str()).unwrap()?;
        let Arguments::Words { words, json: true } = read else {
            panic!("not JSON")
        };
        Some(words.iter().map(|word| word.text.to_string()).collect())
    }

    #[test]
    fn json_arrays_hold_strings_only() {
        assert_eq!(strings(r#"[ "a", "\u00e9\n" ]"#).unwrap(), ["a", "é\n"]);
        assert_eq!(strings("[]").unwrap(), Vec::<String>::new());
        assert_eq!(
            strings(r#"["\ud800","\ud83d\ude00","\udc00\\u"]"#).unwrap(),
            ["\u{fffd}", "😀", "\u{fffd}\\u"]
        );
        for shell in ["['a']", r#"["a"] b"#, r#"["a","#, "[a]", "[ -f x ] && y"] {
            assert_eq!(strings(shell), None, "{shell}");
        }
        let text = Text::whole(r#"["a", 1]"#, 0);
        assert_eq!(
            json(&text, text.as_str()).unwrap_err().code,
            code::JSON_STRINGS
        );
    }

    #[test]
    fn quoted_words_keep_everything() {
        assert_eq!(
            quoted(r#"a="b c"  d\ e'f g'"#, '\\'),
            [r#"a="b c""#, r"d\ e'f g'"]
        );
        assert_eq!(quoted("a` b c`", '`'), ["a` b", "c"]);
        assert_eq!(quoted("\"open a", '\\'), ["\"open a"]);
        assert_eq!(quoted("a \\", '\\'), ["a"]);
        assert_eq!(quoted("'a\\' b", '\\'), ["'a\\'", "b"]);
    }

    #[test]
    fn pairs_in_both_forms() {
        let read = |rest: &str| {
            let text = Text::whole(rest, 0);
            let pairs = pairs(&text, "env", text.as_str(), '\\').map_err(|error| error.message)?;
            let show = |pair: Pair| format!("{}→{}", pair.key, pair.value);
            Ok::<_, String>(pairs.into_iter().map(show).collect::<Vec<_>>())
        };
        assert_eq!(read("a=1 b='2 3' c=").unwrap(), ["a→1", "b→'2 3'", "c→"]);
        assert_eq!(read("one two= three=x").unwrap(), ["one→two= three=x"]);
        assert_eq!(read("one").unwrap_err(), "ENV must have two arguments");
        assert!(read("a=1 b").unwrap_err().contains("can't find = in \"b\""));
    }
}
