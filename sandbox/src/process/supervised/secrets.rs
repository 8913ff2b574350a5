//! Files of a run that are in memory only: secrets. In the tree a socket stands at the name of each, which nobody can open; who names it, by
//! whatever links, is given the file, which has no name and is gone with this process, however that ends. Unaware of calls.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, FileType, Gid, MemfdFlags, Mode, SealFlags, Stat, Uid, chmodat, chownat, fchmod,
    fchown, fcntl_add_seals, memfd_create, mknodat, statat,
};

/// The files of one run.
#[derive(Debug, Default)]
pub struct Secrets(Vec<InMemory>);

#[derive(Debug)]
struct InMemory {
    /// Device and inode of what stands in the tree.
    socket: (u64, u64),
    file: OwnedFd,
}

/// Mode, user and group.
pub type Access = (u32, u32, u32);

impl Secrets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a file, and puts what stands for it into a folder.
    pub fn plant(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &OsStr,
        content: &[u8],
        access: Access,
    ) -> io::Result<()> {
        let file = in_memory(content, access)?;
        let (mode, uid, gid) = owned(access);
        mknodat(folder, name, FileType::Socket, mode, 0)?;
        chownat(
            folder,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        chmodat(folder, name, mode, AtFlags::empty())?;
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let socket = (stat.st_dev, stat.st_ino);
        self.0.push(InMemory { socket, file });
        Ok(())
    }

    /// Where the file can be opened that something in the tree stands for, if it stands for one.
    pub fn behind(&self, found: &Stat) -> Option<PathBuf> {
        let is_it = |secret: &&InMemory| secret.socket == (found.st_dev, found.st_ino);
        let secret = self.0.iter().find(is_it)?;
        Some(format!("/proc/self/fd/{}", secret.file.as_raw_fd()).into())
    }
}

fn in_memory(content: &[u8], access: Access) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("secret", flags)?);
    file.write_all(content)?;
    let (mode, uid, gid) = owned(access);
    fchown(&file, Some(uid), Some(gid))?;
    fchmod(&file, mode)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK,
    )?;
    Ok(file.into())
}

fn owned((mode, uid, gid): Access) -> (Mode, Uid, Gid) {
    let mode = Mode::from_raw_mode(mode);
    (mode, Uid::from_raw(uid), Gid::from_raw(gid))
}

#[cfg(test)]
mod tests {
    use std::fs::metadata;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_stands_in_the_tree_holds_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        let (uid, gid) = metadata(place.path())
            .map(|it| (it.uid(), it.gid()))
            .unwrap();
        let mut secrets = Secrets::default();
        let access = (0o400, uid, gid);
        secrets
            .plant(folder.as_fd(), OsStr::new("s"), b"hidden", access)
            .unwrap();
        assert!(File::open(place.path().join("s")).is_err());
        let stat = rustix::fs::stat(place.path().join("s")).unwrap();
        let file = secrets.behind(&stat).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "hidden");
        assert_eq!(metadata(&file).unwrap().mode() & 0o7777, 0o400);
        assert!(secrets.behind(&rustix::fs::stat("/").unwrap()).is_none());
    }
}
