//! A long file goes to the disk while it is still written, so that the sync at its end finds little left to wait for. Unaware of what is in it.
//!
//! `POSIX_FADV_DONTNEED` begins to write out what is dirty and waits for none of it (posix_fadvise(2); `generic_fadvise` in Linux 2.6 to 6.18).
//! What it drops from memory is clean: next to nothing, since each part is named once, just after it was written.

use std::fs::File;
use std::num::NonZeroU64;

use rustix::fs::{Advice, fadvise};

/// Bytes that are written out at once.
const PART: u64 = 16 << 20;

/// How much of a file is on its way to the disk.
#[derive(Debug, Default)]
pub struct WriteOut {
    begun: u64,
}

impl WriteOut {
    /// The file is written up to `end`; holes count. A file system that cannot do it writes when it is synced.
    pub fn reached(&mut self, file: &File, end: u64) {
        let part = end.saturating_sub(self.begun);
        if part < PART {
            return;
        }
        let _ = fadvise(file, self.begun, NonZeroU64::new(part), Advice::DontNeed);
        self.begun = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn parts_are_written_out_once_and_stay_what_they_are() {
        let file = tempfile::tempfile().unwrap();
        let mut out = WriteOut::default();
        let piece = vec![7; 3 << 20];
        for number in 0..14 {
            let at = number * piece.len() as u64;
            file.write_all_at(&piece, at).unwrap();
            out.reached(&file, at + piece.len() as u64);
        }
        assert_eq!(out.begun, 36 << 20);
        let mut read = vec![0; 42 << 20];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read.iter().all(|byte| *byte == 7));
    }
}
