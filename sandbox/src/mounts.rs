//! The mounts that a spec asks for, and the change of root. Unaware of `/proc`, `/sys` and `/dev`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, StatxFlags, Uid, fchmod, fchown, open, openat, statx,
};
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::detached::{self, DATA, NO_DEV, NO_SUID, READ_ONLY};
use crate::init::Source;
use crate::path::open_in_root;
use crate::supervisor::open_source;
use crate::wire::Failure;
use crate::{Mount, MountKind, RunSpec};

/// All mounts of the spec, open and not yet attached.
#[derive(Debug)]
pub struct Detached(Vec<OwnedFd>);

impl Detached {
    /// Opens them while the host's tree is still there.
    pub fn open(spec: &RunSpec, sources: Vec<Source>, extra: &[OwnedFd]) -> Result<Self, Failure> {
        let mut files = None;
        let mut mounts = Vec::new();
        for (mount, source) in spec.mounts.iter().zip(sources) {
            mounts.push(match (&mount.kind, source) {
                (_, Source::Opened(tree)) => tree,
                (MountKind::Tmpfs { size, mode }, _) => tmpfs(*size, *mode, read_only(mount))?,
                (
                    MountKind::File {
                        content,
                        mode,
                        uid,
                        gid,
                    },
                    _,
                ) => {
                    let files = match &mut files {
                        Some(files) => files,
                        none => none.insert(Files::new()?),
                    };
                    files
                        .add(content, *mode, (*uid, *gid), read_only(mount))
                        .map_err(Failure::at("make the file", &mount.target))?
                }
                (MountKind::Root { index, path }, _) => {
                    let root = extra
                        .get(*index)
                        .ok_or_else(|| Failure::Invalid(format!("no extra root mount {index}")))?;
                    part_of_root(root, path, spec, mount)
                        .map_err(Failure::at("open the mount source", path))?
                }
                (MountKind::Bind { .. }, Source::Made) => {
                    return Err(Failure::Invalid(format!("{} was not opened", mount.target)));
                }
            });
        }
        if let Some(files) = files {
            files.close()?;
        }
        Ok(Self(mounts))
    }

    /// Attaches them in the spec's order. A mount point that an earlier mount covers is made in that mount.
    pub fn attach(self, root: BorrowedFd<'_>, spec: &RunSpec) -> Result<(), Failure> {
        for (mount, tree) in spec.mounts.iter().zip(self.0) {
            let point = mount_point(root, mount, &tree, spec)
                .map_err(Failure::at("open the mount point", &mount.target))?;
            detached::attach(tree, point).map_err(Failure::at("mount", &mount.target))?;
        }
        Ok(())
    }
}

fn read_only(mount: &Mount) -> MountAttrFlags {
    if mount.read_only {
        READ_ONLY
    } else {
        MountAttrFlags::empty()
    }
}

fn mount_point(
    root: BorrowedFd<'_>,
    mount: &Mount,
    tree: &OwnedFd,
    spec: &RunSpec,
) -> io::Result<OwnedFd> {
    let target = Path::new(&mount.target);
    let open = |flags, mode| {
        open_in_root(
            root,
            target,
            flags,
            Mode::from_raw_mode(mode),
            spec.disabled,
        )
    };
    match open(OFlags::PATH, 0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        answer => return answer,
    }
    let is_folder = crate::path::is_folder(tree)?;
    // The supervisor has made the mount points of the root itself, so this is inside an earlier mount, which is not part of any layer.
    let mut stubs = crate::stubs::Stubs::new(None, spec.disabled);
    stubs.ensure(root, target, is_folder)?;
    open(OFlags::PATH, 0)
}

/// A file system in memory; `size` in bytes.
pub fn tmpfs(size: Option<u64>, mode: u32, attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    let (size, mode) = (size.map(|size| size.to_string()), format!("{mode:o}"));
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_ref().map(|size| ("size", size.as_str())));
    detached::filesystem("tmpfs", &options, attributes | NO_SUID | NO_DEV)
        .map_err(Failure::of("mount a tmpfs"))
}

fn part_of_root(root: &OwnedFd, path: &str, spec: &RunSpec, mount: &Mount) -> io::Result<OwnedFd> {
    detached::attach_over_old_root(root)?;
    let part = open_source(root.as_fd(), path, spec)?;
    let copy = detached::copy(part, false, NO_SUID | NO_DEV | read_only(mount))?;
    unmount_top(root)?;
    Ok(copy)
}

/// Unmounts a mount that nothing is mounted on.
fn unmount_top(mount: &OwnedFd) -> io::Result<()> {
    fchdir(mount)?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// One file system in memory that holds all files of the spec; each is then mounted by itself.
struct Files {
    folder: OwnedFd,
    count: u32,
}

impl Files {
    fn new() -> Result<Self, Failure> {
        let folder = tmpfs(None, 0o700, NO_SUID.union(NO_DEV))?;
        detached::attach_over_old_root(&folder)
            .map_err(Failure::of("mount the folder of files"))?;
        Ok(Self { folder, count: 0 })
    }

    /// Takes the folder out of the mount table; the copies of its files stay.
    fn close(self) -> Result<(), Failure> {
        unmount_top(&self.folder).map_err(Failure::of("unmount the folder of files"))
    }

    fn add(
        &mut self,
        content: &[u8],
        mode: u32,
        owner: (u32, u32),
        attributes: MountAttrFlags,
    ) -> io::Result<OwnedFd> {
        self.count += 1;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(
            &self.folder,
            self.count.to_string(),
            flags,
            Mode::from_raw_mode(0o600),
        )?;
        let mut left = content;
        while !left.is_empty() {
            let written = rustix::io::write(&file, left)?;
            left = left.get(written..).unwrap_or_default();
        }
        if owner != (0, 0) {
            fchown(
                &file,
                Some(Uid::from_raw(owner.0)),
                Some(Gid::from_raw(owner.1)),
            )?;
        }
        fchmod(&file, Mode::from_raw_mode(mode))?;
        // A script given as a file must run; everything else is data.
        let kind = if mode & 0o111 == 0 {
            DATA
        } else {
            NO_SUID.union(NO_DEV)
        };
        detached::copy(file, false, attributes | kind)
    }
}

/// Makes `root` the root of the mount namespace and lets go of the host's tree.
pub fn enter_root(root: &OwnedFd) -> Result<(), Failure> {
    let of = |step: &'static str| move |errno: rustix::io::Errno| Failure::of(step)(errno.into());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = open("/", flags, Mode::empty()).map_err(of("open the old root"))?;
    detached::attach_over_old_root(root).map_err(Failure::of("mount the root"))?;
    fchdir(root).map_err(of("fchdir to the root"))?;
    pivot_root(".", ".").map_err(|errno| {
        of("pivot_root")(errno).with_hint("it is impossible where the host's root is an initramfs")
    })?;
    fchdir(&old).map_err(of("fchdir to the old root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(of("unmount the old root"))?;
    chdir("/").map_err(of("chdir to the root"))?;
    check_alone(root)
}

/// The old root was mounted over the new one's root folder, where an absolute path does not see it, but `..` does. This looks whether
/// it is really gone.
fn check_alone(root: &OwnedFd) -> Result<(), Failure> {
    let id = |folder: BorrowedFd<'_>, path: &str| {
        let stat = statx(
            folder,
            path,
            AtFlags::EMPTY_PATH,
            StatxFlags::MNT_ID | StatxFlags::INO,
        )?;
        Ok((
            stat.stx_mnt_id,
            stat.stx_dev_major,
            stat.stx_dev_minor,
            stat.stx_ino,
        ))
    };
    let of = |errno: rustix::io::Errno| Failure::of("statx the root")(errno.into());
    if id(root.as_fd(), "").map_err(of)? == id(root.as_fd(), "..").map_err(of)? {
        return Ok(());
    }
    Err(Failure::of("let go of the host's root")(
        io::Error::from_raw_os_error(libc::EBUSY),
    ))
}
