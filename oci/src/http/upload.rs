//! The body of an upload: a reader's bytes, sent as the connection takes them, in bounded memory. Unaware of what they are and where
//! they go.
//!
//! A reader blocks, a connection must not: a thread reads ahead into a short channel. It ends when the reader does, or when the body is
//! dropped.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::{Response, Url};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Error, Patience, Result};
use crate::lock::locked;

/// Bytes in a piece; pieces that wait. At most 1.5 MiB a transfer are held.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// A body that is ready to be sent, and how far it came.
pub struct Upload {
    pub(super) sent: Sent,
    pieces: Receiver<io::Result<Bytes>>,
}

/// A reader, and where in its content it stands.
pub struct Position {
    /// The reader.
    pub reader: Box<dyn Read + Send>,
    /// Bytes before it.
    pub offset: u64,
}

/// Where a reader is left for the request after the one that it was read for, so that what goes in pieces is read once.
#[derive(Clone, Default)]
pub struct Rest(Arc<Mutex<Option<Position>>>);

impl Rest {
    /// The reader, if it stands at `offset`.
    pub fn take(&self, offset: u64) -> Option<Position> {
        let left = locked(&self.0).take();
        left.filter(|left| left.offset == offset)
    }
}

/// How far a body came; clones share it.
#[derive(Clone)]
pub(super) struct Sent(Arc<Shared>);

struct Shared {
    size: u64,
    bytes: AtomicU64,
    /// Why the reader failed: not the connection's fault.
    failure: Mutex<Option<io::Error>>,
}

impl Upload {
    /// All `size` bytes of a reader.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(reader: Box<dyn Read + Send>, size: u64) -> io::Result<Self> {
        Self::part(Position { reader, offset: 0 }, size, Rest::default())
    }

    /// The next `size` bytes. When these are read, the reader is put into `rest`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn part(from: Position, size: u64, rest: Rest) -> io::Result<Self> {
        let (sender, pieces) = channel(WAITING);
        let thread = std::thread::Builder::new().name("upload".into());
        let work = move || read_ahead(from, size, &rest, &sender);
        thread
            .spawn(work)
            .map_err(|error| io::Error::other(Error::Start(error)))?;
        let sent = Sent(Arc::new(Shared {
            size,
            bytes: AtomicU64::new(0),
            failure: Mutex::default(),
        }));
        Ok(Self { sent, pieces })
    }

    pub(super) fn into_body(self) -> reqwest::Body {
        reqwest::Body::wrap(self)
    }
}

fn read_ahead(from: Position, size: u64, rest: &Rest, sender: &Sender<io::Result<Bytes>>) {
    let Position { mut reader, offset } = from;
    let mut left = size;
    while left > 0 {
        let piece = piece(&mut reader, left);
        left -= piece.as_ref().map_or(left, |bytes| bytes.len() as u64);
        if left == 0 && piece.is_ok() {
            let offset = offset + size;
            *locked(&rest.0) = Some(Position { reader, offset });
            // Only now: the answer to the last piece may be quick, and then the channel is closed.
            let _ = sender.blocking_send(piece);
            return;
        }
        if sender.blocking_send(piece).is_err() {
            return;
        }
    }
}

/// As much as fits a piece; an error at an early end.
fn piece(reader: &mut dyn Read, left: u64) -> io::Result<Bytes> {
    let wanted = left.min(PIECE as u64);
    let mut piece = Vec::with_capacity(wanted as usize);
    reader.take(wanted).read_to_end(&mut piece)?;
    if (piece.len() as u64) < wanted {
        let what = "it is shorter than its descriptor says";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
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
    pub(super) fn explain(
        &self,
        answer: reqwest::Result<Response>,
        url: &Url,
        patience: &Patience,
    ) -> Result<Response> {
        match locked(&self.0.failure).take() {
            Some(failure) => Err(Error::Source(failure)),
            None => answer.map_err(|error| patience.explain(&error, url)),
        }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let shared = self.sent.0.clone();
        Poll::Ready(match ready!(self.pieces.poll_recv(context)) {
            None => None,
            Some(Ok(bytes)) => {
                let length = bytes.len() as u64;
                shared.bytes.fetch_add(length, Ordering::Relaxed);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => {
                *locked(&shared.failure) = Some(error);
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
