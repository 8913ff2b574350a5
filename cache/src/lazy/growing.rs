//! A file that is read while another thread writes it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use kiln_oci::locked;

/// How far the writer is.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Changes so far.
    version: u64,
    has_ended: bool,
    has_failed: bool,
}

impl Growth {
    /// The file has changed.
    pub(crate) fn grown(&self) {
        self.change(|state| state.version += 1);
    }

    /// Nothing more comes.
    pub(crate) fn end(&self, is_whole: bool) {
        self.change(|state| {
            state.has_ended = true;
            state.has_failed |= !is_whole;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut locked(&self.state));
        self.changed.notify_all();
    }

    /// Version of the file, and whether it is whole.
    fn look(&self) -> io::Result<(u64, bool)> {
        let state = locked(&self.state);
        if state.has_failed {
            return Err(io::Error::other("the blob does not come"));
        }
        Ok((state.version, state.has_ended))
    }

    /// Waits until something has happened after `version`.
    fn wait(&self, version: u64) {
        let mut state = locked(&self.state);
        while state.version == version && !state.has_ended {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads the file from its start, and waits at its end until it grows or is whole.
#[derive(Debug)]
pub(crate) struct GrowingFile<'a> {
    growth: &'a Growth,
    path: PathBuf,
    file: Option<File>,
    position: u64,
}

impl<'a> GrowingFile<'a> {
    /// The file need not exist yet.
    pub(crate) fn new(path: &Path, growth: &'a Growth) -> Self {
        Self {
            growth,
            path: path.to_owned(),
            file: None,
            position: 0,
        }
    }

    fn open(&mut self) -> io::Result<Option<&mut File>> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.file.as_mut())
    }
}

impl Read for GrowingFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // looked at before the file is: what is written in between is read now or wakes the wait
            let (version, is_whole) = self.growth.look()?;
            let position = self.position;
            if let Some(file) = self.open()? {
                if file.metadata()?.len() < position {
                    return Err(io::Error::other("the download began anew"));
                }
                let count = file.read(buffer)?;
                self.position += count as u64;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
            }
            if is_whole {
                return Ok(0);
            }
            self.growth.wait(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_reader_follows_the_writer_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let growth = Growth::default();
        let read = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut all = Vec::new();
                GrowingFile::new(&path, &growth)
                    .read_to_end(&mut all)
                    .map(|_| all)
            });
            let mut file = File::create(&path).unwrap();
            for piece in 0..100_u8 {
                file.write_all(&[piece; 1000]).unwrap();
                growth.grown();
            }
            growth.end(true);
            reader.join().unwrap()
        });
        let expected: Vec<u8> = (0..100).flat_map(|piece| [piece; 1000]).collect();
        assert!(read.unwrap() == expected);
    }

    #[test]
    fn a_failed_writer_and_a_new_beginning_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        std::fs::write(&path, b"0123456789").unwrap();
        let growth = Growth::default();
        let mut reader = GrowingFile::new(&path, &growth);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 8);
        std::fs::write(&path, b"01").unwrap();
        assert!(reader.read(&mut [0; 8]).is_err());
        growth.end(false);
        assert!(GrowingFile::new(&path, &growth).read(&mut [0; 8]).is_err());
    }
}
