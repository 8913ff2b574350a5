//! A whole blob, into a file that may hold its beginning, or into memory. Unaware of where the file is kept.
//!
//! Wrong content is fetched again from its first byte: from the next place where a mirror sent it, else once more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::Client;
use super::blob::BlobStream;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use crate::descriptor::Descriptor;
use crate::digest::Hasher;
use crate::document::MAX_DOCUMENT;
use crate::http;
use crate::reference::Reference;

/// How often a registry is asked for a blob of which it sends wrong content.
const TRIES: usize = 2;
/// Bytes that are read at once when a part file is digested.
const PIECE: usize = 1 << 20;

/// A part file, while it grows.
struct Part<'p> {
    file: File,
    path: &'p Path,
    progress: &'p dyn Fn(u64),
}

impl Client {
    /// Fetches `blob` of the repository of `reference` into `part_file`, and continues what the file holds already. On success the file
    /// holds exactly the blob, with the right size and digest; it is not synced. When the connection is lost for good, or the call is
    /// cancelled, the file keeps what came, for the next call; when the content is wrong twice, the file is removed.
    ///
    /// `progress` gets the number of bytes that the file holds, often; it falls when a wrong part is dropped. At most
    /// [`Patience::transfers`](http::Patience::transfers) run at once.
    ///
    /// # Errors
    /// [`Error`]; of the file as [`Error::Part`].
    pub fn download(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        part_file: &Path,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let _permit = self.0.http.wait(self.0.transfers.acquire())?;
        let mut part = Part::open(part_file, progress)?;
        let mut places = Places::new(self, reference);
        loop {
            match self.fill(&mut places, blob, &mut part) {
                // What the part file held may have been wrong.
                Err(Error::Content { .. }) if places.are_left() => part.empty()?,
                Err(error @ Error::Content { .. }) => {
                    std::fs::remove_file(part_file).map_err(|source| wrong(part_file, source))?;
                    return Err(error);
                }
                end => return end,
            }
        }
    }

    /// A small blob of the repository of `reference`, checked; wrong content is fetched again.
    ///
    /// # Errors
    /// [`http::Error::TooLarge`] for more bytes than a document has; [`Error`].
    pub fn document(&self, reference: &Reference, blob: &Descriptor) -> Result<Vec<u8>> {
        let limit = MAX_DOCUMENT as u64;
        if blob.size > limit {
            let url = blob.digest.to_string();
            return Err(http::Error::TooLarge { url, limit }.into());
        }
        let mut places = Places::new(self, reference);
        loop {
            let mut stream = places.open(self, blob, Hasher::default(), 0);
            match collect(&mut stream) {
                Err(error @ Error::Content { .. }) => {
                    places.note_wrong(&stream, &error);
                    if !places.are_left() {
                        return Err(error);
                    }
                }
                end => return end,
            }
        }
    }

    fn fill(&self, places: &mut Places, blob: &Descriptor, part: &mut Part<'_>) -> Result<()> {
        let (hasher, offset) = part.held(self, blob.size)?;
        (part.progress)(offset);
        let mut stream = places.open(self, blob, hasher, offset);
        loop {
            match stream.next() {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) => {
                    let written = part.file.write_all(&bytes);
                    written.map_err(|source| wrong(part.path, source))?;
                }
                Err(error) => {
                    places.note_wrong(&stream, &error);
                    return Err(error);
                }
            }
            (part.progress)(stream.offset());
        }
    }
}

impl<'p> Part<'p> {
    fn open(path: &'p Path, progress: &'p dyn Fn(u64)) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|source| wrong(path, source))?;
        Ok(Self {
            file,
            path,
            progress,
        })
    }

    /// The digest so far and the length of what the file holds; the file stands at its end.
    fn held(&mut self, client: &Client, size: u64) -> Result<(Hasher, u64)> {
        let path = self.path;
        let wrong = |source| wrong(path, source);
        if self.file.metadata().map_err(wrong)?.len() > size {
            self.empty()?;
        }
        self.file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        let (mut hasher, mut piece, mut offset) = (Hasher::default(), vec![0; PIECE], 0);
        loop {
            client.0.http.check()?;
            match self.file.read(&mut piece).map_err(wrong)? {
                0 => return Ok((hasher, offset)),
                read => {
                    hasher.update(&piece[..read]);
                    offset += read as u64;
                }
            }
        }
    }

    fn empty(&self) -> Result<()> {
        let emptied = self.file.set_len(0);
        emptied.map_err(|source| wrong(self.path, source))
    }
}

fn wrong(path: &Path, source: io::Error) -> Error {
    Error::Part {
        path: path.into(),
        source,
    }
}

/// The places that can still be asked for a blob.
struct Places {
    endpoints: Vec<Endpoint>,
    tries: usize,
}

impl Places {
    fn new(client: &Client, reference: &Reference) -> Self {
        Self {
            endpoints: client.places(reference),
            tries: TRIES,
        }
    }

    fn open(&self, client: &Client, blob: &Descriptor, hasher: Hasher, offset: u64) -> BlobStream {
        BlobStream::new(client, self.endpoints.clone(), blob, hasher, offset)
    }

    /// A mirror that sent wrong content is not asked again, the registry only a number of times.
    fn note_wrong(&mut self, stream: &BlobStream, error: &Error) {
        if !matches!(error, Error::Content { .. }) {
            return;
        }
        let from = stream.endpoint();
        if from.is_mirror {
            tracing::debug!(%error, mirror = from.host, "a mirror sends wrong content");
            self.endpoints.retain(|endpoint| endpoint != from);
        } else {
            self.tries -= 1;
        }
    }

    fn are_left(&self) -> bool {
        self.tries > 0
    }
}

fn collect(stream: &mut BlobStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(more) = stream.next()? {
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}
