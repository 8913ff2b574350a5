//! Walks the blocks of a tar: headers, and the contents between them. Unaware of what headers mean
//! beyond the size that it is told.

use std::io::{self, Read, Seek, SeekFrom};

use super::ustar::Block;
use super::{BLOCK, TarError, padding};

/// A tar as blocks.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    inner: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    /// Bytes consumed of `inner`.
    position: u64,
    /// Bytes of the current content that were not read yet.
    remaining: u64,
    /// Zero bytes after the current content.
    padding: usize,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// Contents that are not read are skipped.
    pub(super) fn reading(inner: R) -> Self {
        Self::with_skip(inner, |inner, n| {
            match io::copy(&mut inner.take(n), &mut io::sink())? {
                copied if copied < n => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        })
    }

    fn with_skip(inner: R, skip: fn(&mut R, u64) -> io::Result<()>) -> Self {
        Self {
            inner,
            skip,
            position: 0,
            remaining: 0,
            padding: 0,
            ended: false,
        }
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// Bytes from the start of the tar to what comes next.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Says that `size` bytes of content come next.
    pub(super) fn expect_content(&mut self, size: u64) {
        (self.remaining, self.padding) = (size, padding(size));
    }

    /// Reads the `size` bytes that come next. The caller bounds `size`.
    pub(super) fn content(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        self.expect_content(size);
        let mut content = Vec::new();
        let result = self.read_to_end(&mut content);
        result.map_err(|e| self.or_truncated(e)).map(|_| content)
    }

    /// The next header; `None` at the end.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, TarError> {
        if self.ended || !self.skip_content()? {
            return Ok(None);
        }
        let Some(bytes) = self.read_block()? else {
            return Ok(None);
        };
        if bytes.iter().any(|b| *b != 0) {
            return Block::new(&bytes, self.position - BLOCK as u64).map(Some);
        }
        self.ended = true;
        match self.read_block()? {
            Some(second) if second.iter().any(|b| *b != 0) => Err(TarError::Header {
                offset: self.position - BLOCK as u64,
                reason: "it stands after the end",
            }),
            _ => Ok(None),
        }
    }

    /// Skips what is left of the content and its padding; false when the input ends where the
    /// padding should start, which some writers do at the very end.
    fn skip_content(&mut self) -> Result<bool, TarError> {
        if self.remaining > 0 {
            (self.skip)(&mut self.inner, self.remaining).map_err(|e| self.or_truncated(e))?;
            self.position += std::mem::take(&mut self.remaining);
        }
        let expected = std::mem::take(&mut self.padding);
        let mut zeros = [0; BLOCK];
        match self.fill(&mut zeros[..expected])? {
            n if n == expected => Ok(true),
            0 => Ok(false),
            _ => Err(self.truncated()),
        }
    }

    fn read_block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut bytes = [0; BLOCK];
        match self.fill(&mut bytes)? {
            0 => Ok(None),
            BLOCK => Ok(Some(bytes)),
            _ => Err(self.truncated()),
        }
    }

    /// Reads until `buffer` is full or the input ends.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    pub(super) fn truncated(&self) -> TarError {
        TarError::Truncated {
            offset: self.position,
        }
    }

    fn or_truncated(&self, error: io::Error) -> TarError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.truncated()
        } else {
            error.into()
        }
    }
}

impl<R: Read + Seek> Blocks<R> {
    /// Contents that are not read are sought over.
    pub(super) fn seeking(inner: R) -> Self {
        Self::with_skip(inner, |inner, n| {
            // Seeking past the end succeeds, so the last byte is read to see that it is there.
            let to_last =
                i64::try_from(n - 1).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            if to_last > 0 {
                inner.seek(SeekFrom::Current(to_last))?;
            }
            inner.read_exact(&mut [0])
        })
    }
}

/// Reads the current content, up to its end.
impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let n = self.inner.read(&mut buffer[..limit])?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the tar ends inside a file",
            ));
        }
        self.remaining -= n as u64;
        self.position += n as u64;
        Ok(n)
    }
}
