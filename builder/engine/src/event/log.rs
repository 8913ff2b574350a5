//! The file that a step's output goes to. It has no name, so nothing of what a command prints stays when kiln ends, however it ends. Unaware
//! of who writes and who reads.

use serde::{Serialize, Serializer};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

/// A step's output, for as long as anybody holds one of these.
#[derive(Debug, Clone)]
pub struct LogFile(Arc<File>);

impl LogFile {
    /// An empty one on the file system of `folder`, and the file to write to.
    ///
    /// # Errors
    /// None can be made there.
    pub fn new(folder: &Path) -> io::Result<(Self, File)> {
        let file = tempfile::tempfile_in(folder)?;
        let writer = file.try_clone()?;
        Ok((Self(Arc::new(file)), writer))
    }

    /// Opens it at its beginning, for one reader.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn open(&self) -> io::Result<File> {
        File::open(self.path("self"))
    }

    fn path(&self, process: &str) -> String {
        format!("/proc/{process}/fd/{}", self.0.as_raw_fd())
    }
}

/// As the path at which another process of this user finds it.
impl Serialize for LogFile {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.path(&std::process::id().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn readers_begin_at_the_beginning_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mut writer) = LogFile::new(folder.path()).unwrap();
        let mut reader = log.open().unwrap();
        writer.write_all(b"one").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        writer.write_all(b"two").unwrap();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo");
        text.clear();
        log.open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
