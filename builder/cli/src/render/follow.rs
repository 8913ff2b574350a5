//! Follows a step's log file and cuts it into lines. What nobody has shown yet stays in the file: memory holds one line. Unaware of how
//! lines are shown, and whether they are text.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// A line longer than this is shown in pieces, so that a renderer's memory stays bounded. No character is cut.
const LONGEST_LINE: usize = 64 * 1024;
/// How much is read in one look, so that one step keeps no other waiting.
const LOOK: usize = 1 << 20;

/// Reads what has been added to a log since the last look.
#[derive(Debug)]
pub struct Follower {
    file: Option<File>,
    partial: Vec<u8>,
}

impl Follower {
    /// Starts at the log's beginning. A log that cannot be opened has no lines: it is never worth failing a build.
    pub fn of(log: io::Result<File>) -> Self {
        Follower {
            file: log.ok(),
            partial: Vec::new(),
        }
    }

    /// Calls `show` with complete lines that are new, their ends included; whether there may be more at once.
    pub fn look(&mut self, mut show: impl FnMut(&[u8])) -> bool {
        let mut buffer = vec![0; 32 * 1024];
        for _ in 0..LOOK / buffer.len() {
            let read = self.file.as_mut().map(|file| file.read(&mut buffer));
            let Some(Ok(read @ 1..)) = read else {
                return false;
            };
            for piece in buffer[..read].split_inclusive(|&byte| byte == b'\n') {
                self.partial.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    self.show_partial(self.partial.len(), &mut show);
                } else if self.partial.len() >= LONGEST_LINE {
                    self.show_partial(whole_characters(&self.partial), &mut show);
                }
            }
        }
        true
    }

    /// Calls `show` with all that is left, an incomplete last line included.
    pub fn end(mut self, mut show: impl FnMut(&[u8])) {
        while self.look(&mut show) {}
        if !self.partial.is_empty() {
            self.show_partial(self.partial.len(), &mut show);
        }
    }

    /// Leaves out what is far from the end of the log, for who shows only that.
    pub fn skip(&mut self) {
        let Some(file) = &mut self.file else {
            return;
        };
        let end = file.metadata().map_or(0, |metadata| metadata.len());
        let near = end.saturating_sub(LONGEST_LINE as u64);
        if file.stream_position().is_ok_and(|at| at < near)
            && file.seek(SeekFrom::Start(near)).is_ok()
        {
            self.partial.clear();
        }
    }

    fn show_partial(&mut self, length: usize, show: &mut impl FnMut(&[u8])) {
        show(&self.partial[..length]);
        self.partial.drain(..length);
    }
}

/// Bytes of a text's beginning without a character of which the end has not come.
fn whole_characters(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_arrive_once_and_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut follower = Follower::of(File::open(file.path()));
        let mut seen = Vec::new();
        file.write_all(b"one\ntw").unwrap();
        follower.look(|line| seen.push(line.to_owned()));
        file.write_all(b"o\r\n\nlast\xff").unwrap();
        follower.look(|line| seen.push(line.to_owned()));
        assert_eq!(seen, [&b"one\n"[..], b"two\r\n", b"\n"]);
        follower.end(|line| seen.push(line.to_owned()));
        assert_eq!(seen[3..], [b"last\xff"]);
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_whole_characters() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("a{}", "\u{e4}\u{20ac}".repeat(100_000));
        file.write_all(text.as_bytes()).unwrap();
        let mut pieces = Vec::new();
        Follower::of(File::open(file.path())).end(|piece| pieces.push(piece.to_owned()));
        assert!(pieces.len() > 4);
        assert!(
            pieces
                .iter()
                .all(|piece| std::str::from_utf8(piece).is_ok())
        );
        assert_eq!(pieces.concat(), text.as_bytes());
    }

    #[test]
    fn a_long_log_comes_in_several_looks_or_only_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let lines: String = (0..300_000).map(|line| format!("{line}\n")).collect();
        file.write_all(lines.as_bytes()).unwrap();
        let (mut follower, mut seen) = (Follower::of(File::open(file.path())), 0);
        assert!(follower.look(|_| seen += 1));
        assert!(0 < seen && seen < 300_000);
        follower.end(|_| seen += 1);
        assert_eq!(seen, 300_000);
        let (mut follower, mut last) = (Follower::of(File::open(file.path())), Vec::new());
        follower.skip();
        follower.end(|line| last.push(line.to_owned()));
        assert_eq!(last.last().unwrap(), b"299999\n");
        assert!(last.len() < 20_000);
    }
}
