//! A whole blob, into a file that may hold its beginning, or into memory. Unaware of where the file is kept.
//!
//! Wrong content is fetched again from its first byte: from the next place where a mirror sent it, else once more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::blob::BlobStream;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::session::Session;
use crate::descriptor::Descriptor;
use crate::digest::Hasher;

/// How often a registry is asked for a blob of which it sends wrong content.
const TRIES: usize = 2;
/// Bytes that are read at once when a part file is digested.
const PIECE: usize = 1 << 20;

impl Session {
    /// Fetches a blob into `path`; see [`Client::download`](super::Client::download).
    pub(super) async fn download(
        &self,
        endpoints: &[Endpoint],
        blob: &Descriptor,
        path: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let wrong = |source| Error::Part {
            path: path.into(),
            source,
        };
        let permit = self.wait(self.transfers.acquire()).await?;
        let _permit = permit.map_err(|error| wrong(io::Error::other(error)))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(wrong)?;
        let mut places = Places::new(endpoints);
        loop {
            match self
                .fill(&mut places, blob, &mut file, path, progress)
                .await
            {
                // What the part file held may have been wrong.
                Err(Error::Content { .. }) if places.are_left() => {
                    file.set_len(0).map_err(wrong)?;
                }
                Err(error @ Error::Content { .. }) => {
                    std::fs::remove_file(path).map_err(wrong)?;
                    return Err(error);
                }
                end => return end,
            }
        }
    }

    /// Fetches a blob into memory; whoever asks has looked at its size.
    pub(super) async fn document(
        &self,
        endpoints: &[Endpoint],
        blob: &Descriptor,
    ) -> Result<Vec<u8>> {
        let mut places = Places::new(endpoints);
        loop {
            let mut stream = places.open(blob, Hasher::default(), 0);
            match collect(self, &mut stream).await {
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

    async fn fill(
        &self,
        places: &mut Places,
        blob: &Descriptor,
        file: &mut File,
        path: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let wrong = |source| Error::Part {
            path: path.into(),
            source,
        };
        let (hasher, offset) = self.held(file, blob.size, &wrong)?;
        progress(offset);
        let mut stream = places.open(blob, hasher, offset);
        loop {
            match stream.next(self).await {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) => file.write_all(&bytes).map_err(wrong)?,
                Err(error) => {
                    places.note_wrong(&stream, &error);
                    return Err(error);
                }
            }
            progress(stream.offset());
        }
    }

    /// The digest so far and the length of what a part file holds; the file stands at its end.
    fn held(
        &self,
        file: &mut File,
        size: u64,
        wrong: &impl Fn(io::Error) -> Error,
    ) -> Result<(Hasher, u64)> {
        let mut hasher = Hasher::default();
        let length = file.metadata().map_err(wrong)?.len();
        if length > size {
            file.set_len(0).map_err(wrong)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        loop {
            self.check()?;
            match file.read(&mut piece).map_err(wrong)? {
                0 => return Ok((hasher, offset)),
                read => {
                    hasher.update(&piece[..read]);
                    offset += read as u64;
                }
            }
        }
    }
}

/// Who is still to be asked for a blob.
struct Places {
    endpoints: Vec<Endpoint>,
    tries: usize,
}

impl Places {
    fn new(endpoints: &[Endpoint]) -> Self {
        Self {
            endpoints: endpoints.to_vec(),
            tries: TRIES,
        }
    }

    fn open(&self, blob: &Descriptor, hasher: Hasher, offset: u64) -> BlobStream {
        BlobStream::new(self.endpoints.clone(), blob, hasher, offset)
    }

    /// Who sent wrong content is not asked again: a mirror at once, the registry after some tries.
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

async fn collect(session: &Session, stream: &mut BlobStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(more) = stream.next(session).await? {
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}
