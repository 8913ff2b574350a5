//! Text that is meant as a JSON array but is not one: `['a']`, a comma that is missing, typographic quotes. Says what is wrong with it and how it
//! is written. Unaware of instructions.

use std::iter::Peekable;
use std::str::Chars;

/// What is wrong with an array, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// The first fault, in a few words.
    pub what: &'static str,
    /// The array as JSON.
    pub meant: String,
}

/// How long a text may be to be looked at.
const LONGEST: usize = 4096;
/// Quotes by what opens and what may close.
const QUOTES: [(char, &str); 8] = [
    ('"', "\""),
    ('\'', "'"),
    ('`', "`´"),
    ('“', "”“\""),
    ('”', "”“\""),
    ('„', "“”\""),
    ('‘', "’‘'"),
    ('«', "»"),
];

/// The slip in a text that begins as an array does; none in an array, and in what is meant for a shell, such as `[ -f x ]`.
#[must_use]
pub fn find(text: &str) -> Option<Slip> {
    let text = text.trim();
    let inner = text.strip_prefix('[').filter(|_| text.len() <= LONGEST)?;
    if serde_json::from_str::<Vec<String>>(text).is_ok() {
        return None;
    }
    let is_quoted = inner.trim_start().starts_with(|c| closing(c).is_some());
    let is_list = inner.contains(',') && text.ends_with(']') && !inner.starts_with([' ', '[']);
    if !is_quoted && !is_list {
        return None;
    }
    let mut reader = Reader {
        rest: inner.chars().peekable(),
        what: None,
        words: Vec::new(),
    };
    reader.read();
    let words: Vec<String> = reader.words.iter().map(|word| json(word)).collect();
    Some(Slip {
        what: reader.what?,
        meant: format!("[{}]", words.join(", ")),
    })
}

fn json(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

fn closing(quote: char) -> Option<&'static str> {
    let known = QUOTES.iter().find(|(open, _)| *open == quote);
    known.map(|(_, close)| *close)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    what: Option<&'static str>,
    words: Vec<String>,
}

impl Reader<'_> {
    /// Reads words up to the end; the first fault counts.
    fn read(&mut self) {
        let mut has_comma = true;
        while let Some(next) = self.next() {
            match next {
                ']' => {
                    if has_comma && !self.words.is_empty() {
                        self.fault("a comma stands before the ]");
                    }
                    if self.next().is_some() {
                        self.fault("something stands after the ]");
                    }
                    return;
                }
                ',' => has_comma = true,
                first => {
                    if !has_comma {
                        self.fault("a comma is missing between two words");
                    }
                    has_comma = false;
                    self.word(first);
                }
            }
        }
        self.fault("the ] is missing");
    }

    /// The next character that is no blank.
    fn next(&mut self) -> Option<char> {
        self.rest.find(|c| !c.is_whitespace())
    }

    fn word(&mut self, first: char) {
        let close = closing(first);
        self.fault_of(first);
        let mut word = String::new();
        if close.is_none() {
            word.push(first);
        }
        let ends = |c: char| match close {
            Some(close) => close.contains(c),
            None => c == ',' || c == ']' || c.is_whitespace(),
        };
        while let Some(next) = self.rest.next_if(|next| !ends(*next)) {
            word.push(next);
            if next == '\\' {
                word.extend(self.rest.next());
            }
        }
        self.rest.next_if(|_| close.is_some());
        // escapes count as in JSON, if they are some of it
        let decoded = serde_json::from_str(&format!("\"{word}\""));
        self.words.push(decoded.unwrap_or(word));
    }

    fn fault_of(&mut self, first: char) {
        match first {
            '"' => {}
            '\'' => self.fault("its quotes are single ones"),
            other if closing(other).is_some() => self.fault("its quotes are not plain ones"),
            _ => self.fault("a word has no quotes"),
        }
    }

    fn fault(&mut self, what: &'static str) {
        self.what.get_or_insert(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slips_are_named_and_mended() {
        let cases = [
            (
                r#"['a', "b"]"#,
                "its quotes are single ones",
                r#"["a", "b"]"#,
            ),
            (
                r#"["a" "b c"]"#,
                "a comma is missing between two words",
                r#"["a", "b c"]"#,
            ),
            (r#"["a","b"#, "the ] is missing", r#"["a", "b"]"#),
            (r#"["a", "b""#, "the ] is missing", r#"["a", "b"]"#),
            (
                r#"["a", "b",]"#,
                "a comma stands before the ]",
                r#"["a", "b"]"#,
            ),
            (
                "[“a”, “b”]",
                "its quotes are not plain ones",
                r#"["a", "b"]"#,
            ),
            (r#"["a", b]"#, "a word has no quotes", r#"["a", "b"]"#),
            ("[nginx, -g]", "a word has no quotes", r#"["nginx", "-g"]"#),
            (r#"["a"] && b"#, "something stands after the ]", r#"["a"]"#),
            (
                r#"["a\tb" "c"]"#,
                "a comma is missing between two words",
                r#"["a\tb", "c"]"#,
            ),
        ];
        for (text, what, meant) in cases {
            let found = find(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((found.what, found.meant.as_str()), (what, meant), "{text}");
        }
    }

    #[test]
    fn arrays_and_shells_have_none() {
        for text in [
            r#"["a", "b"]"#,
            "[]",
            "[ -f /x ]",
            "[ -f /x ] && y",
            "[[ a = b ]]",
            "[ a, b ]",
            "echo ['a']",
            "[",
            "",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_meant_is_always_an_array(text in r#"\[["'“a,\\ \]é]{0,20}"#) {
            if let Some(found) = find(&text) {
                prop_assert!(serde_json::from_str::<Vec<String>>(&found.meant).is_ok());
            }
        }
    }
}
