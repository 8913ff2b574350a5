//! The folders of a store are its own: kiln writes and deletes in them. A symbolic link that somebody puts into a store (one
//! that was restored from somewhere, for instance) would choose where. The few on top are looked at when the store is opened, those
//! below them when something gets a name in them or loses one. Unaware of what they hold.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};

use crate::StoreError;

/// The store's folders.
pub(super) const FOLDERS: [&str; 11] = [
    "blobs/sha256",
    "layers",
    "views",
    "contexts",
    "mounts",
    "logs",
    "containers",
    "locks",
    "leases",
    "parts",
    "trash",
];
/// Those whose folders have nothing to do with each other.
const UNRELATED: [&str; 2] = ["containers", "leases"];
/// What stands on top of a store beside [`FOLDERS`].
const FILES: [&str; 8] = [
    "ballast",
    "blobs",
    "version",
    "version.new",
    "kiln.db",
    "kiln.db-journal",
    "kiln.db-wal",
    "kiln.db-shm",
];

/// Refuses a store of which a part is a link; whether it has all of its folders.
pub(super) fn check(root: &Path) -> Result<bool, StoreError> {
    let mut is_whole = true;
    for (number, name) in FOLDERS.iter().chain(&FILES).enumerate() {
        let path = root.join(name);
        let found = path.symlink_metadata();
        if found.as_ref().is_ok_and(Metadata::is_symlink) {
            return Err(StoreError::Link { path });
        }
        is_whole &= found.is_ok() || number >= FOLDERS.len();
    }
    Ok(is_whole)
}

/// Refuses to change names in a folder that is reached by a link.
///
/// # Errors
/// It is one.
pub(crate) fn check_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if is_link(folder) => {
            let text = format!(
                "{} is a symbolic link, and kiln writes and deletes through none in a store",
                folder.display()
            );
            Err(io::Error::other(text))
        }
        _ => Ok(()),
    }
}

/// Whether a link stands there.
pub(crate) fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.is_symlink())
}

/// An empty file that only its owner may read.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true);
    let options = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let file = options.mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Makes those of the store's folders that are missing.
pub(crate) fn folders(root: &Path) -> Result<(), StoreError> {
    for name in FOLDERS {
        let path = root.join(name);
        folder(&path).map_err(|source| StoreError::io("make", &path, source))?;
    }
    UNRELATED.iter().for_each(|name| spread(&root.join(name)));
    Ok(())
}

/// Tells ext4 that what is made in the folders of a folder need not be near (`chattr +T`; `find_group_orlov` in fs/ext4/ialloc.c), as for
/// homes in `/home`. Where it is, an ext4 without a journal passes over each inode that was given back in the last minutes before it gives
/// one out (`recently_deleted`), and each RUN gives a dozen back. A hint, which other file systems refuse. Only a new store gets it: each
/// command would pay for a look at an old one.
fn spread(folder: &Path) {
    let Ok(folder) = File::open(folder) else {
        return;
    };
    if let Ok(flags) = ioctl_getflags(&folder) {
        let _ = ioctl_setflags(&folder, flags | IFlags::TOPDIR);
    }
}

/// Makes a folder that only its owner may look into.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(folder: &Path) -> Option<IFlags> {
        ioctl_getflags(File::open(folder).unwrap()).ok()
    }

    #[test]
    fn unrelated_folders_are_spread_where_that_is_possible() {
        let root = tempfile::tempdir().unwrap();
        // a file system may pass the flag to another one below it, or forget it
        let probe = root.path().join("probe");
        folder(&probe).unwrap();
        let before = flags(&probe);
        if let Some(flags) = before {
            let _ = ioctl_setflags(File::open(&probe).unwrap(), flags | IFlags::TOPDIR);
        }
        let after = flags(&probe);
        folders(root.path()).unwrap();
        for name in FOLDERS {
            let expected = match UNRELATED.contains(&name) {
                true => after,
                false => before,
            };
            assert_eq!(flags(&root.path().join(name)), expected, "{name}");
        }
    }
}
