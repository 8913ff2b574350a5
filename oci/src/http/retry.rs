//! When to try again: a bounded number of times, with pauses that double, as the server asks where that is sensible. No jitter: a build
//! is one client, not a fleet. Unaware of what is tried.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::{Client, Error, Result};

/// The failures of one undertaking since its last progress.
pub struct Attempts {
    client: Client,
    failed: u32,
    /// The time in which nothing was heard.
    silent: Duration,
    /// Whether another place can be asked instead of waiting for this one.
    has_other: bool,
}

impl Client {
    /// Does `work`, again while its failures are of a kind that passes.
    ///
    /// # Errors
    /// The last failure.
    pub fn repeat<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut attempts = Attempts::new(self, false);
        loop {
            match work() {
                Err(error) => attempts.failed(error)?,
                done => return done,
            }
        }
    }
}

impl Attempts {
    /// As the settings say; once more only where another place can be asked, as behind a mirror.
    pub fn new(client: &Client, has_other: bool) -> Self {
        Self {
            client: client.clone(),
            failed: 0,
            silent: Duration::ZERO,
            has_other,
        }
    }

    /// Failures so far are forgotten.
    pub fn progressed(&mut self) {
        (self.failed, self.silent) = (0, Duration::ZERO);
    }

    /// Waits until it is time for another attempt.
    ///
    /// # Errors
    /// `error` itself, when another attempt makes no sense; [`Error::Busy`] when the server asks for too long a pause.
    pub fn failed(&mut self, error: Error) -> Result<()> {
        let patience = &self.client.settings().patience;
        let most = if self.has_other { 1 } else { patience.retries };
        self.silent += error.silence();
        if !error.is_passing() || self.failed >= most || self.silent >= patience.silence {
            return Err(error);
        }
        let asked = error.retry_after();
        if asked.is_some() && self.has_other {
            return Err(error);
        }
        let doubled = patience.pause.saturating_mul(1 << self.failed.min(16));
        let pause = asked.unwrap_or(doubled.min(patience.longest_pause));
        if pause > patience.longest_retry_after {
            return Err(error.busy(pause));
        }
        tracing::debug!(%error, ?pause, "a request failed and is repeated");
        if pause >= patience.notice {
            self.client.tell_waiting(error.host(), "another attempt");
        }
        self.failed += 1;
        self.client.pause(pause)
    }
}

/// The pause that an answer asks for, in seconds or until a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they overflow are as good as for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let date = Duration::from_secs(date.as_second().try_into().unwrap_or(0));
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
