//! What all requests of a client share, and how each of them waits: with a limit, and asking again
//! and again whether to go on. Unaware of what is requested.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Response, Url};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::authorize::Authorizations;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::settings::Settings;
use super::transport::{Transports, explain, host_of, without_query};
use crate::reference::Reference;

/// How often a wait asks whether it is cancelled.
const TICK: Duration = Duration::from_millis(50);

/// The state of a client.
#[derive(Debug)]
pub(super) struct Session {
    pub settings: Settings,
    pub transports: Transports,
    pub authorizations: Authorizations,
    /// Host to the scheme that it speaks, of those that may choose.
    pub schemes: Mutex<BTreeMap<String, &'static str>>,
    /// A permit for each transfer of a blob.
    pub transfers: Semaphore,
    /// Mirrors that could not be spoken to: they are not asked again.
    unreachable: Mutex<BTreeSet<String>>,
    /// Mirrors of which somebody was told that they failed.
    told_of: Mutex<BTreeSet<String>>,
}

impl Session {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            transfers: Semaphore::new(settings.patience.transfers.max(1)),
            settings,
            transports: Transports::default(),
            authorizations: Authorizations::default(),
            schemes: Mutex::default(),
            unreachable: Mutex::default(),
            told_of: Mutex::default(),
        }
    }

    /// Where a reference is pulled from, without mirrors that are known to be down.
    pub(super) fn places(&self, reference: &Reference) -> Vec<Endpoint> {
        let unreachable = self.unreachable.lock();
        let unreachable = unreachable.unwrap_or_else(PoisonError::into_inner);
        let mut places = Endpoint::for_pull(reference, &self.settings);
        places.retain(|place| !place.is_mirror || !unreachable.contains(&place.host));
        places
    }

    /// A mirror failed and another place is asked: somebody is told, once for each mirror, unless it only has not got it. One that
    /// does not answer at all is left alone from now on: each request would wait for it anew.
    pub(super) fn leave_mirror(&self, mirror: &Endpoint, error: &Error) {
        tracing::debug!(%error, mirror = mirror.host, "a mirror failed");
        let told = self.told_of.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if !matches!(error, Error::NotFound { .. }) && told.insert(mirror.host.clone()) {
            let text = format!("the mirror {} is passed over: {error}", mirror.host);
            self.settings.told.of(text);
        }
        drop(told);
        let is_down = matches!(
            error,
            Error::Connect { .. }
                | Error::Stalled { .. }
                | Error::Untrusted { .. }
                | Error::NotTls { .. }
        );
        if is_down {
            let unreachable = self.unreachable.lock();
            let mut unreachable = unreachable.unwrap_or_else(PoisonError::into_inner);
            unreachable.insert(mirror.host.clone());
        }
    }

    /// Fails once the caller wants to end.
    pub(super) fn check(&self) -> Result<()> {
        if self.settings.cancel.requested() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// Waits for `future`; `None` when `limit` is over.
    pub(super) async fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<Option<F::Output>> {
        let end = Instant::now() + limit;
        let mut future = pin!(future);
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if let Ok(output) = timeout(TICK.min(left), &mut future).await {
                return Ok(Some(output));
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Waits for `future` as long as it takes.
    pub(super) async fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        let mut future = pin!(future);
        loop {
            self.check()?;
            if let Ok(output) = timeout(TICK, &mut future).await {
                return Ok(output);
            }
        }
    }

    /// Does nothing for a while.
    pub(super) async fn pause(&self, length: Duration) -> Result<()> {
        self.wait(sleep(length)).await
    }

    /// The body of an answer, which may have `limit` bytes.
    pub(super) async fn body(&self, response: Response, limit: usize) -> Result<Vec<u8>> {
        let url = response.url().clone();
        let too_large = || Error::TooLarge {
            url: without_query(&url),
            limit: limit as u64,
        };
        if response.content_length().is_some_and(|n| n > limit as u64) {
            return Err(too_large());
        }
        let mut incoming = Incoming::new(response);
        let mut body = Vec::new();
        while let Some(chunk) = incoming.next(self).await? {
            if chunk.len() > limit - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The body of an answer as it comes, with the demand that it moves.
pub(super) struct Incoming {
    response: Response,
    url: Url,
    window: Window,
}

impl Incoming {
    pub(super) fn new(response: Response) -> Self {
        Self {
            url: response.url().clone(),
            response,
            window: Window::default(),
        }
    }

    /// Whom it comes from, without a query.
    pub(super) fn host(&self) -> String {
        host_of(&self.url)
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self, session: &Session) -> Result<Option<Bytes>> {
        let stall = session.settings.patience.stall;
        let began = Instant::now();
        let left = stall.saturating_sub(self.window.waited);
        let chunk = session.within(left, self.response.chunk()).await?;
        let chunk = match chunk {
            Some(chunk) => chunk.map_err(|error| explain(&error, &self.url))?,
            None => Some(Bytes::new()),
        };
        let Some(bytes) = chunk else { return Ok(None) };
        self.window.moved(bytes.len() as u64, began.elapsed());
        if self.window.stalled(stall, session.settings.patience.least) {
            return Err(Error::Stalled {
                host: self.host(),
                what: "more of a transfer",
                waited: stall,
            });
        }
        Ok(Some(bytes))
    }
}

/// What has moved since a window of time began. Time in which nobody waited does not count: a slow
/// reader is no stall.
#[derive(Debug, Default)]
pub(super) struct Window {
    waited: Duration,
    moved: u64,
}

impl Window {
    /// `bytes` came after waiting for `waited`.
    pub(super) fn moved(&mut self, bytes: u64, waited: Duration) {
        self.waited += waited;
        self.moved += bytes;
    }

    /// Whether the window is over with too little moved; a new one begins when it is over.
    pub(super) fn stalled(&mut self, window: Duration, least: u64) -> bool {
        if self.waited < window {
            return false;
        }
        let moved = std::mem::take(self).moved;
        moved < least
    }
}
