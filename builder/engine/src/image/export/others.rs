//! Removes from a folder what is not among some names. No link is followed: one that is not among them goes, what it leads to stays.
//! Unaware of why.

use kiln_cache::beneath;
use rustix::fs::{AtFlags, Dir, FileType, Mode};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Removes what is in `folder`, whose path is `path`, and not in `names`; paths are as in `Entry::path`.
pub(super) fn remove(
    folder: BorrowedFd<'_>,
    path: &mut Vec<u8>,
    names: &BTreeSet<Vec<u8>>,
) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        match (is_folder, names.contains(path.as_slice())) {
            (true, true) => remove(beneath::open_dir(folder, name)?.as_fd(), path, names)?,
            (true, false) => remove_folder(folder, name)?,
            (false, true) => {}
            (false, false) => rustix::fs::unlinkat(folder, name, AtFlags::empty())?,
        }
        path.truncate(length);
    }
    Ok(())
}

/// Removes the folder `name` of `parent` with all that is in it.
pub(super) fn remove_folder(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let opened = match beneath::open_dir(parent, name) {
        // it may forbid its owner to look into it
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            beneath::open_dir(parent, name)?
        }
        opened => opened?,
    };
    remove(opened.as_fd(), &mut Vec::new(), &BTreeSet::new())?;
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}
