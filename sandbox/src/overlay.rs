//! Mounts overlays as file descriptors: nothing appears in the mount table, closing the descriptor unmounts.
//! Unaware of what the folders hold.
//!
//! Options, and why: `volatile` (no sync of the upper file system on unmount: a build that loses power is built again),
//! `userxattr` in a user namespace (without it the mount works and removing a lower folder fails with EIO),
//! `redirect_dir=nofollow`, `metacopy=off`, `index=off`, `xino=off` (an upper stays a plain tree that can be packed, and a
//! hostile layer cannot point elsewhere); `nodev` (a run may make device nodes but not open them).
//!
//! After the unmount the upper folder is plain: changed files, character devices 0:0 for removed ones, and the xattrs
//! `{trusted,user}.overlay.*`. `volatile` leaves `incompat/volatile` in the work folder, which the kernel takes as "do not
//! mount again"; mounting the same pair again removes it, since who passes an upper vouches for it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};

use crate::{Disabled, Feature, MountError, mount2, sys};

/// How many lowers the kernel takes (`OVL_MAX_STACK`).
pub const MAX_LOWERS: usize = 500;

/// The kernel takes values of `fsconfig` up to this many bytes, the closing zero included.
const MAX_VALUE: usize = 256;

/// What to merge.
#[derive(Debug, Clone, Copy)]
pub struct OverlaySpec<'a> {
    /// Folders that are only read, the top one first. May be empty.
    pub lowers: &'a [PathBuf],
    /// The folder that takes changes, and an empty folder on the same file system for the kernel's use. Without them
    /// the mount is read-only. Without lowers an empty folder is made beside the work folder, named as it with `.lower` added.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Whether the process is in a user namespace ([`Entered::rootless`](crate::Entered::rootless)).
    pub rootless: bool,
}

/// A mounted root file system that is in no mount table; dropping it unmounts. It serves one [`run`](crate::run).
#[derive(Debug)]
pub struct RootMount {
    fd: OwnedFd,
    upper: Option<OwnedFd>,
    used: AtomicBool,
}

impl AsFd for RootMount {
    /// Its root folder: the caller may read and write below it, before and after a run.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl RootMount {
    fn new(fd: OwnedFd, upper: Option<OwnedFd>) -> Self {
        Self {
            fd,
            upper,
            used: AtomicBool::new(false),
        }
    }

    /// The folder that takes its changes.
    pub(crate) fn upper(&self) -> Option<BorrowedFd<'_>> {
        self.upper.as_ref().map(AsFd::as_fd)
    }

    /// Takes the one use that it has: a detached mount can be attached once, and before Linux 6.15 not be copied.
    pub(crate) fn take(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }
}

/// Mounts an overlay. One lower without an upper is a read-only view of that folder, none at all an empty folder.
///
/// # Errors
/// With the failing step and folder, and what the kernel said.
pub fn mount_overlay(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<RootMount, MountError> {
    if spec.lowers.len() > MAX_LOWERS {
        return Err(MountError::TooMany {
            lowers: spec.lowers.len(),
            limit: MAX_LOWERS,
        });
    }
    match (spec.upper, spec.lowers) {
        (None, []) => empty().map(|fd| RootMount::new(fd, None)),
        (None, [lower]) => read_only_view(lower).map(|fd| RootMount::new(fd, None)),
        (None, lowers) => {
            merge(lowers, None, spec.rootless, disabled).map(|fd| RootMount::new(fd, None))
        }
        (Some((upper, work)), lowers) => {
            let beside;
            let lowers = if lowers.is_empty() {
                beside = [empty_folder_beside(work)?];
                &beside
            } else {
                lowers
            };
            forget_volatile(work)?;
            let folder = open_folder(upper)?;
            let fd = merge(lowers, Some((upper, work)), spec.rootless, disabled)?;
            Ok(RootMount::new(fd, Some(folder)))
        }
    }
}

/// Shows a folder that belongs to the caller alone, writable: all changes are made in it.
///
/// # Errors
/// When the kernel refuses.
pub fn mount_folder(folder: &Path) -> Result<RootMount, MountError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let view = open_tree(CWD, folder, flags).map_err(at("open_tree", Some(folder)))?;
    let set = sys::set_mount_attributes(&view, MountAttrFlags::MOUNT_ATTR_NODEV, false);
    set.map_err(failed("mount_setattr", folder))?;
    Ok(RootMount::new(view, Some(open_folder(folder)?)))
}

/// The options that an overlay has besides its folders.
pub(crate) fn flags_and_values(
    upper: bool,
    rootless: bool,
) -> (Vec<&'static str>, [(&'static str, &'static str); 4]) {
    let flags = [(upper, "volatile"), (rootless, "userxattr")];
    let flags = flags
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, flag)| flag)
        .collect();
    // `nofollow` rather than `off`: together with `userxattr` the kernel accepts no other.
    (
        flags,
        [
            ("redirect_dir", "nofollow"),
            ("metacopy", "off"),
            ("index", "off"),
            ("xino", "off"),
        ],
    )
}

fn merge(
    lowers: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    rootless: bool,
    disabled: Disabled,
) -> Result<OwnedFd, MountError> {
    if disabled.has(Feature::LowerdirAppend) {
        return mount2::merge(lowers, upper, rootless);
    }
    match merge_detached(lowers, upper, rootless) {
        // Before Linux 6.5 there is no `lowerdir+`; fsopen is refused by number where only mount(2) is allowed.
        Err(MountError::Step {
            step: "fsconfig lowerdir+",
            source,
            ..
        }) if source.raw_os_error() == Some(libc::EINVAL) => mount2::merge(lowers, upper, rootless),
        Err(MountError::Step {
            step: "fsopen overlay",
            source,
            ..
        }) if source.raw_os_error() == Some(libc::ENOSYS) => mount2::merge(lowers, upper, rootless),
        answer => answer,
    }
}

/// Through `fsopen` with `lowerdir+`, without a fallback.
pub(crate) fn merge_detached(
    lowers: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    rootless: bool,
) -> Result<OwnedFd, MountError> {
    let context =
        fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("fsopen overlay", None))?;
    let context = Context(context);
    context.value("source", "overlay")?;
    for lower in lowers {
        context.folder("lowerdir+", "fsconfig lowerdir+", lower)?;
    }
    if let Some((upper, work)) = upper {
        context.folder("upperdir", "fsconfig upperdir", upper)?;
        context.folder("workdir", "fsconfig workdir", work)?;
    }
    let (flags, values) = flags_and_values(upper.is_some(), rootless);
    for flag in flags {
        fsconfig_set_flag(&context.0, flag).map_err(|errno| context.failed(flag, None, errno))?;
    }
    for (key, value) in values {
        context.value(key, value)?;
    }
    let top = upper.map(|(upper, _)| upper);
    fsconfig_create(&context.0)
        .map_err(|errno| context.failed("create the overlay", top, errno))?;
    let read_only = if upper.is_some() {
        MountAttrFlags::empty()
    } else {
        MountAttrFlags::MOUNT_ATTR_RDONLY
    };
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | read_only;
    fsmount(&context.0, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(at("fsmount overlay", top))
}

/// A file system that is being configured.
struct Context(OwnedFd);

impl Context {
    fn value(&self, key: &'static str, value: &str) -> Result<(), MountError> {
        fsconfig_set_string(&self.0, key, value).map_err(|errno| self.failed(key, None, errno))
    }

    /// A long path, and one with a backslash (the kernel takes it as an escape), goes through the name of a descriptor.
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
        let said = String::from_utf8_lossy(log.get(..said).unwrap_or_default())
            .trim()
            .to_owned();
        let hint = if said.is_empty() {
            hint(errno)
        } else {
            Some(said)
        };
        MountError::Step {
            step,
            path: path.map(Path::to_owned),
            source: errno.into(),
            hint,
        }
    }
}

fn hint(errno: Errno) -> Option<String> {
    let hint = match errno {
        Errno::NODEV => "the kernel has no overlay file system (modprobe overlay)",
        Errno::INVAL => {
            "the store may be on a file system that cannot hold an upper layer (overlay, NFS, FAT); put it on a local disk or a tmpfs"
        }
        Errno::PERM => "overlay in a user namespace needs Linux 5.11",
        _ => return None,
    };
    Some(hint.to_owned())
}

pub(crate) fn at(step: &'static str, path: Option<&Path>) -> impl FnOnce(Errno) -> MountError {
    let path = path.map(Path::to_owned);
    move |errno| MountError::Step {
        step,
        path,
        source: errno.into(),
        hint: hint(errno),
    }
}

pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd, MountError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|errno| MountError::Step {
        step: "open",
        path: Some(path.to_owned()),
        source: errno.into(),
        hint: None,
    })
}

pub(crate) fn descriptor_name(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn empty() -> Result<OwnedFd, MountError> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("fsopen tmpfs", None))?;
    fsconfig_set_string(&context, "mode", "0755").map_err(at("mode of the tmpfs", None))?;
    fsconfig_create(&context).map_err(at("create a tmpfs", None))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_RDONLY;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(at("fsmount tmpfs", None))
}

/// An overlay needs two folders; one is shown by a bind mount.
fn read_only_view(lower: &Path) -> Result<OwnedFd, MountError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let view = open_tree(CWD, lower, flags).map_err(at("open_tree", Some(lower)))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_RDONLY;
    let set = sys::set_mount_attributes(&view, attributes, false);
    set.map_err(failed("mount_setattr", lower)).map(|()| view)
}

fn empty_folder_beside(work: &Path) -> Result<PathBuf, MountError> {
    let mut name = work.as_os_str().to_owned();
    name.push(".lower");
    let folder = PathBuf::from(name);
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("mkdir", &folder)(error))
        }
        _ => Ok(folder),
    }
}

fn forget_volatile(work: &Path) -> Result<(), MountError> {
    let mark = work.join("work/incompat/volatile");
    match fs::remove_dir_all(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", &mark)(error))
        }
        _ => Ok(()),
    }
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MountError {
    let path = Some(path.to_owned());
    move |source| MountError::Step {
        step,
        path,
        source,
        hint: None,
    }
}
