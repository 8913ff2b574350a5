//! When to try again: a bounded number of times, with pauses that double, as the registry asks
//! where that is sensible. No jitter: a build is one client, not a fleet. Unaware of what is tried.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::{Error, Result};
use super::session::Session;

/// The failures of one undertaking since its last progress.
pub(super) struct Attempts<'s> {
    session: &'s Session,
    failed: u32,
    most: u32,
    /// Whether another place can be asked instead of waiting for this one.
    has_other: bool,
}

impl<'s> Attempts<'s> {
    /// As the settings say; once more only where another place can be asked, as behind a mirror.
    pub(super) fn new(session: &'s Session, has_other: bool) -> Self {
        Self::after(session, 0, has_other)
    }

    /// The same, after so many failures.
    pub(super) fn after(session: &'s Session, failed: u32, has_other: bool) -> Self {
        Self {
            session,
            failed,
            most: match has_other {
                true => 1,
                false => session.settings.patience.retries,
            },
            has_other,
        }
    }

    /// Waits until it is time for another attempt.
    ///
    /// # Errors
    /// `error` itself, when another attempt makes no sense; [`Error::Busy`] when it asks for too long a
    /// pause.
    pub(super) async fn failed(&mut self, error: Error) -> Result<()> {
        if !error.is_passing() || self.failed >= self.most {
            return Err(error);
        }
        let patience = &self.session.settings.patience;
        let doubled = patience.pause.saturating_mul(1 << self.failed.min(16));
        let own = doubled.min(patience.longest_pause);
        let asked = match error {
            Error::Status { retry_after, .. } => retry_after,
            _ => None,
        };
        if asked.is_some() && self.has_other {
            return Err(error);
        }
        let pause = asked.unwrap_or(own);
        if pause > patience.longest_retry_after {
            return Err(give_up(error, pause));
        }
        tracing::debug!(%error, ?pause, "a request failed and is repeated");
        self.failed += 1;
        self.session.pause(pause).await
    }
}

fn give_up(error: Error, wait: Duration) -> Error {
    let Error::Status {
        url,
        status,
        message,
        ..
    } = error
    else {
        return error;
    };
    let host = url.split('/').nth(2).unwrap_or_default().into();
    Error::Busy {
        host,
        status,
        wait,
        message,
    }
}

/// The pause that an answer asks for, in seconds or until a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they overflow are as good as for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(text)
        .ok()?
        .timestamp()
        .as_second();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let date = Duration::from_secs(date.try_into().unwrap_or(0));
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(
            RETRY_AFTER,
            text.parse().unwrap(),
        )]))
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("99999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(asked("Thu, 21 Oct 2190 07:28:00 GMT").unwrap() > Duration::from_secs(1 << 31));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
    }
}
