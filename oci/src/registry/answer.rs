//! What an answer that is no success says: from status and body to an error that a person
//! understands. Unaware of what is done about it.

use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::error::{Error, Result};
use super::retry::retry_after;
use super::session::Session;
use super::transport::{host_of, without_query};

/// Bytes of an error's body that are read.
const LARGEST: usize = 64 << 10;
/// Characters of it that are shown.
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

/// `response` as an error; `what` was asked for.
pub(super) async fn refusal(
    session: &Session,
    method: &Method,
    response: Response,
    what: &str,
) -> Result<Error> {
    let status = response.status();
    let url = response.url().clone();
    let host = host_of(&url);
    let wait = retry_after(response.headers());
    let text = match session.body(response, LARGEST).await {
        Ok(body) => text(&body),
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(_) => String::new(),
    };
    let message = if text.is_empty() {
        text
    } else {
        format!(": {text}")
    };
    Ok(match status {
        StatusCode::NOT_FOUND => Error::NotFound {
            what: what.into(),
            host,
            message,
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied {
            host,
            what: what.into(),
            reason: format!("{status}{message}"),
        },
        _ => Error::Status {
            method: name(method),
            url: without_query(&url),
            code: status.as_u16(),
            status: status.to_string(),
            message,
            retry_after: wait,
        },
    })
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "request of",
    }
}

/// The errors that a body lists, else its first line unless it is a page for browsers.
pub(super) fn text(body: &[u8]) -> String {
    let listed = serde_json::from_slice::<Errors>(body).ok().map(|list| {
        let shown = list
            .errors
            .iter()
            .take(3)
            .map(|e| match e.message.as_str() {
                "" => e.code.clone(),
                message => message.into(),
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
