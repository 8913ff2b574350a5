//! `/proc`, `/sys` and `/dev` as a container expects them: the OCI runtime specification's defaults for Linux, docker's masked and
//! read-only paths. Unaware of the mounts that a spec asks for.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

use crate::cgroup::Cgroups;
use crate::path::open_in_root;
use crate::root::cgroups::Tree;
use crate::root::detached::{self, DATA, read_only};
use crate::root::devices::Dev;
use crate::root::mask::{Mask, make_read_only};
use crate::{Feature, RunSpec, SpawnError};

/// Hidden below `/proc`.
const PROC_MASKED: &str =
    "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats";

/// Visible below `/proc`, but not writable.
const PROC_READ_ONLY: &str = "bus fs irq sys sysrq-trigger";

/// Hidden below `/sys`.
const SYS_MASKED: &str = "firmware devices/virtual/powercap";

/// `/proc`, `/sys` and `/dev`, mounted and not yet attached.
#[derive(Debug)]
pub struct System {
    proc: OwnedFd,
    sys: OwnedFd,
    cgroup: Option<Tree>,
    dev: Dev,
    /// What is weaker than it should be.
    pub note: Option<&'static str>,
}

impl System {
    /// Mounts them while the host's tree is still there: in a user namespace the kernel grants a new procfs only where one is visible.
    pub fn open(spec: &RunSpec, cgroups: &Cgroups, dev: Option<Dev>) -> Result<Self, SpawnError> {
        let allows = |feature| !spec.disabled.has(feature);
        let (proc, is_new) = new_or_host("proc", "/proc", allows(Feature::Procfs), DATA)?;
        let attributes = DATA | read_only(!spec.privileged);
        // The kernel grants a new sysfs where this process's user namespace owns the network namespace.
        let (sys, _) = new_or_host("sysfs", "/sys", allows(Feature::Sysfs), attributes)?;
        Ok(Self {
            proc,
            sys,
            cgroup: Tree::open(cgroups, spec.privileged),
            dev: Dev::open(spec, dev)?,
            note: (!is_new).then_some(
                "the kernel refuses a fresh /proc here (masked paths of an outer container); commands see the host's processes in it, \
                 but cannot reach them",
            ),
        })
    }

    /// The `devpts`.
    pub fn terminals(&self) -> Result<BorrowedFd<'_>, SpawnError> {
        self.dev.terminals()
    }

    /// Mounts them in the new root and hides what a command must not see.
    pub fn attach(self, root: BorrowedFd<'_>, spec: &RunSpec) -> Result<(), SpawnError> {
        let mount = |what: &OwnedFd, path: &str| {
            let (on, flags) = (Path::new(path), OFlags::PATH);
            let on = open_in_root(root, on, flags, Mode::empty(), spec.disabled)
                .map_err(SpawnError::at("open the mount point", path))?;
            detached::attach(what, on).map_err(SpawnError::at("mount", path))
        };
        mount(&self.proc, "/proc")?;
        mount(&self.sys, "/sys")?;
        if let Some(cgroup) = &self.cgroup {
            let attached = cgroup.attach(&self.sys);
            attached.map_err(SpawnError::at("mount", "/sys/fs/cgroup"))?;
        }
        mount(&self.dev.mount, "/dev")?;
        self.dev.attach_below()?;
        if spec.privileged {
            return Ok(());
        }
        self.protect()
    }

    fn protect(&self) -> Result<(), SpawnError> {
        let (proc, sys) = (("/proc", &self.proc), ("/sys", &self.sys));
        let null = detached::open_below(&self.dev.mount, "null");
        let mut mask = Mask::new(null.map_err(SpawnError::at("open", "/dev/null"))?);
        for name in PROC_MASKED.split(' ') {
            mask.hide(proc, name)?;
        }
        for name in SYS_MASKED.split(' ') {
            mask.hide(sys, name)?;
        }
        // A side channel to what other processes compute. Processors are numbered without gaps in practice; a gap only hides less.
        let throttle = |cpu| format!("devices/system/cpu/cpu{cpu}/thermal_throttle");
        let mut cpu = 0;
        while mask.hide(sys, &throttle(cpu))? {
            cpu += 1;
        }
        let mut names = PROC_READ_ONLY.split(' ');
        names.try_for_each(|name| make_read_only(proc, name))
    }
}

/// A new file system for the run, or a copy of the host's where the kernel refuses one; whether it is new.
fn new_or_host(
    kind: &str,
    path: &str,
    is_allowed: bool,
    attributes: MountAttrFlags,
) -> Result<(OwnedFd, bool), SpawnError> {
    if is_allowed {
        match detached::filesystem(kind, &[], attributes) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            answer => {
                let new = answer.map_err(SpawnError::of(&format!("mount {path}")))?;
                return Ok((new, true));
            }
        }
    }
    let host = detached::copy_of_host(path, true, attributes);
    let host = host.map_err(SpawnError::of(&format!("bind {path}")))?;
    Ok((host, false))
}
