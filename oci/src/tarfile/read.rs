//! Reads the entries of a tar, strictly. Unaware of what the entries are for; it only makes sure
//! that there is one way to read them: docker's, which is Go's `archive/tar`, with its lenient
//! corners refused.

use std::io::{self, Read, Seek, SeekFrom};

use super::pax::Records;
use super::ustar::Block;
use super::{BLOCK, Entry, Kind, MAX_EXTENSION, MAX_PATH, TarError, padding};

/// The entries of a tar, one after another: [`Entries::next_entry`], then [`Entries::content`] as
/// far as wanted. Headers are read in 512-byte pieces: give it a buffered reader.
///
/// Understood: v7, ustar, star and GNU headers, base-256 numbers, GNU long names, PAX records.
/// Refused: sparse files, multi-volume and other exotic entries, malformed PAX records, two
/// sources for one name, extension headers with nothing after them, ids above 32 bits. A PAX `size`
/// beats the header's and belongs to the next real entry only, never to an extension header.
#[derive(Debug)]
pub struct Entries<R> {
    inner: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    /// Bytes consumed of `inner`.
    position: u64,
    /// Bytes of the current content that were not read yet.
    remaining: u64,
    /// Zero bytes after the current content.
    padding: usize,
    /// Records of global PAX headers so far.
    global: Records,
    ended: bool,
}

/// What extension headers say about the entry after them.
#[derive(Default)]
struct Extensions {
    local: Option<Records>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Entries<R> {
    /// Reads the tar that starts where `inner` stands; contents that nobody reads are read over.
    pub fn new(inner: R) -> Self {
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
            global: Records::default(),
            ended: false,
        }
    }

    /// The next entry; what is left of the current content is skipped. `None` at the end marker or
    /// where the input ends between two entries. What follows an end marker stays unread.
    ///
    /// # Errors
    /// [`TarError`]; nothing sensible can be read after one.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        loop {
            let Some(block) = self.next_block()? else {
                return if extensions.is_empty() {
                    Ok(None)
                } else {
                    Err(self.truncated())
                };
            };
            let at = self.position - BLOCK as u64;
            match block.type_flag() {
                b'x' => {
                    let mut records = self.global.clone();
                    let content = self.extension(&block, "PAX header")?;
                    records.read(&content, at + BLOCK as u64)?;
                    only_once(&mut extensions.local, records, at)?;
                }
                b'g' => self.read_global(&block)?,
                b'L' => only_once(&mut extensions.long_path, self.long_name(&block)?, at)?,
                b'K' => only_once(&mut extensions.long_link, self.long_name(&block)?, at)?,
                _ => return self.entry(&block, extensions).map(Some),
            }
        }
    }

    /// The content of the current entry: reads end where it ends, and fail with
    /// [`io::ErrorKind::UnexpectedEof`] when the tar ends before.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { entries: self }
    }

    /// The reader below, standing behind what was read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The next header; `None` at the end.
    fn next_block(&mut self) -> Result<Option<Block>, TarError> {
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

    fn read_global(&mut self, block: &Block) -> Result<(), TarError> {
        let content = self.extension(block, "global PAX header")?;
        let offset = self.position - content.len() as u64;
        self.global.read(&content, offset)?;
        if self.global.is_about_one_file() {
            return Err(TarError::Pax {
                offset,
                reason: "a global header has a path, size or attribute",
            });
        }
        Ok(())
    }

    /// The content of an extension header, whose size only its own block gives.
    fn extension(&mut self, block: &Block, what: &'static str) -> Result<Vec<u8>, TarError> {
        let size = block.size()?;
        if size > MAX_EXTENSION {
            let offset = self.position - BLOCK as u64;
            return Err(TarError::TooLong {
                what,
                offset,
                size,
                limit: MAX_EXTENSION,
            });
        }
        (self.remaining, self.padding) = (size, padding(size));
        let mut content = Vec::new();
        self.content()
            .read_to_end(&mut content)
            .map_err(|e| self.or_truncated(e))?;
        Ok(content)
    }

    fn long_name(&mut self, block: &Block) -> Result<Vec<u8>, TarError> {
        let content = self.extension(block, "GNU long name")?;
        Ok(content
            .split(|b| *b == 0)
            .next()
            .unwrap_or_default()
            .to_vec())
    }

    fn entry(&mut self, block: &Block, extensions: Extensions) -> Result<Entry, TarError> {
        let at = self.position - BLOCK as u64;
        let records = extensions.local.unwrap_or_else(|| self.global.clone());
        let mut path =
            one_source(records.path, extensions.long_path, at)?.unwrap_or_else(|| block.path());
        let kind = block.kind(&path)?;
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let is_link = matches!(kind, Kind::HardLink | Kind::Symlink);
        let long_link = one_source(records.link, extensions.long_link, at)?;
        let link = if is_link {
            long_link.unwrap_or_else(|| block.link())
        } else {
            Vec::new()
        };
        check_names(&path, is_link.then_some(&link), at)?;
        let size = records.size.map_or_else(|| block.size(), Ok)?;
        // As for Go, other entries have no content, whatever their size field says.
        let size = if kind == Kind::File { size } else { 0 };
        (self.remaining, self.padding) = (size, padding(size));
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        Ok(Entry {
            path,
            kind,
            mode: block.mode()?,
            uid: records.uid.map_or_else(|| block.uid(), Ok)?,
            gid: records.gid.map_or_else(|| block.gid(), Ok)?,
            size,
            mtime: records.mtime.map_or_else(|| block.mtime(), Ok)?,
            link,
            device: if is_device { block.device()? } else { (0, 0) },
            xattrs: records.xattrs.into_iter().collect(),
            offset: self.position,
        })
    }

    fn truncated(&self) -> TarError {
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

impl<R: Read + Seek> Entries<R> {
    /// As [`Entries::new`], but seeks over contents that nobody reads.
    pub fn seeking(inner: R) -> Self {
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

impl Extensions {
    fn is_empty(&self) -> bool {
        self.local.is_none() && self.long_path.is_none() && self.long_link.is_none()
    }
}

fn only_once<T>(slot: &mut Option<T>, value: T, offset: u64) -> Result<(), TarError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TarError::Header {
            offset,
            reason: "it repeats the extension header before it",
        }),
    }
}

fn one_source(
    record: Option<Vec<u8>>,
    long_name: Option<Vec<u8>>,
    offset: u64,
) -> Result<Option<Vec<u8>>, TarError> {
    match (record, long_name) {
        (Some(_), Some(_)) => Err(TarError::Header {
            offset,
            reason: "it has both a PAX and a GNU name",
        }),
        (record, long_name) => Ok(record.or(long_name)),
    }
}

fn check_names(path: &[u8], link: Option<&Vec<u8>>, offset: u64) -> Result<(), TarError> {
    if path.is_empty() {
        return Err(TarError::Missing {
            what: "path",
            offset,
        });
    }
    if link.is_some_and(Vec::is_empty) {
        return Err(TarError::Missing {
            what: "link target",
            offset,
        });
    }
    let longest = path.len().max(link.map_or(0, Vec::len));
    if longest > MAX_PATH {
        let limit = MAX_PATH as u64;
        return Err(TarError::TooLong {
            what: "the path of the entry",
            offset,
            size: longest as u64,
            limit,
        });
    }
    Ok(())
}

/// The content of one entry.
#[derive(Debug)]
pub struct Content<'a, R> {
    entries: &'a mut Entries<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let entries = &mut *self.entries;
        let limit = usize::try_from(entries.remaining)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let n = entries.inner.read(&mut buffer[..limit])?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the tar ends inside a file",
            ));
        }
        entries.remaining -= n as u64;
        entries.position += n as u64;
        Ok(n)
    }
}
