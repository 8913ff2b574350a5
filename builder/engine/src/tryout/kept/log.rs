//! What a container in the background has printed: `log` in its folder, and `log.1` with what was before, each of which has a limit, so that
//! one that never stops talking does not fill the disk. A line is as in the logs of Kubernetes and podman (k8s-file):
//!
//! ```text
//! 2026-11-30T12:00:00.123456789Z stdout F all of a line
//! 2026-11-30T12:00:00.123456789Z stderr P a part of a line, whose end was not printed yet or never
//! ```
//!
//! Unaware of terminals and of how it is shown.

use crate::failure::KeptError;
use jiff::Timestamp;
use kiln_cache::Store;
use kiln_oci::locked;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const LOG: &str = "log";
const OLD: &str = "log.1";
/// Bytes of each of the two files.
const LIMIT: u64 = 16 << 20;
/// Bytes of a line that are written, and read, as one.
const LONGEST: usize = 16 << 10;

/// Where something was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or a terminal.
    Out,
    /// Standard error.
    Err,
}

/// A line, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// When it was printed, in RFC 3339.
    pub time: String,
    /// Where.
    pub stream: Stream,
    /// The bytes, with the end of the line if it was printed.
    pub text: Vec<u8>,
}

/// Writes the log of one run of a container.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: Mutex<(File, u64)>,
}

impl Writer {
    /// Goes on with the log of a container that this process holds.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(store: &Store, id: &str) -> Result<Self, KeptError> {
        let path = store.containers().path(id).join(LOG);
        let opened = open(&path).map_err(|source| KeptError::Io {
            action: "open",
            path: path.clone(),
            source,
        })?;
        let file = Mutex::new(opened);
        Ok(Writer { path, file })
    }

    /// Writes what comes from a stream until its end. What cannot be written, on a full disk, is lost; the container does not wait for it.
    pub fn copy(&self, from: impl Read, stream: Stream) {
        let mut from = BufReader::with_capacity(LONGEST, from);
        let mut line = Vec::new();
        while let Ok(1..) = from
            .by_ref()
            .take(LONGEST as u64)
            .read_until(b'\n', &mut line)
        {
            // the next line may have room
            let _ = self.write(&line, stream);
            line.clear();
        }
    }

    fn write(&self, line: &[u8], stream: Stream) -> io::Result<()> {
        let stream = match stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        let (tag, text) = match line.strip_suffix(b"\n") {
            Some(text) => ("F", text),
            None => ("P", line),
        };
        let mut entry = format!("{} {stream} {tag} ", Timestamp::now()).into_bytes();
        entry.extend_from_slice(text);
        entry.push(b'\n');
        let mut file = locked(&self.file);
        if file.1 + entry.len() as u64 > LIMIT {
            std::fs::rename(&self.path, self.path.with_file_name(OLD))?;
            *file = open(&self.path)?;
        }
        file.0.write_all(&entry)?;
        file.1 += entry.len() as u64;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let options = options.create(true).append(true).mode(0o600);
    let file = options.custom_flags(flags).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Reads a log, from its beginning.
#[derive(Debug)]
pub struct Logs {
    path: PathBuf,
    /// What is read; the oldest first.
    files: Vec<BufReader<File>>,
    /// A line of which the end is not written yet.
    begun: Vec<u8>,
}

impl Logs {
    /// The log of a container; none where it has none, as it never was in the background.
    #[must_use]
    pub fn open(store: &Store, id: &str) -> Option<Self> {
        let path = store.containers().path(id).join(LOG);
        let files = [path.with_file_name(OLD), path.clone()];
        let files: Vec<_> = files
            .iter()
            .filter_map(|path| File::open(path).ok())
            .collect();
        let files: Vec<_> = files.into_iter().map(BufReader::new).collect();
        let begun = Vec::new();
        (!files.is_empty()).then_some(Logs { path, files, begun })
    }

    /// The next line; none where no more is written now. What is no line of a log is left out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<LoggedLine>> {
        loop {
            let Some(file) = self.files.first_mut() else {
                return Ok(None);
            };
            let limit = (2 * LONGEST) as u64;
            let count = file.take(limit).read_until(b'\n', &mut self.begun)?;
            if self.begun.ends_with(b"\n") || self.begun.len() as u64 >= limit {
                let line = parsed(&self.begun);
                self.begun.clear();
                match line {
                    Some(line) => return Ok(Some(line)),
                    None => continue,
                }
            }
            if count == 0 && !self.turns()? {
                return Ok(None);
            }
        }
    }

    /// At the end of a file: whether another one follows.
    fn turns(&mut self) -> io::Result<bool> {
        if self.files.len() == 1 {
            let read = self.files[0].get_ref().metadata()?;
            let Ok(named) = self.path.metadata() else {
                return Ok(false);
            };
            if (named.dev(), named.ino()) == (read.dev(), read.ino()) {
                return Ok(false);
            }
            self.files.push(BufReader::new(File::open(&self.path)?));
        }
        self.files.remove(0);
        Ok(true)
    }
}

fn parsed(line: &[u8]) -> Option<LoggedLine> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?;
    let _: Timestamp = time.parse().ok()?;
    let stream = match fields.next()? {
        b"stdout" => Stream::Out,
        b"stderr" => Stream::Err,
        _ => return None,
    };
    let (tag, text) = (fields.next()?, fields.next()?);
    let text = match tag {
        b"F" => text,
        b"P" => text.strip_suffix(b"\n")?,
        _ => return None,
    };
    Some(LoggedLine {
        time: time.to_owned(),
        stream,
        text: text.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(folder: &Path) -> Writer {
        let path = folder.join(LOG);
        let file = Mutex::new(open(&path).unwrap());
        Writer { path, file }
    }

    fn logs(folder: &Path) -> Logs {
        let path = folder.join(LOG);
        let files = [OLD, LOG]
            .iter()
            .filter_map(|name| File::open(folder.join(name)).ok());
        Logs {
            files: files.map(BufReader::new).collect(),
            path,
            begun: Vec::new(),
        }
    }

    fn all(logs: &mut Logs) -> Vec<(Stream, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(line) = logs.next_line().unwrap() {
            all.push((line.stream, line.text));
        }
        all
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        writer.copy(&b"one\n\n two \xff"[..], Stream::Out);
        writer.copy(&b"three\n"[..], Stream::Err);
        let mut logs = logs(folder.path());
        let expected = [
            (Stream::Out, b"one\n".to_vec()),
            (Stream::Out, b"\n".to_vec()),
            (Stream::Out, b" two \xff".to_vec()),
            (Stream::Err, b"three\n".to_vec()),
        ];
        assert_eq!(all(&mut logs), expected);
        writer.copy(&b"later\n"[..], Stream::Out);
        assert_eq!(all(&mut logs), [(Stream::Out, b"later\n".to_vec())]);
        std::fs::write(folder.path().join(LOG), "no line\n2026 stdout F x\n").unwrap();
        let mut logs = super::tests::logs(folder.path());
        assert_eq!(all(&mut logs), []);
    }

    #[test]
    fn a_log_that_becomes_long_is_followed_into_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let long = vec![b'x'; 10 << 20];
        writer.copy(&b"first\n"[..], Stream::Out);
        let mut logs = logs(folder.path());
        assert_eq!(all(&mut logs).len(), 1);
        writer.copy(&long[..], Stream::Out);
        writer.copy(&long[..], Stream::Out);
        let text: usize = all(&mut logs).iter().map(|(_, text)| text.len()).sum();
        assert_eq!(text, 2 * long.len());
        assert!(folder.path().join(OLD).exists());
    }
}
