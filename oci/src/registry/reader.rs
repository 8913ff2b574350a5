//! A blob of a registry as a reader, for those who keep nothing of it. Unaware of what is in it.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, Bytes};

use super::Client;
use super::blob::BlobStream;
use crate::descriptor::Descriptor;
use crate::digest::Hasher;
use crate::reference::Reference;

/// A blob that comes as it is read. A transfer that breaks is continued; the end comes only after the digest was checked.
pub struct BlobReader {
    stream: BlobStream,
    /// What has come and is not read yet.
    rest: Bytes,
}

impl Client {
    /// Reads `blob` of the repository of `reference`, once. Mirrors are asked first.
    pub fn blob(&self, reference: &Reference, blob: &Descriptor) -> BlobReader {
        let places = self.places(reference);
        BlobReader {
            stream: BlobStream::new(self, places, blob, Hasher::default(), 0),
            rest: Bytes::new(),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            let next = self.stream.next().map_err(io::Error::other)?;
            self.rest = next.unwrap_or_default();
        }
        let count = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a blob at byte {}", self.stream.offset())
    }
}
