//! The head of an instruction: its name and its flags. Unaware of which flags it may have.

use nom::bytes::complete::{take_till, take_while};
use nom::sequence::terminated;
use nom::{IResult, Parser};

use crate::steps;

/// An instruction's text, cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'t> {
    pub(super) name: &'t str,
    pub(super) flags: Vec<Flag<'t>>,
    /// Without blanks around it.
    pub(super) rest: &'t str,
}

/// A word that begins with `--`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag<'t> {
    /// Without quotes and escapes.
    pub(super) text: String,
    pub(super) written: &'t str,
}

/// Cuts the text of an instruction, which has no blanks around it.
pub(super) fn read(text: &str) -> Head<'_> {
    steps::look_at(text.len());
    let (rest, name) = name(text).unwrap_or(("", text));
    let (rest, flags) = flags(rest);
    Head {
        name,
        flags,
        rest: rest.trim(),
    }
}

fn name(input: &str) -> IResult<&str, &str> {
    terminated(take_till(is_blank), take_while(is_blank)).parse(input)
}

/// The blanks between words: only ASCII ones, unlike those around lines.
pub(super) fn is_blank(ch: char) -> bool {
    matches!(ch, ' ' | '\t' | '\x0b' | '\x0c' | '\r')
}

fn flags(mut rest: &str) -> (&str, Vec<Flag<'_>>) {
    let mut flags = Vec::new();
    loop {
        rest = rest.trim_start();
        if !rest.starts_with("--") {
            return (rest, flags);
        }
        let (text, length) = flag(rest);
        let (written, after) = rest.split_at(length);
        rest = after;
        // A lone `--` ends the flags and vanishes.
        if text == "--" {
            return (rest, flags);
        }
        flags.push(Flag { text, written });
    }
}

/// One flag up to the next blank: its text and its length as written. The escape is always `\` here, whatever the directive says, and works
/// in both quotes.
fn flag(input: &str) -> (String, usize) {
    // Most flags are as long as they are written.
    let mut text = String::with_capacity(input.find(is_blank).unwrap_or(input.len()));
    let mut quote = None;
    let mut chars = input.char_indices();
    while let Some((at, ch)) = chars.next() {
        match ch {
            _ if quote == Some(ch) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(ch),
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            _ if quote.is_none() && ch.is_whitespace() => return (text, at),
            _ => text.push(ch),
        }
    }
    (text, input.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> (Vec<String>, &str) {
        let head = read(line);
        let flags = head.flags.into_iter().map(|flag| flag.text);
        (flags.collect(), head.rest)
    }

    #[test]
    fn names_end_at_ascii_blanks() {
        assert_eq!(read("RUN\x0b a").name, "RUN");
        assert_eq!(read("RUN\u{a0}a").name, "RUN\u{a0}a");
        assert_eq!(read("").name, "");
    }

    #[test]
    fn flags_end_at_the_first_other_word() {
        let flags = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            texts("COPY  --a=b --c d --e "),
            (flags(&["--a=b", "--c"]), "d --e")
        );
        assert_eq!(texts("RUN -- --a b"), (flags(&[]), "--a b"));
        assert_eq!(texts("RUN -a b"), (flags(&[]), "-a b"));
        assert_eq!(
            texts(r#"RUN --a="b c"'d'\ e f"#),
            (flags(&["--a=b cd e"]), "f")
        );
        assert_eq!(texts("RUN --a='open x"), (flags(&["--a=open x"]), ""));
        assert_eq!(texts("RUN --é=à b"), (flags(&["--é=à"]), "b"));
    }
}
