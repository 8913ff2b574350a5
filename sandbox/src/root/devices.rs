//! `/dev`: six devices of the host, terminals, shared memory and message queues. Unaware of `/proc` and `/sys`.
//!
//! Everything in a run is `nodev` but these devices and the terminals: without a device cgroup this is what keeps a run, which may make
//! device nodes, from opening the host's disks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, open, openat, symlinkat};
use rustix::io::Errno;

use crate::enter::idmap::is_mapped;
use crate::root::detached::{self, DATA, NO_DEV, NO_EXEC, NO_SUID};
use crate::{RunSpec, SpawnError, sys};

/// The only devices: name, and whether a host without it is an error.
const DEVICES: [(&str, bool); 6] = [
    ("null", true),
    ("zero", true),
    ("full", false),
    ("random", true),
    ("urandom", true),
    ("tty", false),
];

/// A privileged run also has these, where the host has them: as BuildKit's, and what virtual machines and user file systems need.
const PRIVILEGED: &str = "fuse kvm loop-control loop0 loop1 loop2 loop3 loop4 loop5 loop6 loop7";

/// The folder of terminals.
const TERMINALS: &str = "pts";

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// `/dev`, mounted and not yet attached.
#[derive(Debug)]
pub struct Dev {
    pub mount: OwnedFd,
    below: Vec<(&'static str, OwnedFd)>,
}

impl Dev {
    /// What most commands have of it, made before it is known what runs; none where that fails, which [`Self::open`] tells.
    pub fn ahead() -> Option<Self> {
        Self::with(false).ok()
    }

    /// All of it, in the namespaces of the command; `ahead` is taken where it is what the command is to have.
    pub fn open(spec: &RunSpec, ahead: Option<Self>) -> Result<Self, SpawnError> {
        let ahead = ahead.filter(|_| !spec.privileged);
        let mut dev = ahead.map_or_else(|| Self::with(spec.privileged), Ok)?;
        dev.below.extend(own(spec)?);
        Ok(dev)
    }

    fn with(privileged: bool) -> Result<Self, SpawnError> {
        let mount = detached::tmpfs(Some(64 << 10), 0o755, NO_EXEC)
            .map_err(SpawnError::of("mount a tmpfs"))?;
        if privileged {
            // Where it is refused, devices that the command makes stay closed.
            let _ = sys::clear_mount_attributes(&mount, NO_DEV);
        }
        let mut below = devices(privileged)?;
        fill(&mount, &below).map_err(SpawnError::at("fill", "/dev"))?;
        below.push((TERMINALS, terminals()?));
        Ok(Self { mount, below })
    }

    /// Where terminals are made.
    pub fn terminals(&self) -> Result<BorrowedFd<'_>, SpawnError> {
        let mut below = self.below.iter();
        let devpts = below.find(|(name, _)| *name == TERMINALS);
        let missing = || SpawnError::Invalid("there are no terminals".to_owned());
        Ok(devpts.ok_or_else(missing)?.1.as_fd())
    }

    /// Mounts what is in it. It is attached itself by now.
    pub fn attach_below(&self) -> Result<(), SpawnError> {
        self.below.iter().try_for_each(|(name, what)| {
            detached::attach_below(what, &self.mount, name)
                .map_err(SpawnError::at("mount", &format!("/dev/{name}")))
        })
    }
}

fn devices(privileged: bool) -> Result<Vec<(&'static str, OwnedFd)>, SpawnError> {
    let more = PRIVILEGED.split(' ').filter(|_| privileged);
    let mut devices = Vec::new();
    for (name, is_needed) in DEVICES.into_iter().chain(more.map(|name| (name, false))) {
        let path = format!("/dev/{name}");
        match device(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_needed => {}
            answer => {
                let device = answer.map_err(SpawnError::at("bind the device", &path))?;
                devices.push((name, device));
            }
        }
    }
    Ok(devices)
}

fn device(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let device = open(path, flags, Mode::empty())?;
    let kind = FileType::from_raw_mode(fstat(&device)?.st_mode);
    if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(Errno::NODEV.into());
    }
    detached::copy(device, false, NO_SUID | NO_EXEC)
}

fn fill(dev: &OwnedFd, devices: &[(&str, OwnedFd)]) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for (name, _) in devices {
        openat(dev, *name, flags, Mode::from_raw_mode(0o666))?;
    }
    for name in [TERMINALS, "shm", "mqueue"] {
        mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    Ok(())
}

fn terminals() -> Result<OwnedFd, SpawnError> {
    // Each mount of devpts is an instance of its own since Linux 4.7.
    let mut options = vec![("ptmxmode", "0666"), ("mode", "0620")];
    // The group tty, as glibc expects, where the user namespace has it.
    if is_mapped("/proc/self/gid_map", 5) {
        options.push(("gid", "5"));
    }
    detached::filesystem("devpts", &options, NO_SUID | NO_EXEC)
        .map_err(SpawnError::of("mount /dev/pts"))
}

/// What a command has for itself.
fn own(spec: &RunSpec) -> Result<Vec<(&'static str, OwnedFd)>, SpawnError> {
    let shm = detached::tmpfs(Some(spec.shm_size), 0o1777, NO_EXEC)
        .map_err(SpawnError::of("mount a tmpfs"))?;
    let mut mounts = vec![("shm", shm)];
    match detached::filesystem("mqueue", &[], DATA) {
        // A kernel without POSIX message queues.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
        mqueue => mounts.push((
            "mqueue",
            mqueue.map_err(SpawnError::of("mount /dev/mqueue"))?,
        )),
    }
    Ok(mounts)
}
