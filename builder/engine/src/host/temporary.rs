//! A file that has no name until it is whole: a process that is killed while writing it leaves nothing behind. Unaware of what is in it.
//!
//! By hand, because the tempfile crate either names its files from the start or can never name them: `O_TMPFILE` and linkat(2)
//! (open(2), Linux 3.11). Where the file system or /proc does not allow that, the file has a temporary name.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kiln_cache::WriteOut;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use rustix::io::Errno;
use tempfile::TempPath;

/// What temporary names begin with.
const PREFIX: &str = ".kiln-save";

/// Less what the umask takes from it.
const MODE: u32 = 0o666;

/// A file without a name, or with a temporary one.
#[derive(Debug)]
pub struct Temporary {
    file: File,
    name: Option<TempPath>,
    folder: PathBuf,
    written: u64,
    out: WriteOut,
}

impl Temporary {
    /// An empty file in `folder`, with the mode that the user's files get.
    ///
    /// # Errors
    /// None can be made there.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let (file, name) = match unnamed(folder) {
            Ok(file) => (file, None),
            Err(_) => {
                let named = tempfile::Builder::new()
                    .prefix(PREFIX)
                    .permissions(Permissions::from_mode(MODE))
                    .tempfile_in(folder)?;
                let (file, name) = named.into_parts();
                (file, Some(name))
            }
        };
        Ok(Self {
            file,
            name,
            folder: folder.to_owned(),
            written: 0,
            out: WriteOut::default(),
        })
    }

    /// Waits until the content is on the disk.
    ///
    /// # Errors
    /// It does not get there.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name, which must be in the same folder; another file of that name is replaced.
    ///
    /// # Errors
    /// Something that is no file has the name, or the disk fails.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        self.sync()?;
        match self.name {
            Some(name) => name.persist(path).map_err(|error| error.error),
            None => name_it(&self.file, &self.folder, path),
        }
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        self.out.reached(&self.file, self.written);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn unnamed(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(folder, flags, Mode::from_raw_mode(MODE))?);
    // without this way to it, it could never be named
    std::fs::metadata(way_to(&file))?;
    Ok(file)
}

fn way_to(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// linkat(2) replaces nothing: over another file it takes a second name and a rename.
fn name_it(file: &File, folder: &Path, path: &Path) -> io::Result<()> {
    let link = |path: &Path| linkat(CWD, way_to(file), CWD, path, AtFlags::SYMLINK_FOLLOW);
    match link(path) {
        Err(Errno::EXIST) => {}
        linked => return Ok(linked?),
    }
    for number in 0..=u8::MAX {
        let name = folder.join(format!("{PREFIX}-{}-{number}", std::process::id()));
        match link(&name) {
            Err(Errno::EXIST) => continue,
            linked => linked?,
        }
        return TempPath::try_from_path(name)?
            .persist(path)
            .map_err(|error| error.error);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_one_name_and_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let target = folder.path().join("target");
        for text in ["first", "second"] {
            let before = names();
            let mut temporary = Temporary::new(folder.path()).unwrap();
            temporary.write_all(text.as_bytes()).unwrap();
            let is_unnamed = temporary.name.is_none();
            assert!(!is_unnamed || names() == before);
            temporary.persist(&target).unwrap();
            assert_eq!(std::fs::read_to_string(&target).unwrap(), text);
            assert_eq!(names(), 1);
        }
        let mode = target.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o600);
        let abandoned = Temporary::new(folder.path()).unwrap();
        drop(abandoned);
        assert_eq!(names(), 1);
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let refused = Temporary::new(folder.path()).unwrap();
        assert!(refused.persist(&folder.path().join("folder")).is_err());
        assert_eq!(names(), 2);
    }
}
