//! Files with holes: long runs of zeros are not written, and what is not on the disk is not read from it. Unaware of what files hold.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;

/// What a hole has at least, and where it begins and ends: shorter ones would make files of many pieces.
const HOLE: usize = 64 << 10;
static ZEROS: [u8; HOLE] = [0; HOLE];

/// Writes bytes at an offset of a file that holds nothing there yet. [`finish`] belongs to it, since the last bytes may be left out.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let (mut written, mut at) = (0, 0);
    while at < bytes.len() {
        let into = (offset + at as u64) % HOLE as u64;
        let end = bytes.len().min(at + HOLE - into as usize);
        if bytes[at..end] == ZEROS {
            file.write_all_at(&bytes[written..at], offset + written as u64)?;
            written = end;
        }
        at = end;
    }
    file.write_all_at(&bytes[written..], offset + written as u64)
}

/// Gives a file that was written so its length.
pub(crate) fn finish(file: &File, length: u64) -> io::Result<()> {
    match length < HOLE as u64 {
        true => Ok(()),
        false => file.set_len(length),
    }
}

/// Reads a file from its beginning; holes are not read.
#[derive(Debug)]
pub(crate) struct SparseReader {
    file: File,
    at: u64,
    length: u64,
    /// The data that is at `at` or follows it; what is before it is a hole. None: not looked for.
    data: Option<std::ops::Range<u64>>,
    has_holes: bool,
}

impl SparseReader {
    /// For a file of which this was found.
    pub(crate) fn new(file: File, found: &Stat) -> Self {
        let length = found.st_size.unsigned_abs();
        Self {
            file,
            at: 0,
            length,
            data: None,
            has_holes: length >= HOLE as u64 && found.st_blocks.unsigned_abs() * 512 < length,
        }
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The next data at or behind a place; none where the file system cannot tell.
    fn data_from(&self, at: u64) -> Option<std::ops::Range<u64>> {
        let start = match seek(&self.file, SeekFrom::Data(at)) {
            // nothing but a hole follows
            Err(Errno::NXIO) => return Some(self.length..self.length),
            start => start.ok()?,
        };
        let end = seek(&self.file, SeekFrom::Hole(start)).ok()?;
        Some(start..end)
    }
}

impl Read for SparseReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (at, most) = (self.at, buffer.len() as u64);
        let mut count = most;
        if self.has_holes && at < self.length {
            let known = self.data.take().filter(|data| at < data.end);
            let Some(data) = known.or_else(|| self.data_from(at)) else {
                self.has_holes = false;
                return self.read(buffer);
            };
            if at < data.start {
                count = most.min(data.start - at);
                buffer[..count as usize].fill(0);
                self.at += count;
                self.data = Some(data);
                return Ok(count as usize);
            }
            count = most.min(data.end - at);
            self.data = Some(data);
        }
        let count = self.file.read_at(&mut buffer[..count as usize], at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn on_disk(file: &File) -> u64 {
        std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512
    }

    fn read(file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        let stat = rustix::fs::fstat(&file).unwrap();
        let mut reader = SparseReader::new(file, &stat);
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_file_of_zeros_takes_no_space() {
        let file = tempfile::tempfile().unwrap();
        let piece = vec![0; 1 << 20];
        for number in 0..4 {
            write_at(&file, &piece, number << 20).unwrap();
        }
        finish(&file, 4 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4 << 20);
        assert!(on_disk(&file) < 1 << 20);
        assert_eq!(read(file), vec![0; 4 << 20]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn bytes_come_back(runs in proptest::collection::vec((any::<bool>(), 1..200_000_usize), 1..6), piece in 1..300_000_usize) {
            let bytes: Vec<u8> = runs.iter().flat_map(|&(zero, length)| vec![u8::from(!zero); length]).collect();
            let file = tempfile::tempfile().unwrap();
            let mut at = 0;
            for part in bytes.chunks(piece) {
                write_at(&file, part, at).unwrap();
                at += part.len() as u64;
            }
            finish(&file, at).unwrap();
            prop_assert!(read(file) == bytes);
        }
    }
}
