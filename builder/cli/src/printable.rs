//! Text from outside on its way to a terminal: control bytes are replaced. Unaware of where the text comes from.

use std::borrow::Cow;

/// Names from outside may hold control bytes; what is shown never does. With `styled`, colour sequences stay.
pub fn printable(text: &str, styled: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let style = if styled && next == '\x1b' {
            style_length(rest)
        } else {
            0
        };
        if style > 0 {
            shown.push_str(&rest[..style]);
            rest = &rest[style..];
            continue;
        }
        shown.push(if next.is_control() && !matches!(next, '\n' | '\t') {
            '\u{fffd}'
        } else {
            next
        });
        rest = &rest[next.len_utf8()..];
    }
    shown
}

/// What a terminal gets of a line that a command has printed: colours, and no control byte. What is written again and again (a bar of progress)
/// is seen as it was at last.
pub fn printed(line: &str) -> Cow<'_, str> {
    if !line.contains(char::is_control) {
        return line.into();
    }
    let last = line.rsplit('\r').find(|part| !part.is_empty());
    printable(last.unwrap_or_default(), true).into()
}

/// The same without colours, and without anything in their place.
pub fn unstyled(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let style = style_length(rest);
        if style == 0 {
            plain.push(next);
        }
        rest = &rest[style.max(next.len_utf8())..];
    }
    plain
}

/// Bytes of the `ESC [ digits ; … m` that `text` begins with, else 0: it sets colours and nothing else.
fn style_length(text: &str) -> usize {
    let Some(body) = text.strip_prefix("\x1b[") else {
        return 0;
    };
    let length = body
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b';')
        .count();
    if body.as_bytes().get(length) == Some(&b'm') {
        length + 3
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_never_shown() {
        assert_eq!(printed("plain"), "plain");
        assert_eq!(printed(" 10%\r 20%\x1b[2J\r"), " 20%\u{fffd}[2J");
        assert_eq!(
            printable("a\x1b]0;t\x07b\nc", false),
            "a\u{fffd}]0;t\u{fffd}b\nc"
        );
        assert_eq!(
            printable("\x1b[1;31merror\x1b[0m \x1b[2J", true),
            "\x1b[1;31merror\x1b[0m \u{fffd}[2J"
        );
    }
}
