//! Scratch: folders and files of this process alone, and how they get a final name. They go with the process's lease.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::store::folders::check_parent;
use crate::{Scratch, StoreError};

impl Scratch<'_> {
    /// A name for a file or directory that is to be made.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        self.store.leases().own()?.scratch(name)
    }

    /// A new empty directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.path(name)?;
        std::fs::create_dir(&path).map_err(|source| StoreError::io("make", &path, source))?;
        Ok(path)
    }

    /// Throws a directory of this process's scratch away: a rename into the trash.
    ///
    /// # Errors
    /// The rename fails.
    pub fn discard(&self, scratch: &Path) -> Result<(), StoreError> {
        self.store.trash().put(scratch)
    }

    /// Writes a small file under its final name, whole or not at all.
    pub(crate) fn write_file(&self, target: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let scratch = self.path("file")?;
        written(&scratch, target, bytes, || {
            self.put_in_place(&scratch, target)
        })
    }

    /// The same in a folder that nobody else writes to, which may be gone, and stays so then: by way of a file beside it.
    pub(crate) fn replace_file(&self, target: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("store", target, source);
        check_parent(target).map_err(failed)?;
        let beside = target.with_added_extension("new");
        // of a process that was killed, or a link of somebody else's
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        written(&beside, target, bytes, || {
            std::fs::rename(&beside, target).map_err(failed)
        })
    }

    /// Renames to a final name. A folder that is missing on the way is made; what stands there and cannot be replaced by a rename (a
    /// folder in the place of a file, a file in the place of a folder) goes to the trash.
    pub(crate) fn put_in_place(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("store", to, source);
        let folder = to.parent().unwrap_or(to);
        check_parent(to).map_err(failed)?;
        let in_the_way = match std::fs::rename(from, to).map_err(|error| (error.kind(), error)) {
            Ok(()) => return Ok(()),
            Err((io::ErrorKind::NotFound, _)) => None,
            Err((io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty, _)) => Some(to),
            Err((io::ErrorKind::NotADirectory, _)) if folder.is_dir() => Some(to),
            Err((io::ErrorKind::NotADirectory, _)) => Some(folder),
            Err((_, error)) => return Err(failed(error)),
        };
        in_the_way.map_or(Ok(()), |path| self.store.trash().put(path))?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::rename(from, to).map_err(failed)
    }
}

/// The file at `scratch` must not be there.
fn written(
    scratch: &Path,
    target: &Path,
    bytes: &[u8],
    place: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let made = File::create_new(scratch);
    let written = made.and_then(|mut file| file.write_all(bytes));
    let written = written.map_err(|source| StoreError::io("write", target, source));
    let placed = written.and_then(|()| place());
    if placed.is_err() {
        // the scratch goes as a whole if this fails
        let _ = std::fs::remove_file(scratch);
    }
    placed
}

#[cfg(test)]
mod tests {
    use crate::tests::store;
    use std::fs::{read_to_string, write};

    #[test]
    fn no_link_chooses_where_a_file_is_replaced() {
        let (folder, store) = store();
        let (other, target) = (folder.path().join("other"), store.root().join("file"));
        let beside = target.with_added_extension("new");
        write(&other, "somebody's").unwrap();
        std::os::unix::fs::symlink(&other, &beside).unwrap();
        store.scratch().replace_file(&target, b"one").unwrap();
        assert_eq!(read_to_string(&target).unwrap(), "one");
        std::fs::hard_link(&other, &beside).unwrap();
        store.scratch().replace_file(&target, b"two").unwrap();
        assert_eq!(read_to_string(&target).unwrap(), "two");
        assert_eq!(read_to_string(&other).unwrap(), "somebody's");
    }
}
