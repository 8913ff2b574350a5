//! Patterns of `COPY` and `ADD` sources: Go's `filepath.Match`, which BuildKit uses.
//!
//! ```text
//! pattern := ( '*' no slash | '?' one character, no slash | '[' '^'? range+ ']' | '\' any | any )*
//! range   := any | any '-' any          (each any may be escaped)
//! ```
//! `*` never crosses a slash, so a pattern may be matched against a whole path or one component
//! at a time. `**` has no meaning here; with `--parents` patterns are [`crate::ignore`]'s.

use std::str::Chars;

/// A pattern with a bracket that is not closed, an empty range or an escape at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Whether a pattern holds anything but plain characters (an escape alone does not count).
pub fn has_wildcards(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(ch) = chars.next() {
        match ch {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

/// Matches one component of a path.
///
/// # Errors
/// If the pattern is broken, whether or not the name would match up to there.
pub fn match_component(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    matches(pattern, name)
}

/// Checks a pattern.
///
/// # Errors
/// If it is broken.
pub fn check(pattern: &str) -> Result<(), BadPattern> {
    let mut rest = pattern;
    while !rest.is_empty() {
        let (_, chunk, after) = scan(rest);
        match_chunk(chunk, "")?;
        rest = after;
    }
    Ok(())
}

/// Matches a whole path.
///
/// # Errors
/// If the pattern is broken, whether or not the path would match up to there.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let (mut pattern, mut name) = (pattern, name);
    while !pattern.is_empty() {
        let (star, chunk, rest) = scan(pattern);
        if star && chunk.is_empty() {
            return Ok(!name.contains('/'));
        }
        let Some(after) = match_here(star, chunk, rest, name)? else {
            // A name that does not match still gets its pattern checked to the end.
            return check(rest).map(|()| false);
        };
        (pattern, name) = (rest, after);
    }
    Ok(name.is_empty())
}

/// What is left of the name after the chunk, at its start or, with a star, somewhere in its
/// component. The first place will do: a later star can take up what remains.
fn match_here<'n>(
    star: bool,
    chunk: &str,
    rest: &str,
    name: &'n str,
) -> Result<Option<&'n str>, BadPattern> {
    let fits = |after: &&str| after.is_empty() || !rest.is_empty();
    if let Some(after) = match_chunk(chunk, name)?.filter(fits) {
        return Ok(Some(after));
    }
    if !star {
        return Ok(None);
    }
    for (at, ch) in name.char_indices() {
        if ch == '/' {
            break;
        }
        if let Some(after) = match_chunk(chunk, &name[at + ch.len_utf8()..])?.filter(fits) {
            return Ok(Some(after));
        }
    }
    Ok(None)
}

/// Cuts off leading stars, then what stands before the next star.
fn scan(pattern: &str) -> (bool, &str, &str) {
    let body = pattern.trim_start_matches('*');
    let star = body.len() < pattern.len();
    let mut in_range = false;
    let mut bytes = body.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'[' => in_range = true,
            b']' => in_range = false,
            b'*' if !in_range => return (star, &body[..at], &body[at..]),
            _ => {}
        }
    }
    (star, body, "")
}

/// Matches a chunk, which has no star, at the start of the name: what follows, if it does. The
/// chunk is read to its end in any case.
fn match_chunk<'n>(chunk: &str, name: &'n str) -> Result<Option<&'n str>, BadPattern> {
    let mut chunk = chunk.chars();
    let mut rest = name.chars();
    let mut failed = false;
    while let Some(ch) = chunk.next() {
        // After a mismatch only the syntax matters.
        let next = if failed { None } else { rest.next() };
        failed |= match ch {
            '[' => !matches_class(&mut chunk, next)?,
            '?' => next.is_none_or(|next| next == '/'),
            '\\' => next != Some(chunk.next().ok_or(BadPattern)?),
            ch => next != Some(ch),
        };
    }
    Ok((!failed).then_some(rest.as_str()))
}

/// Reads a class up to its bracket; whether it holds the character.
fn matches_class(chunk: &mut Chars<'_>, ch: Option<char>) -> Result<bool, BadPattern> {
    let negated = chunk.as_str().starts_with('^');
    if negated {
        chunk.next();
    }
    let mut found = false;
    let mut first = true;
    loop {
        if !first && chunk.as_str().starts_with(']') {
            chunk.next();
            return Ok(ch.is_some() && found != negated);
        }
        first = false;
        let low = class_char(chunk)?;
        let mut high = low;
        if chunk.as_str().starts_with('-') {
            chunk.next();
            high = class_char(chunk)?;
        }
        found |= ch.is_some_and(|ch| (low..=high).contains(&ch));
    }
}

fn class_char(chunk: &mut Chars<'_>) -> Result<char, BadPattern> {
    let ch = match chunk.next() {
        None | Some('-' | ']') => return Err(BadPattern),
        Some('\\') => chunk.next().ok_or(BadPattern)?,
        Some(ch) => ch,
    };
    // Something must follow: at least the bracket.
    if chunk.as_str().is_empty() {
        Err(BadPattern)
    } else {
        Ok(ch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_s_table() {
        for (pattern, name, result) in [
            ("abc", "abc", Ok(true)),
            ("*", "abc", Ok(true)),
            ("*c", "abc", Ok(true)),
            ("a*", "ab/c", Ok(false)),
            ("a*/b", "abc/b", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Ok(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Ok(false)),
            ("ab[c]", "abc", Ok(true)),
            ("ab[^e-g]", "abc", Ok(true)),
            ("a\\*b", "ab", Ok(false)),
            ("a?b", "a☺b", Ok(true)),
            ("a[^a]b", "a☺b", Ok(true)),
            ("a???b", "a☺b", Ok(false)),
            ("[a-ζ]*", "α", Ok(true)),
            ("*[a-ζ]", "A", Ok(false)),
            ("a?b", "a/b", Ok(false)),
            ("[\\]a]", "]", Ok(true)),
            ("[\\-x]", "-", Ok(true)),
            ("[]a]", "]", Err(BadPattern)),
            ("[-]", "-", Err(BadPattern)),
            ("[x-]", "x", Err(BadPattern)),
            ("[-x]", "x", Err(BadPattern)),
            ("\\", "a", Err(BadPattern)),
            ("[a-b-c]", "a", Err(BadPattern)),
            ("[", "a", Err(BadPattern)),
            ("[^bc", "a", Err(BadPattern)),
            ("a[", "ab", Err(BadPattern)),
            ("a[", "x", Err(BadPattern)),
            ("a/b[", "x", Err(BadPattern)),
            ("*x", "xxx", Ok(true)),
            ("", "", Ok(true)),
            ("", "a", Ok(false)),
        ] {
            assert_eq!(matches(pattern, name), result, "{pattern} {name}");
        }
    }

    #[test]
    fn wildcards() {
        assert!(has_wildcards("a*") && has_wildcards("[a]") && has_wildcards("\\\\?"));
        assert!(!has_wildcards("a\\*") && !has_wildcards("a]"));
    }

    /// All ways to match, tried one after another.
    fn slow(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => {
                slow(rest, name)
                    || name
                        .first()
                        .is_some_and(|&ch| ch != '/' && slow(pattern, &name[1..]))
            }
            Some(('?', rest)) => {
                name.first().is_some_and(|&ch| ch != '/') && slow(rest, &name[1..])
            }
            Some((ch, rest)) => name.first() == Some(ch) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_all_ways(pattern in "[ab*?/é]{0,8}", name in "[ab/é]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), Ok(slow(&chars(&pattern), &chars(&name))));
        }

        #[test]
        fn never_panics(pattern in r"[a\[\]\\^*?/é-]{0,12}", name in "[a/é\\]-]{0,6}") {
            let matched = matches(&pattern, &name);
            prop_assert_eq!(matched.is_err(), check(&pattern).is_err());
        }
    }
}
