//! The body of an upload: a reader's bytes, sent as the connection takes them, in bounded memory.
//! Unaware of what they are and where they go.
//!
//! A reader blocks, a connection must not: a thread reads ahead into a short channel. It ends when
//! the reader does, or when the body is dropped.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Response, Url};
use tokio::sync::mpsc::{Receiver, channel};

use super::error::{Error, Result};
use super::transport::explain;
use crate::digest::Digest;

/// Bytes in a piece; pieces that wait. At most 1.5 MiB a transfer are held.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// A body that is ready to be sent, and how far it came.
pub(super) struct Upload {
    pub sent: Sent,
    pieces: Receiver<io::Result<Bytes>>,
}

/// The reader of a blob, and where it stands.
pub(super) struct Source {
    pub reader: Box<dyn Read + Send>,
    pub offset: u64,
}

/// Where a reader is left for the piece after the one that it was read for, so that a blob that goes
/// in pieces is read once.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Source>>>);

impl Rest {
    fn put(&self, source: Source) {
        *self.lock() = Some(source);
    }

    /// The reader, if it stands at `offset`.
    pub(super) fn take(&self, offset: u64) -> Option<Source> {
        self.lock().take().filter(|source| source.offset == offset)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a body came; clones share it.
#[derive(Clone)]
pub(super) struct Sent(Arc<Shared>);

struct Shared {
    digest: Digest,
    size: u64,
    bytes: AtomicU64,
    /// Why the reader failed: not the connection's fault.
    failure: Mutex<Option<io::Error>>,
}

impl Upload {
    /// The next `size` bytes of the blob `digest`. When these are read, the reader is put into `rest`.
    ///
    /// # Errors
    /// [`Error::Source`] when no thread can be started.
    pub(super) fn new(source: Source, digest: Digest, size: u64, rest: Rest) -> Result<Self> {
        let (sender, pieces) = channel(WAITING);
        let read = move || {
            let Source { mut reader, offset } = source;
            let mut left = size;
            while left > 0 {
                let piece = piece(&mut reader, left);
                left -= piece.as_ref().map_or(left, |bytes| bytes.len() as u64);
                if left == 0 && piece.is_ok() {
                    let offset = offset + size;
                    rest.put(Source { reader, offset });
                    // Only now: the answer to the last piece may be quick, and nobody may want it.
                    let _ = sender.blocking_send(piece);
                    return;
                }
                if sender.blocking_send(piece).is_err() {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new()
            .name("upload".into())
            .spawn(read);
        started.map_err(|source| Error::Source { digest, source })?;
        let shared = Shared {
            digest,
            size,
            bytes: AtomicU64::new(0),
            failure: Mutex::default(),
        };
        Ok(Self {
            sent: Sent(Arc::new(shared)),
            pieces,
        })
    }

    pub(super) fn into_body(self) -> reqwest::Body {
        reqwest::Body::wrap(self)
    }
}

/// As much as fits a piece; an error at an early end.
fn piece(reader: &mut dyn Read, left: u64) -> io::Result<Bytes> {
    let wanted = left.min(PIECE as u64);
    let mut piece = Vec::with_capacity(wanted as usize);
    reader.take(wanted).read_to_end(&mut piece)?;
    if (piece.len() as u64) < wanted {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it is shorter than its descriptor says",
        ));
    }
    Ok(piece.into())
}

impl Sent {
    /// Bytes that the connection has taken.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.bytes() == self.0.size
    }

    /// The answer, or why there is none: a failed reader shows as a broken connection.
    pub(super) fn explain(&self, answer: reqwest::Result<Response>, url: &Url) -> Result<Response> {
        let failure = self.failure().take();
        match (answer, failure) {
            (_, Some(source)) => Err(Error::Source {
                digest: self.0.digest,
                source,
            }),
            (answer, None) => answer.map_err(|error| explain(&error, url)),
        }
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<io::Error>> {
        self.0
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = std::task::ready!(self.pieces.poll_recv(context));
        Poll::Ready(match next {
            None => None,
            Some(Ok(bytes)) => {
                let shared = &self.sent.0;
                shared
                    .bytes
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => {
                *self.sent.failure() = Some(error);
                Some(Err(io::Error::other("the blob cannot be read")))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.sent.is_complete()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.sent.0.size - self.sent.bytes())
    }
}
