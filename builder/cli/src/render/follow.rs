//! Follows a step's log file and cuts it into lines. Unaware of how lines are shown.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A line longer than this is shown in pieces, so that a renderer's memory stays bounded.
const LONGEST_LINE: usize = 64 * 1024;

/// Reads what has been added to a log since the last look.
#[derive(Debug)]
pub struct Follower {
    file: Option<File>,
    partial: Vec<u8>,
}

impl Follower {
    /// Starts at the log's beginning. A log that cannot be opened has no lines: it is never worth failing a build.
    pub fn open(path: &Path) -> Self {
        Follower {
            file: File::open(path).ok(),
            partial: Vec::new(),
        }
    }

    /// Calls `show` with each complete line that is new; with `end` also with an incomplete last one.
    pub fn lines(&mut self, end: bool, mut show: impl FnMut(&str)) {
        let mut buffer = vec![0; 32 * 1024];
        while let Some(read) = self
            .file
            .as_mut()
            .and_then(|file| file.read(&mut buffer).ok())
            .filter(|&read| read > 0)
        {
            for piece in buffer[..read].split_inclusive(|&byte| byte == b'\n') {
                self.partial.extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.partial.len() >= LONGEST_LINE {
                    self.show_partial(&mut show);
                }
            }
        }
        if end && !self.partial.is_empty() {
            self.show_partial(&mut show);
        }
    }

    fn show_partial(&mut self, show: &mut impl FnMut(&str)) {
        let line = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&line);
        show(text.trim_end_matches(['\n', '\r']));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_arrive_once_and_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut follower = Follower::open(file.path());
        let mut seen = Vec::new();
        file.write_all(b"one\ntw").unwrap();
        follower.lines(false, |line| seen.push(line.to_owned()));
        file.write_all(b"o\r\n\nlast").unwrap();
        follower.lines(false, |line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two", ""]);
        follower.lines(true, |line| seen.push(line.to_owned()));
        assert_eq!(seen[3..], ["last"]);
    }
}
