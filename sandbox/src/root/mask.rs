//! Hides files and folders of `/proc` and `/sys`, or makes them read-only. Unaware of which ones.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{fstat, major, minor};
use rustix::io::Errno;

use crate::SpawnError;
use crate::path::is_folder;
use crate::root::detached::{self, DATA, READ_ONLY, open_below};

/// A mounted file system, and where a command sees it.
pub type Seen<'a> = (&'static str, &'a OwnedFd);

/// What lies over what is hidden: `/dev/null` over files, an empty folder over folders.
pub struct Mask {
    null: OwnedFd,
    folder: Option<OwnedFd>,
}

impl Mask {
    pub fn new(null: OwnedFd) -> Self {
        let folder = None;
        Self { null, folder }
    }

    /// False: nothing has this name.
    pub fn hide(&mut self, (seen, top): Seen<'_>, name: &str) -> Result<bool, SpawnError> {
        match open_below(top, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            target => target.and_then(|target| self.cover(&target).map(|()| true)),
        }
        .map_err(SpawnError::at("mask", &format!("{seen}/{name}")))
    }

    fn cover(&mut self, target: &OwnedFd) -> io::Result<()> {
        if !is_folder(target)? {
            self.check_null()?;
            return detached::attach(detached::copy(&self.null, false, READ_ONLY)?, target);
        }
        if let Some(empty) = &self.folder {
            return detached::attach(detached::copy(empty, false, READ_ONLY)?, target);
        }
        // One empty file system, mounted where it is first needed and copied from there.
        let options = [("size", "0"), ("nr_inodes", "1"), ("mode", "0555")];
        let empty = detached::filesystem("tmpfs", &options, DATA | READ_ONLY)?;
        detached::attach(&empty, target)?;
        self.folder = Some(empty);
        Ok(())
    }

    /// A mask is only as good as what lies over the file.
    fn check_null(&self) -> io::Result<()> {
        let device = fstat(&self.null)?.st_rdev;
        if (major(device), minor(device)) == (1, 3) {
            Ok(())
        } else {
            Err(Errno::NODEV.into())
        }
    }
}

/// Leaves a file or folder visible, but not writable. One that does not exist needs nothing.
pub fn make_read_only((seen, top): Seen<'_>, name: &str) -> Result<(), SpawnError> {
    match open_below(top, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        target => target
            .and_then(|target| detached::attach(detached::copy(&target, true, READ_ONLY)?, target)),
    }
    .map_err(SpawnError::at("make read-only", &format!("{seen}/{name}")))
}
