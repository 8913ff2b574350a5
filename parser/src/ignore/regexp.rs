//! Go's regular expressions, as far as `.dockerignore` patterns use them, for the `regex` crate. The two differ in brackets (no nesting and
//! no set operations in Go) and in escapes. Unaware of paths.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// Escapes that are classes, without their brackets.
const CLASSES: &[(char, &str)] = &[('d', "0-9"), ('w', "0-9A-Za-z_"), ('s', "\\t\\n\\x0C\\r ")];

/// POSIX classes inside brackets, with what they hold.
const POSIX: &[(&str, &str)] = &[
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", "\\x00-\\x7F"),
    ("blank", "\\t "),
    ("cntrl", "\\x00-\\x1F\\x7F"),
    ("digit", "0-9"),
    ("graph", "!-~"),
    ("lower", "a-z"),
    ("print", " -~"),
    ("punct", "!-/:-@\\[-`{-~"),
    ("space", "\\t\\n\\x0B\\x0C\\r "),
    ("upper", "A-Z"),
    ("word", "0-9A-Za-z_"),
    ("xdigit", "0-9A-Fa-f"),
];

/// Compiles Go's syntax. None if Go could not, and for `\p{…}`, `\Q…\E`, `\B` and `\C`, which are useless in patterns.
#[must_use]
pub fn compile(source: &str) -> Option<Regex> {
    let mut translated = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '[' => class(&mut chars, &mut translated)?,
            '\\' => match escape(&mut chars)? {
                Escape::Char(ch) => push_char(ch, &mut translated),
                Escape::Class(negated, set) => push_set(negated, set, &mut translated),
                Escape::Boundary(text) => translated.push_str(text),
            },
            // A bracket that closes nothing is itself; the crate wants it escaped.
            ']' => translated.push_str("\\]"),
            ch if ch.is_ascii_graphic() || ch == ' ' => translated.push(ch),
            ch => push_char(ch, &mut translated),
        }
    }
    Regex::new(&translated).ok()
}

enum Escape {
    Char(char),
    Class(bool, &'static str),
    Boundary(&'static str),
}

fn escape(chars: &mut Peekable<Chars<'_>>) -> Option<Escape> {
    let ch = chars.next()?;
    let mut classes = CLASSES.iter();
    if let Some((_, set)) = classes.find(|(name, _)| *name == ch.to_ascii_lowercase()) {
        return Some(Escape::Class(ch.is_ascii_uppercase(), set));
    }
    match ch {
        'A' => Some(Escape::Boundary("\\A")),
        'z' => Some(Escape::Boundary("\\z")),
        'b' => Some(Escape::Boundary("(?-u:\\b)")),
        _ => character(ch, chars).map(Escape::Char),
    }
}

/// The character that an escape stands for.
fn character(ch: char, chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    Some(match ch {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => hexadecimal(chars)?,
        '0'..='7' => {
            let mut value = ch.to_digit(8)?;
            let next = chars.peek().and_then(|next| next.to_digit(8));
            // A single digit other than 0 would be a back reference, which Go does not have.
            if ch != '0' && next.is_none() {
                return None;
            }
            for _ in 0..2 {
                let digit = chars.next_if(|next| next.is_digit(8));
                value = digit
                    .and_then(|digit| digit.to_digit(8))
                    .map_or(value, |digit| value * 8 + digit);
            }
            char::from_u32(value)?
        }
        ch if ch.is_ascii() && !ch.is_ascii_alphanumeric() => ch,
        _ => return None,
    })
}

fn hexadecimal(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let braces = chars.next_if_eq(&'{').is_some();
    let mut value: u32 = 0;
    let mut digits = 0;
    while braces || digits < 2 {
        let Some(digit) = chars.peek().and_then(|next| next.to_digit(16)) else {
            break;
        };
        chars.next();
        value = value.checked_mul(16)?.checked_add(digit)?;
        digits += 1;
    }
    let closed = !braces || chars.next_if_eq(&'}').is_some();
    let complete = if braces { digits > 0 } else { digits == 2 };
    char::from_u32(value).filter(|_| closed && complete)
}

/// Reads a class after its opening bracket.
fn class(chars: &mut Peekable<Chars<'_>>, translated: &mut String) -> Option<()> {
    translated.push('[');
    if chars.next_if_eq(&'^').is_some() {
        translated.push('^');
    }
    let mut first = true;
    loop {
        if !first && chars.next_if_eq(&']').is_some() {
            translated.push(']');
            return Some(());
        }
        first = false;
        if let Some(set) = posix(chars)? {
            translated.push_str(set);
            continue;
        }
        match class_char(chars)? {
            Escape::Char(low) => range(low, chars, translated)?,
            Escape::Class(negated, set) => push_set(negated, set, translated),
            Escape::Boundary(_) => return None,
        }
    }
}

/// A character of a class, and the end of the range that it may begin.
fn range(low: char, chars: &mut Peekable<Chars<'_>>, translated: &mut String) -> Option<()> {
    let mut ahead = chars.clone();
    let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']');
    push_char(low, translated);
    if is_range {
        chars.next();
        let Escape::Char(high) = class_char(chars)? else {
            return None;
        };
        if high < low {
            return None;
        }
        translated.push('-');
        push_char(high, translated);
    }
    Some(())
}

fn push_set(negated: bool, set: &str, translated: &mut String) {
    translated.push_str(if negated { "[^" } else { "[" });
    translated.push_str(set);
    translated.push(']');
}

fn class_char(chars: &mut Peekable<Chars<'_>>) -> Option<Escape> {
    match chars.next()? {
        '\\' => escape(chars),
        ch => Some(Escape::Char(ch)),
    }
}

/// `[:alpha:]`: Some(None) if there is none here, None if its name is unknown.
fn posix(chars: &mut Peekable<Chars<'_>>) -> Option<Option<&'static str>> {
    // Names are short; looking further would cost the square of a long pattern.
    let rest: String = chars.clone().take(16).collect();
    let name = rest.strip_prefix("[:");
    let Some((name, _)) = name.and_then(|rest| rest.split_once(":]")) else {
        return Some(None);
    };
    let (_, set) = POSIX.iter().find(|(known, _)| *known == name)?;
    for _ in 0..name.len() + 4 {
        chars.next();
    }
    Some(Some(set))
}

fn push_char(ch: char, translated: &mut String) {
    translated.push_str(&format!("\\x{{{:X}}}", u32::from(ch)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(source: &str, text: &str) -> bool {
        compile(source).unwrap().is_match(text)
    }

    #[test]
    fn brackets_are_go_s() {
        assert!(is_match("^[a[b]$", "["));
        assert!(is_match("^[a&&b]$", "&"));
        assert!(is_match("^[]a]$", "]"));
        assert!(is_match("^[^/]$", "é"));
        assert!(is_match("^[a-]$", "-"));
        assert!(is_match("^[\\d\\]-_]$", "^"));
        assert!(is_match("^[[:digit:]x]$", "7"));
        assert!(
            compile("[b-a]").is_none() && compile("[a").is_none() && compile("[[:foo:]]").is_none()
        );
    }

    #[test]
    fn escapes_are_go_s() {
        assert!(is_match("^\\a$", "\x07"));
        assert!(is_match("^\\12$", "\n"));
        assert!(is_match("^\\x41\\x{42}$", "AB"));
        assert!(is_match("^\\*\\.$", "*."));
        assert!(compile("\\q").is_none() && compile("\\1").is_none() && compile("\\é").is_none());
    }
}
