//! Texts as Go's standard library writes and reads them: history entries are compared by people
//! and tools.

use std::fmt::Write as _;

/// `["a" "b"]`: `%q` of a list.
pub(crate) fn quote_list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    format!("[{}]", quoted.join(" "))
}

/// `"a\n"`: `%q` of a string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for ch in text.chars() {
        match ch {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            // Writing to a String cannot fail.
            '\0'..' ' | '\x7f' => drop(write!(quoted, "\\x{:02x}", u32::from(ch))),
            '\u{80}'..='\u{a0}' | '\u{ad}' => drop(write!(quoted, "\\u{:04x}", u32::from(ch))),
            _ => quoted.push(ch),
        }
    }
    quoted.push('"');
    quoted
}

/// What `strconv.ParseBool` reads.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(quote("a\"\\\n\x01é\u{a0}"), "\"a\\\"\\\\\\n\\x01é\\u00a0\"");
        assert_eq!(
            quote_list(&["a".to_owned(), "b c".to_owned()]),
            r#"["a" "b c"]"#
        );
        assert_eq!(quote_list(&[]), "[]");
    }
}
