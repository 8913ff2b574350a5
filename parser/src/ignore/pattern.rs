//! One pattern of `.dockerignore`, compiled to the cheapest test that decides like moby/patternmatcher: equal, starts with, ends with, or a
//! regular expression behind literal checks. Unaware of the other patterns.

use regex::Regex;

use super::{IgnoreError, regexp};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Cleaned, without `!`.
    pub(super) text: String,
    /// `!`
    pub(super) exclusion: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// No special characters.
    Exact,
    /// `literal**`: the literal.
    Prefix(String),
    /// `**literal`: the literal. With a leading slash also without it.
    Suffix(String),
    /// Anything else.
    Regexp(Box<RegexpTest>),
    /// A regular expression that Go cannot compile: an error when it is used.
    Broken,
}

#[derive(Clone, Debug)]
struct RegexpTest {
    /// What every match begins with.
    prefix: String,
    /// What every match ends with.
    suffix: String,
    regex: Regex,
}

/// The kind that the reference finds while it translates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Regexp,
}

impl Pattern {
    pub(super) fn new(text: &str, exclusion: bool) -> Self {
        let (kind, source) = translate(text);
        let test = match kind {
            Kind::Exact => Test::Exact,
            Kind::Prefix => Test::Prefix(text.strip_suffix("**").unwrap_or(text).to_owned()),
            Kind::Suffix => Test::Suffix(text.strip_prefix("**").unwrap_or(text).to_owned()),
            Kind::Regexp => match regexp::compile(&source) {
                Some(regex) => Test::Regexp(Box::new(RegexpTest {
                    prefix: text[..text.find(is_special).unwrap_or(text.len())].to_owned(),
                    suffix: literal_end(text).to_owned(),
                    regex,
                })),
                None => Test::Broken,
            },
        };
        Pattern {
            text: text.to_owned(),
            exclusion,
            test,
        }
    }

    /// Whether the pattern counts as matching, given whether it matched the directory above and whether the patterns before it ignore the
    /// path. A pattern that would change nothing is not tried.
    pub(super) fn decide(
        &self,
        parent: Option<&bool>,
        ignored: bool,
        path: &str,
    ) -> Result<bool, IgnoreError> {
        if parent == Some(&true) {
            return Ok(true);
        }
        if self.exclusion != ignored {
            return Ok(false);
        }
        self.matches(path)
    }

    fn matches(&self, path: &str) -> Result<bool, IgnoreError> {
        Ok(match &self.test {
            Test::Exact => path == self.text,
            Test::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Test::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path)
            }
            Test::Regexp(test) => {
                path.starts_with(test.prefix.as_str())
                    && path.ends_with(test.suffix.as_str())
                    && test.regex.is_match(path)
            }
            Test::Broken => return Err(IgnoreError::Pattern(self.text.clone())),
        })
    }

    /// Whether some path below a directory could match.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let start = match &self.test {
            Test::Exact => {
                let below = self.text.strip_prefix(directory);
                return below.is_some_and(|below| below.starts_with('/'));
            }
            Test::Prefix(prefix) => prefix.as_str(),
            Test::Regexp(test) => test.prefix.as_str(),
            Test::Suffix(_) | Test::Broken => return true,
        };
        let shared = start.len().min(directory.len());
        let agree = start.as_bytes()[..shared] == directory.as_bytes()[..shared];
        let next = start.as_bytes().get(directory.len());
        agree && next.is_none_or(|&next| next == b'/')
    }
}

/// Characters that some kind of pattern does not take literally. `^` is an anchor in the reference's regular expressions.
fn is_special(ch: char) -> bool {
    matches!(ch, '*' | '?' | '[' | ']' | '\\' | '^')
}

/// The literal text that every match ends with.
fn literal_end(text: &str) -> &str {
    let Some(at) = text.rfind(is_special) else {
        return text;
    };
    let end = &text[at + 1..];
    // `**/` stands for no directory too; an escaped character is a literal of unclear meaning.
    let end = if text[..=at].ends_with("**") {
        end.strip_prefix('/').unwrap_or(end)
    } else {
        end
    };
    match text.as_bytes()[at] {
        b'\\' => {
            let escaped = end.chars().next().map_or(0, char::len_utf8);
            end.get(escaped..).unwrap_or("")
        }
        _ => end,
    }
}

/// The reference's translation: the kind, and the regular expression in Go's syntax. Brackets and what is in them are copied unchanged.
fn translate(text: &str) -> (Kind, String) {
    let mut kind = Kind::Exact;
    let mut source = String::from("^");
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(ch) = chars.next() {
        match ch {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                let is_last = chars.peek().is_none();
                kind = stars(is_last, first, kind, &mut source);
                first = false;
                continue;
            }
            '*' => source.push_str("[^/]*"),
            '?' => source.push_str("[^/]"),
            '\\' => {
                source.push('\\');
                let Some(escaped) = chars.next() else {
                    break;
                };
                source.push(escaped);
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => source.extend(['\\', ch]),
            ch => source.push(ch),
        }
        if matches!(ch, '*' | '?' | '\\' | '[' | ']') {
            kind = Kind::Regexp;
        }
        first = false;
    }
    source.push('$');
    (kind, source)
}

/// `**`, and the slash after it.
fn stars(is_last: bool, is_first: bool, kind: Kind, source: &mut String) -> Kind {
    let is_prefix = is_last && kind == Kind::Exact;
    if !is_prefix {
        source.push_str(if is_last { ".*" } else { "(.*/)?" });
    }
    match (is_first, is_prefix) {
        (true, _) => Kind::Suffix,
        (_, true) => Kind::Prefix,
        _ => Kind::Regexp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(pattern: &str, directory: &str) -> bool {
        Pattern::new(pattern, true).may_match_below(directory)
    }

    #[test]
    fn what_could_match_below() {
        assert!(below("a/b/c", "a/b") && below("a/b/**", "a") && below("a/**", "a/b/c"));
        assert!(below("**/x", "a") && below("a/*.c", "a") && below("*/x", "b"));
        assert!(!below("a/b", "a/b") && !below("ab/c", "a") && !below("b/*.c", "a"));
        assert!(!below("a/b*", "ab") && !below("a/**", "b"));
    }

    #[test]
    fn literal_ends() {
        assert_eq!(literal_end("a*/**/b.c"), "b.c");
        assert_eq!(literal_end("a/*.c"), ".c");
        assert_eq!(literal_end("[a]b\\cd"), "d");
        assert_eq!(literal_end("a*"), "");
    }
}
