//! Names in a directory and extended attributes of a file, by file descriptor. Unaware of what they are for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, RawDir, fgetxattr, flistxattr};
use rustix::io::Errno;

use crate::Xattrs;
use crate::entry::keeps_xattr;

/// Bytes for one getdents64(2): hundreds of names.
const NAMES: usize = 32 << 10;
/// Linux's limit for the names of all attributes of a file, and for one value (limits.h).
const XATTR_MAX: usize = 64 << 10;

/// The names in an open directory without `.` and `..`, in no order, with types where the file system tells them.
pub(crate) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, FileType)>> {
    let mut buffer = Vec::<u8>::with_capacity(NAMES);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    Ok(names)
}

/// The names of a file's extended attributes, sorted.
pub(crate) fn xattr_names(file: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    // nearly all files have none or few
    let mut small = [0; 512];
    let listed = match flistxattr(&file, &mut small) {
        Ok(length) => small.get(..length).unwrap_or_default().to_vec(),
        Err(Errno::NOTSUP) => Vec::new(),
        Err(Errno::RANGE) => {
            let mut large = vec![0; XATTR_MAX];
            let length = flistxattr(&file, &mut large)?;
            large.truncate(length);
            large
        }
        Err(errno) => return Err(errno.into()),
    };
    let mut names: Vec<_> = listed
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    names.sort();
    Ok(names)
}

/// The attributes among `names` that layers keep, with their values.
pub(crate) fn kept_xattrs(file: impl AsFd, names: &[Vec<u8>]) -> io::Result<Xattrs> {
    let mut kept = Xattrs::new();
    for name in names.iter().filter(|name| keeps_xattr(name)) {
        if let Some(value) = xattr(&file, name)? {
            kept.push((name.as_slice().into(), value.into()));
        }
    }
    Ok(kept)
}

/// The value of one attribute.
pub(crate) fn xattr(file: impl AsFd, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; 256];
    loop {
        match fgetxattr(&file, name, &mut value) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::NODATA) => return Ok(None),
            Err(Errno::RANGE) if value.len() < XATTR_MAX => value.resize(XATTR_MAX, 0),
            Err(errno) => return Err(errno.into()),
        }
    }
}
