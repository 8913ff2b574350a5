//! Overlay through `fsopen(2)` with `lowerdir+` (Linux 6.5): detached from the start, with up to 500 lowers.
//! Unaware of what is done where this fails.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen,
};

use super::OverlaySpec;
use super::options::{at, descriptor_name, hint, options};
use crate::MountError;
use crate::root::detached::{NO_DEV, open_folder, read_only};

/// Refused by number where only mount(2) is allowed.
pub const OPEN: &str = "fsopen overlay";
/// Unknown before Linux 6.5.
pub const APPEND: &str = "fsconfig lowerdir+";

/// The kernel takes values of `fsconfig` up to this many bytes, the closing zero included.
const MAX_VALUE: usize = 256;

/// Mounts an overlay; there is at least one lower.
pub fn merge(spec: &OverlaySpec<'_>) -> Result<OwnedFd, MountError> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at(OPEN, None))?;
    let context = Context(context);
    context.option("source", Some("overlay"))?;
    for lower in spec.lowers {
        context.folder("lowerdir+", APPEND, lower)?;
    }
    if let Some((upper, work)) = spec.upper {
        context.folder("upperdir", "fsconfig upperdir", upper)?;
        context.folder("workdir", "fsconfig workdir", work)?;
    }
    for (key, value) in options(spec) {
        context.option(key, value)?;
    }
    let top = spec.upper.map(|(upper, _)| upper);
    fsconfig_create(&context.0)
        .map_err(|errno| context.failed("create the overlay", top, errno))?;
    let attributes = NO_DEV | read_only(spec.upper.is_none());
    fsmount(&context.0, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(at("fsmount overlay", top))
}

/// A file system that is being configured.
struct Context(OwnedFd);

impl Context {
    fn option(&self, key: &'static str, value: Option<&str>) -> Result<(), MountError> {
        match value {
            None => fsconfig_set_flag(&self.0, key),
            Some(value) => fsconfig_set_string(&self.0, key, value),
        }
        .map_err(|errno| self.failed(key, None, errno))
    }

    /// A long path, and one with a backslash (an escape for the kernel), is passed as the name of a descriptor.
    fn folder(&self, key: &'static str, step: &'static str, path: &Path) -> Result<(), MountError> {
        let bytes = path.as_os_str().as_bytes();
        let set = if path.is_absolute() && bytes.len() < MAX_VALUE && !bytes.contains(&b'\\') {
            fsconfig_set_string(&self.0, key, path)
        } else {
            let folder = open_folder(path)?;
            fsconfig_set_string(&self.0, key, descriptor_name(&folder))
        };
        set.map_err(|errno| self.failed(step, Some(path), errno))
    }

    /// The error, with what the kernel wrote into the context's log (`e overlay: ...`).
    fn failed(&self, step: &'static str, path: Option<&Path>, errno: Errno) -> MountError {
        let mut log = [0; 1024];
        let said = rustix::io::read(&self.0, &mut log).unwrap_or(0);
        let said = String::from_utf8_lossy(log.get(..said).unwrap_or_default());
        let said = Some(said.trim().to_owned()).filter(|said| !said.is_empty());
        MountError::step(step, path, said.or_else(|| hint(errno)))(errno)
    }
}
