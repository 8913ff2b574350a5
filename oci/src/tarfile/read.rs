//! Reads the entries of a tar, strictly. Unaware of what the entries are for; it only makes sure
//! that there is one way to read them: docker's, which is Go's `archive/tar`, with its lenient
//! corners refused.

use std::io::{self, Read, Seek};

use super::blocks::Blocks;
use super::pax::Records;
use super::ustar::Block;
use super::{BLOCK, Entry, Kind, MAX_EXTENSION, MAX_PATH, TarError};

/// The entries of a tar, one after another: [`Entries::next_entry`], then [`Entries::content`] as
/// far as wanted. Headers are read in 512-byte pieces: give it a buffered reader.
///
/// Understood: v7, ustar, star and GNU headers, base-256 numbers, GNU long names, PAX records.
/// Refused: sparse files, multi-volume and other exotic entries, malformed PAX records, two
/// sources for one name, extension headers with nothing after them, ids above 32 bits. A PAX `size`
/// beats the header's and belongs to the next real entry only, never to an extension header.
#[derive(Debug)]
pub struct Entries<R> {
    blocks: Blocks<R>,
    /// Records of global PAX headers so far.
    global: Records,
}

/// What extension headers say about the entry after them.
#[derive(Default)]
struct Extensions {
    local: Option<Records>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Entries<R> {
    /// Reads the tar that starts where `inner` stands; contents that are not read are skipped.
    pub fn new(inner: R) -> Self {
        Self {
            blocks: Blocks::reading(inner),
            global: Records::default(),
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
            let Some(block) = self.blocks.next_block()? else {
                return if extensions.is_empty() {
                    Ok(None)
                } else {
                    Err(self.blocks.truncated())
                };
            };
            let at = self.blocks.position() - BLOCK as u64;
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
        Content(&mut self.blocks)
    }

    /// The reader below, standing behind what was read.
    pub fn into_inner(self) -> R {
        self.blocks.into_inner()
    }

    fn read_global(&mut self, block: &Block) -> Result<(), TarError> {
        let content = self.extension(block, "global PAX header")?;
        let offset = self.blocks.position() - content.len() as u64;
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
            let offset = self.blocks.position() - BLOCK as u64;
            return Err(TarError::TooLong {
                what,
                offset,
                size,
                limit: MAX_EXTENSION,
            });
        }
        self.blocks.content(size)
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
        let at = self.blocks.position() - BLOCK as u64;
        let records = extensions.local.unwrap_or_else(|| self.global.clone());
        let long_path = one_source(records.path, extensions.long_path, at)?;
        let long_link = one_source(records.link, extensions.long_link, at)?;
        let path = long_path.unwrap_or_else(|| block.path());
        let kind = block.kind(&path)?;
        let link = if kind.is_link() {
            long_link.unwrap_or_else(|| block.link())
        } else {
            Vec::new()
        };
        let path = cleaned(path);
        check_names(kind, &path, &link, at)?;
        let size = records.size.map_or_else(|| block.size(), Ok)?;
        // As for Go, other entries have no content, whatever their size field says.
        let size = if kind == Kind::File { size } else { 0 };
        self.blocks.expect_content(size);
        Ok(Entry {
            path,
            kind,
            mode: block.mode()?,
            uid: records.uid.map_or_else(|| block.uid(), Ok)?,
            gid: records.gid.map_or_else(|| block.gid(), Ok)?,
            size,
            mtime: records.mtime.map_or_else(|| block.mtime(), Ok)?,
            link,
            device: if kind.is_device() {
                block.device()?
            } else {
                (0, 0)
            },
            xattrs: records.xattrs.into_iter().collect(),
            offset: self.blocks.position(),
        })
    }
}

impl<R: Read + Seek> Entries<R> {
    /// As [`Entries::new`], but seeks over contents that are not read.
    pub fn seeking(inner: R) -> Self {
        Self {
            blocks: Blocks::seeking(inner),
            global: Records::default(),
        }
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

/// Without closing slashes. An empty name is the root, as Go's `filepath.Clean` makes it.
fn cleaned(mut path: Vec<u8>) -> Vec<u8> {
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    if path.is_empty() {
        path.push(b'.');
    }
    path
}

fn check_names(kind: Kind, path: &[u8], link: &[u8], offset: u64) -> Result<(), TarError> {
    if kind.is_link() && link.is_empty() {
        return Err(TarError::Missing {
            what: "link target",
            offset,
        });
    }
    let (size, limit) = (path.len().max(link.len()) as u64, MAX_PATH as u64);
    if size > limit {
        return Err(TarError::TooLong {
            what: "the path of the entry",
            offset,
            size,
            limit,
        });
    }
    Ok(())
}

/// The content of one entry.
#[derive(Debug)]
pub struct Content<'a, R>(&'a mut Blocks<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
