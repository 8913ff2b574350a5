//! Whether commands can be run without namespaces here: each thing that they need is tried, in a process that ends afterwards. Unaware of who asks.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, StatVfsMountFlags, makedev, mknodat, open, statvfs, unlink,
};
use rustix::io::Errno;
use rustix::process::{chdir, chroot, geteuid};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use crate::enter::trial::in_child;
use crate::process::supervised::call;
use crate::{SpawnError, seccomp};

/// The name (`argv[0]`) that makes the re-executed binary try it.
pub const TRIAL: &str = "kiln-try-calls";

/// The first disk, whose numbers Linux gives (Documentation/admin-guide/devices.txt). Nobody needs to have it.
const DISK: (u32, u32) = (8, 0);

/// Tries it with trees below `folder`. Starts the program's own binary again
/// ([`main_if_reexecuted`](crate::main_if_reexecuted)).
///
/// # Errors
/// With what is refused first.
pub fn try_supervised(folder: &Path) -> Result<(), SpawnError> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(TRIAL).arg(folder).env_clear();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(SpawnError::of("start the trying process"))?;
    let lost = |_| SpawnError::Lost(output.status.to_string());
    let refused: Option<SpawnError> = serde_json::from_slice(&output.stdout).map_err(lost)?;
    refused.map_or(Ok(()), Err)
}

/// The whole life of the process: the argument is the folder; what is refused goes to standard output as JSON.
pub fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).unwrap_or_default();
    let refused = all(Path::new(&folder)).err();
    let json = serde_json::to_vec(&refused).map_err(io::Error::from);
    match json.and_then(|json| io::stdout().write_all(&json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Tries all of it. The caller has one thread.
pub fn all(folder: &Path) -> Result<(), SpawnError> {
    if !geteuid().is_root() {
        return Err(SpawnError::of("chroot")(Errno::PERM));
    }
    let change = || Ok(chdir("/").and_then(|()| chroot("."))?);
    in_child(0, change).map_err(SpawnError::of("chroot"))?;
    let drop = || {
        Ok(remove_capability_from_bounding_set(
            CapabilitySet::SYS_CHROOT,
        )?)
    };
    in_child(0, drop).map_err(SpawnError::of("prctl(PR_CAPBSET_DROP)"))?;
    let listen = || seccomp::load_supervised(call::is_notified).map(std::mem::drop);
    in_child(0, listen).map_err(SpawnError::of("seccomp(NEW_LISTENER)"))?;
    programs_can_be_executed(folder)?;
    devices_are_closed(folder)
}

fn programs_can_be_executed(folder: &Path) -> Result<(), SpawnError> {
    let system = statvfs(folder).map_err(SpawnError::of("statvfs"))?;
    if !system.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Ok(());
    }
    let place = folder.display();
    Err(SpawnError::Invalid(format!(
        "{place} is mounted noexec, so no program can be executed in a tree there: choose another --store"
    )))
}

/// Nothing is mounted, so nothing but the container keeps a command that may make device nodes from the machine's disks.
fn devices_are_closed(folder: &Path) -> Result<(), SpawnError> {
    let path = folder.join(format!("probe-{}", std::process::id()));
    let mode = Mode::RUSR | Mode::WUSR;
    match mknodat(
        CWD,
        &path,
        FileType::BlockDevice,
        mode,
        makedev(DISK.0, DISK.1),
    ) {
        Err(Errno::PERM | Errno::ACCESS) => return Ok(()),
        made => made.map_err(SpawnError::of("mknod"))?,
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = open(&path, flags, Mode::empty()).map(std::mem::drop);
    unlink(&path).map_err(SpawnError::of("unlink"))?;
    match opened {
        Err(Errno::PERM | Errno::ACCESS) => Ok(()),
        _ => Err(SpawnError::Invalid(
            "the devices of the machine are open here: without namespaces commands are run only in containers".to_owned(),
        )),
    }
}
