//! The content digest of a file that somebody may be writing at this moment.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, fstat};

use crate::beneath::open_file;
use crate::context::stat_index::Signature;
use crate::sparse::SparseReader;
use crate::{ContentDigest, ContentHasher};

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 4;
/// Bytes that are read at once.
const BUFFER: usize = 128 << 10;

/// Content and stat of one file that belong together; `None` when the file does not hold still.
pub(crate) fn digest(
    at: BorrowedFd<'_>,
    name: &[u8],
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(Signature, ContentDigest)>> {
    buffer.resize(BUFFER, 0);
    for _ in 0..ATTEMPTS {
        let file = File::from(open_file(at, name)?);
        let found = fstat(&file)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let before = Signature::of(&found);
        let mut file = SparseReader::new(file, &found);
        let content = read(&mut file, before.size, buffer)?;
        if Signature::of(&fstat(file.file())?) == before
            && let Some(content) = content
        {
            return Ok(Some((before, content)));
        }
    }
    Ok(None)
}

/// Digests `size` bytes; `None` when there are fewer. A stat afterwards tells that there are no more.
fn read(
    file: &mut SparseReader,
    size: u64,
    buffer: &mut [u8],
) -> io::Result<Option<ContentDigest>> {
    let mut hasher = ContentHasher::new();
    while hasher.length() < size {
        let most = usize::try_from(size - hasher.length())
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match file.read(&mut buffer[..most]) {
            Ok(0) => return Ok(None),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(hasher.finish()))
}
