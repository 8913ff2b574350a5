//! Removes credentials from addresses, for texts that people and other images see: titles and history. Unaware of what addresses are for.

use std::borrow::Cow;

/// The text without the `user:password@` of addresses, and without the `token@` of http(s) addresses. A user alone, as in
/// `ssh://git@host`, stays: it is a name.
pub fn credentials(text: &str) -> Cow<'_, str> {
    replaced(text, |_| String::new())
}

/// The same with a star for each of their bytes, so that all else stays in its place.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    replaced(text, |credentials| "*".repeat(credentials.len()))
}

fn replaced(text: &str, by: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(is_end).unwrap_or(after.len());
        let mut words = before[..at].rsplit(|ch: char| !ch.is_ascii_alphanumeric());
        let scheme = words.next().unwrap_or_default();
        let is_web = ["http", "https"]
            .iter()
            .any(|web| scheme.eq_ignore_ascii_case(web));
        shown.push_str(before);
        rest = match after[..end].rsplit_once('@') {
            Some((user, host)) if is_web || user.contains(':') => {
                let (credentials, after) = after.split_at(end - host.len());
                shown.push_str(&by(credentials));
                after
            }
            _ => after,
        };
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Ends host and credentials of an address, in a text that may continue.
fn is_end(ch: char) -> bool {
    matches!(ch, '/' | '?' | '#' | '"' | '\'' | '\\') || ch.is_whitespace() || ch.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out() {
        for (text, expected) in [
            ("nothing", "nothing"),
            ("https://h/a@b", "https://h/a@b"),
            ("ADD https://me:p@w@h:1/a /", "ADD https://h:1/a /"),
            ("a=HTTP://token@h b=ftp://u:p@h/x", "a=HTTP://h b=ftp://h/x"),
            ("ssh://git@h/a git@h:a", "ssh://git@h/a git@h:a"),
            ("\"https://u:p@h\" me@h", "\"https://h\" me@h"),
            ("x://", "x://"),
            ("https://a:b@h://c:d@i", "https://h://i"),
        ] {
            assert_eq!(credentials(text), expected);
        }
    }

    #[test]
    fn masks_are_as_long_as_what_they_hide() {
        let text = "ADD https://hé:pw@host/a b";
        let shown = masked(text);
        assert_eq!(shown, "ADD https://*******host/a b");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn addresses_without_scheme_stay() {
        assert_eq!(credentials("a:b@c ://d:e@f"), "a:b@c ://f");
    }
}
