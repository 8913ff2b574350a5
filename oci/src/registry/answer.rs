//! What an answer that is no success says: from status and body to an error that a person understands. Unaware of what is done about it.

use serde::Deserialize;

use super::error::{Error, Result};
use crate::http::{self, Answer};

/// Characters of an error's text that are shown.
const LONGEST: usize = 400;

/// The errors of OCI's distribution specification, "Error Codes".
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// `answer` as an error; `what` was asked for.
pub(super) fn refusal(answer: Answer, what: &str) -> Result<Error> {
    let host = answer.host();
    Ok(match answer.refused(text)? {
        http::Error::Status {
            code: 404, message, ..
        } => Error::NotFound {
            what: what.into(),
            host,
            message: http::after_colon(&message),
        },
        http::Error::Status {
            code: 401 | 403,
            status,
            message,
            ..
        } => Error::Denied {
            host,
            what: what.into(),
            reason: format!("{status}{}", http::after_colon(&message)),
        },
        error => error.into(),
    })
}

/// The errors that a body lists, else its first line unless it is a page for browsers.
pub(super) fn text(body: &[u8]) -> String {
    let listed = serde_json::from_slice::<Errors>(body).ok().map(|list| {
        let shown = list.errors.iter().take(3);
        let shown = shown.map(|error| match error.message.as_str() {
            "" => error.code.as_str(),
            message => message,
        });
        shown.collect::<Vec<_>>().join("; ")
    });
    let plain = || {
        let text = String::from_utf8_lossy(body);
        let line = text.trim_start().lines().next().unwrap_or_default();
        if line.starts_with(['<', '{', '[']) {
            String::new()
        } else {
            line.to_owned()
        }
    };
    let text = listed.unwrap_or_else(plain);
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(LONGEST).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn messages_are_short_and_printable() {
        let listed = br#"{"errors":[{"code":"DENIED","message":"not\u001b[1m you"},{"code":"B"}]}"#;
        assert_eq!(text(listed), "not [1m you; B");
        assert_eq!(text(b"too many requests\nmore"), "too many requests");
        assert_eq!(text(b"<html>no</html>"), "");
        assert_eq!(text("[".repeat(50_000).as_bytes()), "");
        assert_eq!(text(&[b'a'; 5000]).len(), 400);
        assert_eq!(text(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
    }
}
