//! Parser directives: `# name = value` at the very top of a Dockerfile. Unaware of what `syntax` and `check` do.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, satisfy};
use nom::combinator::recognize;
use nom::sequence::{delimited, terminated};
use nom::{IResult, Parser};

use crate::source::Span;

/// The names that have a meaning. Any other name ends the directives.
const KNOWN: [&str; 3] = ["syntax", "escape", "check"];

/// A parser directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// `syntax`, `escape` or `check`.
    pub name: String,
    /// As written, without blanks around it.
    pub value: String,
    /// Its line.
    pub span: Span,
}

/// Applies directives until something else comes.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) escape: char,
    seen: Vec<String>,
    done: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            escape: '\\',
            seen: Vec::new(),
            done: false,
        }
    }
}

impl Reader {
    /// Nothing that follows is a directive.
    pub(super) fn finish(&mut self) {
        self.done = true;
    }

    /// Reads a comment line. False if it is only a comment, which ends the directives.
    pub(super) fn read(&mut self, line: &str) -> Result<bool, String> {
        let found = if self.done { None } else { parse(line) };
        let Some((name, value)) = found else {
            self.done = true;
            return Ok(false);
        };
        if self.seen.contains(&name) {
            return Err(format!("only one {name} parser directive can be used"));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    let message = "does not match ` or \\";
                    return Err(format!("invalid escape token '{value}' {message}"));
                }
            };
        }
        self.seen.push(name);
        Ok(true)
    }
}

/// The directives as tools find them: `#` in the first column, below an optional `#!` line. The lexer differs in both respects.
pub(crate) fn declared(source: &str) -> Vec<Directive> {
    let mut at = source.len() - source.strip_prefix('\u{feff}').unwrap_or(source).len();
    let mut found: Vec<Directive> = Vec::new();
    for (number, raw) in source[at..].split_inclusive('\n').enumerate() {
        let line = raw.trim_end_matches(['\r', '\n']);
        let span = Span::new(at, at + line.len());
        at += raw.len();
        if number == 0 && line.starts_with("#!") {
            continue;
        }
        match parse(line) {
            Some((name, value)) if !found.iter().any(|other| other.name == name) => {
                found.push(Directive {
                    name,
                    value: value.to_owned(),
                    span,
                });
            }
            _ => break,
        }
    }
    found
}

fn parse(line: &str) -> Option<(String, &str)> {
    let text = line.strip_prefix('#')?;
    setting(text.trim_start_matches(char::is_whitespace))
}

/// `name = value` with a name that has a meaning, from the text of a comment.
pub(crate) fn setting(text: &str) -> Option<(String, &str)> {
    let (value, name) = name(text).ok()?;
    let value = value.trim_matches(is_blank);
    let name = name.to_ascii_lowercase();
    (!value.is_empty() && KNOWN.contains(&name.as_str())).then_some((name, value))
}

/// `name =`
fn name(input: &str) -> IResult<&str, &str> {
    let word = recognize((
        satisfy(|ch| ch.is_ascii_alphabetic()),
        take_while(|ch: char| ch.is_ascii_alphanumeric()),
    ));
    let equals = delimited(take_while(is_blank), char('='), take_while(is_blank));
    terminated(word, equals).parse(input)
}

fn is_blank(ch: char) -> bool {
    matches!(ch, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let parsed = |line| parse(line).map(|(name, value)| format!("{name}={value}"));
        assert_eq!(parsed("#\u{a0}eScApE = ` ").as_deref(), Some("escape=`"));
        assert_eq!(parsed("#syntax=a b=c").as_deref(), Some("syntax=a b=c"));
        assert_eq!(parsed("# escape="), None);
        assert_eq!(parsed("# other=x"), None);
        assert_eq!(parsed("# es cape=x"), None);
    }

    #[test]
    fn order_and_repetition() {
        let mut reader = Reader::default();
        assert_eq!(reader.read("# escape=`"), Ok(true));
        assert!(reader.read("# escape=`").is_err());
        assert_eq!(reader.read("# a comment"), Ok(false));
        assert_eq!(reader.read("# syntax=x"), Ok(false));
        assert!(Reader::default().read("# escape=x").is_err());
    }

    #[test]
    fn tools_see_what_is_below_a_shebang() {
        let names = |source| {
            declared(source)
                .into_iter()
                .map(|found| found.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names("#!/x\n# syntax=a\r\n#check=b\nFROM x"),
            ["syntax", "check"]
        );
        assert!(names(" # syntax=a").is_empty());
    }
}
