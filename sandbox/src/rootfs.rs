//! `/proc`, `/sys` and `/dev` as a container expects them (the OCI runtime specification's defaults for Linux, docker's masked and
//! read-only paths). Unaware of the mounts that a spec asks for.
//!
//! Everything is `nodev` but six device files and the terminals: without a device cgroup this is what keeps a run, which may
//! make device nodes, from opening the host's disks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, mkdirat, open, openat, symlinkat};
use rustix::io::Errno;

use crate::cgroup::{Cgroups, Tree};
use crate::detached::{self, DATA, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};
use crate::path::open_in_root;
use crate::supervisor::is_mapped;
use crate::wire::Failure;
use crate::{Feature, RunSpec};

/// The only devices: name, and whether a host without it is an error.
const DEVICES: [(&str, bool); 6] = [
    ("null", true),
    ("zero", true),
    ("full", false),
    ("random", true),
    ("urandom", true),
    ("tty", false),
];

/// What a privileged run has besides, where the host has it: as BuildKit, and what virtual machines and user file systems need.
const PRIVILEGED_DEVICES: [&str; 11] = [
    "fuse",
    "kvm",
    "loop-control",
    "loop0",
    "loop1",
    "loop2",
    "loop3",
    "loop4",
    "loop5",
    "loop6",
    "loop7",
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Below `/proc`: hidden, a file behind `/dev/null`, a folder behind an empty one.
const PROC_MASKED: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Below `/proc`: visible, not writable.
const PROC_READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Below `/sys`: hidden.
const SYS_MASKED: [&str; 2] = ["firmware", "devices/virtual/powercap"];

/// `/proc`, `/sys` and `/dev`, mounted and not yet attached.
#[derive(Debug)]
pub struct System {
    proc: OwnedFd,
    sys: OwnedFd,
    cgroup: Option<Tree>,
    dev: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
    below_dev: Vec<(&'static str, OwnedFd)>,
    note: Option<String>,
}

impl System {
    /// Mounts them while the host's tree is still there: the kernel grants a fresh procfs in a user namespace only where one is visible.
    pub fn open(spec: &RunSpec, cgroups: &Cgroups) -> Result<Self, Failure> {
        let (proc, note) = proc(spec)?;
        let sys = sys(spec)?;
        let cgroup = Tree::open(cgroups, spec.privileged);
        let dev = crate::mounts::tmpfs(Some(64 << 10), 0o755, NO_EXEC)?;
        if spec.privileged {
            // Where it is refused, devices that the command makes stay closed.
            let _ = crate::sys::clear_mount_attributes(&dev, NO_DEV);
        }
        let devices = devices(spec.privileged)?;
        fill_dev(&dev, &devices).map_err(Failure::at("fill", "/dev"))?;
        Ok(Self {
            proc,
            sys,
            cgroup,
            dev,
            devices,
            below_dev: below_dev(spec)?,
            note,
        })
    }

    /// What is weaker than it should be.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Mounts them in the new root and hides what a command must not see.
    pub fn attach(self, root: BorrowedFd<'_>, spec: &RunSpec) -> Result<(), Failure> {
        let place = |path: &str| {
            let opened = open_in_root(
                root,
                Path::new(path),
                OFlags::PATH,
                Mode::empty(),
                spec.disabled,
            );
            opened.map_err(Failure::at("open the mount point", path))
        };
        let mount = |what: &OwnedFd, on: OwnedFd, path: &str| {
            detached::attach(what, on).map_err(Failure::at("mount", path))
        };
        mount(&self.proc, place("/proc")?, "/proc")?;
        mount(&self.sys, place("/sys")?, "/sys")?;
        if let Some(cgroup) = &self.cgroup {
            let on = open_below(&self.sys, "fs/cgroup")
                .map_err(Failure::at("open the mount point", "/sys/fs/cgroup"))?;
            mount(&cgroup.top, on, "/sys/fs/cgroup")?;
            cgroup
                .attach_own()
                .map_err(Failure::at("mount its own below", "/sys/fs/cgroup"))?;
        }
        mount(&self.dev, place("/dev")?, "/dev")?;
        for (name, what) in self.devices.iter().chain(&self.below_dev) {
            let on = open_below(&self.dev, name)
                .map_err(Failure::at("open the mount point", &format!("/dev/{name}")))?;
            mount(what, on, &format!("/dev/{name}"))?;
        }
        if spec.privileged {
            Ok(())
        } else {
            self.protect()
        }
    }

    fn protect(&self) -> Result<(), Failure> {
        let null = open_below(&self.dev, "null").map_err(Failure::at("open", "/dev/null"))?;
        let mut mask = Mask { null, folder: None };
        for name in PROC_MASKED {
            mask.hide(&self.proc, name)
                .map_err(Failure::at("mask", &format!("/proc/{name}")))?;
        }
        for name in SYS_MASKED {
            mask.hide(&self.sys, name)
                .map_err(Failure::at("mask", &format!("/sys/{name}")))?;
        }
        // A side channel to what other processes compute; numbered without gaps in practice, and gaps only leave less to hide.
        for cpu in 0.. {
            let name = format!("devices/system/cpu/cpu{cpu}/thermal_throttle");
            if !mask
                .hide(&self.sys, &name)
                .map_err(Failure::at("mask", &format!("/sys/{name}")))?
            {
                break;
            }
        }
        for name in PROC_READ_ONLY {
            read_only(&self.proc, name)
                .map_err(Failure::at("make read-only", &format!("/proc/{name}")))?;
        }
        Ok(())
    }
}

fn proc(spec: &RunSpec) -> Result<(OwnedFd, Option<String>), Failure> {
    if !spec.disabled.has(Feature::Procfs) {
        match detached::filesystem("proc", &[], DATA) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            answer => return Ok((answer.map_err(Failure::of("mount /proc"))?, None)),
        }
    }
    let host = detached::copy_of_host("/proc", true, DATA).map_err(Failure::of("bind /proc"))?;
    let note = "the kernel refuses a fresh /proc here (masked paths of an outer container); commands see the host's processes in it, \
                but cannot reach them";
    Ok((host, Some(note.to_owned())))
}

/// Fresh where this process's user namespace owns the network namespace, else a copy of the host's.
fn sys(spec: &RunSpec) -> Result<OwnedFd, Failure> {
    let attributes = DATA | if spec.privileged { DATA } else { READ_ONLY };
    if !spec.disabled.has(Feature::Sysfs) {
        match detached::filesystem("sysfs", &[], attributes) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            answer => return answer.map_err(Failure::of("mount /sys")),
        }
    }
    let copied = detached::copy_of_host("/sys", true, attributes);
    copied.map_err(Failure::of("bind /sys"))
}

fn devices(privileged: bool) -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
    let mut devices = Vec::new();
    let more = PRIVILEGED_DEVICES.iter().filter(|_| privileged);
    for (name, needed) in DEVICES.into_iter().chain(more.map(|name| (*name, false))) {
        match device(name) {
            Ok(device) => devices.push((name, device)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !needed => {}
            Err(error) => {
                return Err(Failure::at("bind the device", &format!("/dev/{name}"))(
                    error,
                ));
            }
        }
    }
    Ok(devices)
}

fn device(name: &str) -> io::Result<OwnedFd> {
    let device = open(
        format!("/dev/{name}"),
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let kind = FileType::from_raw_mode(fstat(&device)?.st_mode);
    if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(Errno::NODEV.into());
    }
    detached::copy(device, false, NO_SUID | NO_EXEC)
}

fn fill_dev(dev: &OwnedFd, devices: &[(&str, OwnedFd)]) -> io::Result<()> {
    for (name, _) in devices {
        openat(
            dev,
            *name,
            OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o666),
        )?;
    }
    for name in ["pts", "shm", "mqueue"] {
        mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    Ok(())
}

fn below_dev(spec: &RunSpec) -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
    // Each mount of devpts is an instance of its own since Linux 4.7.
    let mut options = vec![("ptmxmode", "0666"), ("mode", "0620")];
    // The group tty, as glibc expects, where the user namespace has it.
    if is_mapped("/proc/self/gid_map", 5) {
        options.push(("gid", "5"));
    }
    let pts = detached::filesystem("devpts", &options, NO_SUID | NO_EXEC)
        .map_err(Failure::of("mount /dev/pts"))?;
    let shm = crate::mounts::tmpfs(Some(spec.shm_size), 0o1777, NO_EXEC)?;
    let mut mounts = vec![("pts", pts), ("shm", shm)];
    match detached::filesystem("mqueue", &[], DATA) {
        Ok(mqueue) => mounts.push(("mqueue", mqueue)),
        // A kernel without POSIX message queues.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
        Err(error) => return Err(Failure::of("mount /dev/mqueue")(error)),
    }
    Ok(mounts)
}

/// Opens a fixed name below a file system that the kernel fills (or we), so there are no links to beware of; still none is followed.
fn open_below(folder: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    Ok(openat(
        folder,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// What hides files and folders.
struct Mask {
    null: OwnedFd,
    folder: Option<OwnedFd>,
}

impl Mask {
    /// False: there is nothing of that name.
    fn hide(&mut self, folder: &OwnedFd, name: &str) -> io::Result<bool> {
        let target = match open_below(folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            target => target?,
        };
        if !crate::path::is_folder(&target)? {
            self.check_null()?;
            detached::attach(detached::copy(&self.null, false, READ_ONLY)?, target)?;
            return Ok(true);
        }
        // One empty file system, mounted where it is first needed and copied from there.
        match &self.folder {
            Some(empty) => detached::attach(detached::copy(empty, false, READ_ONLY)?, target)?,
            None => {
                let empty = detached::filesystem(
                    "tmpfs",
                    &[("size", "0"), ("nr_inodes", "1"), ("mode", "0555")],
                    DATA | READ_ONLY,
                )?;
                detached::attach(&empty, target)?;
                self.folder = Some(empty);
            }
        }
        Ok(true)
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

fn read_only(folder: &OwnedFd, name: &str) -> io::Result<()> {
    match open_below(folder, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(target) => detached::attach(detached::copy(&target, true, READ_ONLY)?, target),
    }
}
