//! Shell patterns in substitutions: `*`, `?` and `\` escapes, no brackets. They are matched by regular expressions, whose cost is linear in
//! the value for any pattern. Unaware of variables.

use regex::Regex;

use super::WordError;

/// Removes the match at the start of the value.
pub(super) fn trim_prefix(pattern: &str, value: &str, greedy: bool) -> Result<String, WordError> {
    let regex = compile(pattern, greedy, true).map_err(|why| bad(pattern, why))?;
    let end = regex.find(value).map_or(0, |found| found.end());
    Ok(value[end..].to_owned())
}

/// Removes the match at the end of the value. A regular expression finds only leftmost matches, so pattern and value are reversed.
pub(super) fn trim_suffix(pattern: &str, value: &str, greedy: bool) -> Result<String, WordError> {
    let turned_pattern = reverse_pattern(pattern);
    let turned: String = value.chars().rev().collect();
    let rest = trim_prefix(&turned_pattern, &turned, greedy)?;
    Ok(rest.chars().rev().collect())
}

/// Replaces the first or all (longest) matches.
pub(super) fn replace(
    pattern: &str,
    value: &str,
    word: &str,
    all: bool,
    limit: usize,
) -> Result<String, WordError> {
    let regex = compile(pattern, true, false).map_err(|why| bad(pattern, why))?;
    let mut text = String::new();
    let mut last = 0;
    let most = if all { usize::MAX } else { 1 };
    for found in regex.find_iter(value).take(most) {
        text.push_str(&value[last..found.start()]);
        text.push_str(word);
        last = found.end();
        if text.len() > limit {
            return Err(WordError::TooLong);
        }
    }
    text.push_str(&value[last..]);
    Ok(text)
}

fn bad(pattern: &str, why: String) -> WordError {
    WordError::Pattern(pattern.to_owned(), why)
}

fn compile(pattern: &str, greedy: bool, anchored: bool) -> Result<Regex, String> {
    let mut regex = String::from(if anchored { "^" } else { "" });
    let mut chars = pattern.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '*' => regex.push_str(if greedy { ".*" } else { ".*?" }),
            '?' => regex.push('.'),
            '\\' => match chars.peek() {
                // Escaped because of ${}: the escape is not part of the pattern.
                Some('}' | '/') => {}
                Some(&escaped @ ('*' | '?' | '\\')) => {
                    chars.next();
                    regex.extend(['\\', escaped]);
                }
                Some(other) => return Err(format!("invalid escape '\\{other}'")),
                None => return Err("invalid escape at the end".to_owned()),
            },
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    Regex::new(&regex).map_err(|error| error.to_string())
}

/// `a\*c` becomes `c\*a`: an escape stays before what it escapes.
fn reverse_pattern(pattern: &str) -> String {
    let mut units: Vec<(Option<char>, char)> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(ch) = chars.next() {
        match (ch, chars.clone().next()) {
            ('\\', Some(escaped)) => {
                chars.next();
                units.push((Some('\\'), escaped));
            }
            _ => units.push((None, ch)),
        }
    }
    let mut reversed = String::with_capacity(pattern.len());
    for (escape, ch) in units.into_iter().rev() {
        reversed.extend(escape);
        reversed.push(ch);
    }
    reversed
}
