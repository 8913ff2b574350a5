//! Every wait for the network: it has a limit, stops when the user cancels, and is told when it becomes long. Unaware of what is waited
//! for.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{Client, Error, Notice, Result};

/// How often a wait asks whether it is cancelled.
const TICK: Duration = Duration::from_millis(50);

/// How long a client waits, how often it tries, how much it does at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection, with TLS, stands.
    pub connect: Duration,
    /// Until an answer begins.
    pub answer: Duration,
    /// Until an answer begins that a server gives once it has stored a whole blob.
    pub commit: Duration,
    /// The window in which a transfer must move at least [`Patience::least`] bytes.
    pub stall: Duration,
    /// Bytes that must move in each window; a transfer as a whole may take as long as it needs.
    pub least: u64,
    /// Silence after which a server is given up, over all attempts since the last progress.
    pub silence: Duration,
    /// Silence after which the user is told what the client waits for.
    pub notice: Duration,
    /// Attempts after the first one, without progress between them.
    pub retries: u32,
    /// The pause before the first of these; it doubles each time, up to [`Patience::longest_pause`].
    pub pause: Duration,
    /// The longest pause that the client makes by itself.
    pub longest_pause: Duration,
    /// The longest pause that a server may ask for (`Retry-After`); if it asks for more, it is given up.
    pub longest_retry_after: Duration,
    /// Blobs that go to or come from registries at once; further callers wait.
    pub transfers: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            commit: Duration::from_secs(600),
            stall: Duration::from_secs(30),
            least: 4096,
            silence: Duration::from_secs(60),
            notice: Duration::from_secs(5),
            retries: 4,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            longest_retry_after: Duration::from_secs(60),
            transfers: 4,
        }
    }
}

impl Client {
    /// Fails once the user wants to end.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        match self.settings().cancel.requested() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// Waits for `future`; `None` when `limit` is over.
    pub(super) fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<Option<F::Output>> {
        let begun = Instant::now();
        self.runtime()?.block_on(async {
            let mut future = pin!(future);
            loop {
                self.check()?;
                let left = limit.saturating_sub(begun.elapsed());
                if let Ok(output) = timeout(TICK.min(left), &mut future).await {
                    return Ok(Some(output));
                }
                if left.is_zero() {
                    return Ok(None);
                }
            }
        })
    }

    /// Waits for `future` as [`Client::within`] does; after a while the user is told that `host` should give `what`.
    pub(super) fn expect<F: Future>(
        &self,
        host: &str,
        what: &'static str,
        limit: Duration,
        future: F,
    ) -> Result<F::Output> {
        let mut future = pin!(future);
        let notice = self.settings().patience.notice.min(limit);
        if let Some(output) = self.within(notice, &mut future)? {
            return Ok(output);
        }
        self.tell_waiting(host, what);
        let output = self.within(limit - notice, future)?;
        output.ok_or_else(|| Error::Stalled {
            host: host.into(),
            what,
            waited: limit,
        })
    }

    pub(super) fn tell_waiting(&self, host: &str, what: &'static str) {
        let host = host.into();
        self.settings()
            .observer
            .tell(Notice::Waiting { host, what });
    }

    /// Waits for `future` as long as it takes: for other threads of this process, whose own waits have limits.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        let forever = Duration::from_secs(u64::from(u32::MAX));
        self.within(forever, future)?.ok_or(Error::Cancelled)
    }

    /// Does nothing for a while.
    pub(super) fn pause(&self, length: Duration) -> Result<()> {
        self.wait(async { sleep(length).await })
    }
}

/// What has moved since a window of time began. Only the time that was waited counts: a slow reader is no stall.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub waited: Duration,
    pub moved: u64,
}

impl Window {
    /// `bytes` came after waiting for `waited`.
    pub(super) fn moved(&mut self, bytes: u64, waited: Duration) {
        self.waited += waited;
        self.moved += bytes;
    }

    /// Fails when the window is over with too little moved; a new one begins when it is over.
    pub(super) fn check(
        &mut self,
        patience: &Patience,
        host: &str,
        what: &'static str,
    ) -> Result<()> {
        let waited = patience.stall;
        if self.waited < waited || std::mem::take(self).moved >= patience.least {
            return Ok(());
        }
        let host = host.into();
        Err(Error::Stalled { host, what, waited })
    }
}
