//! What this machine lets a build do, found by trying it; the re-executed side of [`probe`](crate::probe).
//! First what can be read, then `enter`, then what only works inside. Unaware of who asks.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::{FsWord, Mode, OFlags, fstat, openat, statfs, statvfs, unlinkat};
use rustix::process::geteuid;
use rustix::system::uname;

use crate::overlay::merge_detached;
use crate::path::open_in_root;
use crate::sys::{self, Fork};
use crate::{
    Check, Disabled, EnterError, EnterOptions, Feature, IdMap, OverlaySpec, Status, detached,
    enter, helper, hint, mount_overlay, seccomp,
};

/// `mount_setattr` is the newest call without a fallback.
const OLDEST: (u32, u32) = (5, 12);

/// File systems by `f_type` (statfs(2), linux/magic.h): name, and why a store cannot be there.
const FILE_SYSTEMS: [(FsWord, &str, Option<&str>); 10] = [
    (0xef53, "ext2, ext3 or ext4", None),
    (0x5846_5342, "xfs", None),
    (0x9123_683e, "btrfs", None),
    (0x0102_1994, "tmpfs", None),
    (0xf2f5_2010, "f2fs", None),
    (0xca45_1a4e, "bcachefs", None),
    (0x2fc1_2fc1, "zfs", None),
    (
        0x794c_7630,
        "overlay",
        Some("an overlay cannot hold the upper layer of another one"),
    ),
    (
        0x6969,
        "NFS",
        Some("NFS can neither hold an upper layer nor a database"),
    ),
    (0x6573_5546, "FUSE", None),
];

/// The whole life of the process: arguments are the store and the disabled features; checks go to stdout as JSON.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let store = PathBuf::from(arguments.next().unwrap_or_default());
    let disabled = arguments
        .next()
        .and_then(|names| names.to_str()?.parse().ok())
        .unwrap_or_default();
    let checks = examine(&store, disabled);
    let written = serde_json::to_vec(&checks)
        .map_err(io::Error::from)
        .and_then(|json| io::stdout().write_all(&json));
    if written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn examine(store: &Path, disabled: Disabled) -> Vec<Check> {
    let mut checks = vec![kernel(), switches(), id_helpers(disabled), cgroups()];
    checks.extend(file_system(store));
    match enter(EnterOptions { disabled }) {
        Err(error) => checks.push(no_namespaces(&error)),
        Ok(entered) => {
            let detail = format!("entered; ids: {}", entered.ids.key());
            let check = Check::new("user namespaces", Status::Ok, detail);
            checks.push(match (&entered.ids, &entered.note) {
                (IdMap::Single { .. }, Some(note)) => Check {
                    status: Status::Warn,
                    detail: note.clone(),
                    ..check
                },
                _ => check,
            });
            checks.extend(inside(store, entered.rootless, disabled));
        }
    }
    checks
}

fn kernel() -> Check {
    let uname = uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let detail = format!("Linux {release} on {}", uname.machine().to_string_lossy());
    if version >= OLDEST {
        return Check::new("kernel", Status::Ok, detail);
    }
    Check::new("kernel", Status::Missing, detail)
        .with_fix(format!("install Linux {}.{} or newer", OLDEST.0, OLDEST.1))
}

/// Switches of distributions that forbid user namespaces to ordinary users.
fn switches() -> Check {
    let name = "namespace switches";
    match hint::switch() {
        None => Check::new(name, Status::Ok, "nothing forbids user namespaces"),
        // One binary may be allowed by a profile: whether it works is told by the attempt.
        Some((switch, fix)) => Check::new(
            name,
            Status::Warn,
            format!("{switch} restricts ordinary users"),
        )
        .with_fix(fix),
    }
}

fn id_helpers(disabled: Disabled) -> Check {
    let name = "id range";
    if geteuid().is_root() {
        return Check::new(name, Status::Ok, "root needs none");
    }
    match helper::available(disabled) {
        Ok(ids) => Check::new(
            name,
            Status::Ok,
            format!("newuidmap, newgidmap and ranges are there: {}", ids.key()),
        ),
        Err(why) => {
            let check = Check::new(
                name,
                Status::Warn,
                format!("{why}: builds have one user id"),
            );
            check.with_fix("install uidmap (shadow-utils) and, as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER")
        }
    }
}

fn cgroups() -> Check {
    let version = match statfs("/sys/fs/cgroup").map(|stat| stat.f_type) {
        Ok(0x6367_7270) => "version 2",
        Ok(0x0102_1994) if Path::new("/sys/fs/cgroup/unified").exists() => "version 1 and 2",
        Ok(0x0102_1994) => "version 1",
        _ => "none",
    };
    Check::new("cgroups", Status::Ok, format!("{version}; not needed"))
}

/// The folder itself, or the first one above it that exists.
fn existing(store: &Path) -> &Path {
    store
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"))
}

fn file_system(store: &Path) -> Vec<Check> {
    let folder = existing(store);
    let (name, shown) = ("store file system", folder.display());
    let (Ok(stat), Ok(space)) = (statfs(folder), statvfs(folder)) else {
        return vec![Check::new(
            name,
            Status::Missing,
            format!("{shown} cannot be looked at"),
        )];
    };
    let kind = match FILE_SYSTEMS
        .iter()
        .find(|(magic, ..)| *magic == stat.f_type)
    {
        None => Check::new(
            name,
            Status::Ok,
            format!("{shown} is on a file system of type {:#x}", stat.f_type),
        ),
        Some((_, kind, None)) => Check::new(name, Status::Ok, format!("{shown} is on {kind}")),
        Some((_, kind, Some(why))) => Check::new(
            name,
            Status::Missing,
            format!("{shown} is on {kind}: {why}"),
        )
        .with_fix("put the store on a local disk (in a container: a volume)"),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize) >> 20;
    let status = if free < 1024 {
        Status::Warn
    } else {
        Status::Ok
    };
    let space = Check::new("free space", status, format!("{free} MiB in {shown}"));
    vec![
        kind,
        if status == Status::Warn {
            space.with_fix("free some space, or prune the cache")
        } else {
            space
        },
    ]
}

fn no_namespaces(error: &EnterError) -> Check {
    let check = Check::new("user namespaces", Status::Missing, error.to_string());
    match error {
        EnterError::Step {
            hint: Some(hint), ..
        } => check.with_fix(hint.clone()),
        _ => check,
    }
}

fn inside(store: &Path, rootless: bool, disabled: Disabled) -> Vec<Check> {
    let mut checks = vec![
        detached_mounts(),
        paths(disabled),
        filter(),
        fresh_proc(disabled),
    ];
    let folder = existing(store).join(format!("probe-{}", std::process::id()));
    match make_layers(&folder) {
        Ok([lower, upper, work]) => {
            let lowers = [lower];
            let spec = OverlaySpec {
                lowers: &lowers,
                upper: Some((&upper, &work)),
                rootless,
            };
            checks.push(overlay(&spec, disabled));
            checks.push(append(&spec, disabled));
        }
        Err(error) => {
            let check = Check::new(
                "overlay",
                Status::Missing,
                format!("{} cannot be written: {error}", folder.display()),
            );
            checks.push(check.with_fix("choose a store that this user owns"));
        }
    }
    // What cannot be removed is seen by whoever looks at the store; it is no answer to the question.
    let _ = fs::remove_dir_all(&folder);
    checks
}

fn detached_mounts() -> Check {
    let name = "detached mounts";
    match detached::filesystem("tmpfs", &[], detached::DATA)
        .and_then(|mount| sys::set_mount_attributes(mount, detached::READ_ONLY, false))
    {
        Ok(()) => Check::new(name, Status::Ok, "fsopen, fsmount and mount_setattr work"),
        Err(error) => Check::new(name, Status::Missing, format!("refused: {error}")).with_fix(
            "in a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
        ),
    }
}

fn paths(disabled: Disabled) -> Check {
    let name = "openat2";
    let slow = |why: String| {
        Check::new(
            name,
            Status::Warn,
            format!("{why}: paths are walked by component, which is slower"),
        )
    };
    if disabled.has(Feature::Openat2) {
        return slow("disabled".to_owned());
    }
    let resolve = rustix::fs::ResolveFlags::IN_ROOT;
    match rustix::fs::openat2(
        rustix::fs::CWD,
        "/",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    ) {
        Ok(_) => Check::new(name, Status::Ok, "works"),
        Err(errno) => slow(format!("refused: {errno}")),
    }
}

/// Tries something that cannot be undone in a child with new namespaces of `flags`.
fn in_child(flags: libc::c_int, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match sys::fork_into(flags)? {
        Fork::Child => {
            let errno = work()
                .err()
                .map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
            sys::exit_now(errno)
        }
        Fork::Parent(pid, _) => {
            let status = sys::wait(pid)?.status;
            match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
                (true, 0) => Ok(()),
                (true, errno) => Err(io::Error::from_raw_os_error(errno)),
                (false, _) => Err(io::Error::from_raw_os_error(libc::EINTR)),
            }
        }
    }
}

fn filter() -> Check {
    match in_child(0, seccomp::load) {
        Ok(()) => Check::new("seccomp", Status::Ok, "the filter loads"),
        Err(error) => Check::new(
            "seccomp",
            Status::Missing,
            format!("the filter does not load: {error}"),
        )
        .with_fix("use a kernel with CONFIG_SECCOMP_FILTER"),
    }
}

fn fresh_proc(disabled: Disabled) -> Check {
    let name = "fresh /proc";
    let weak = |why: &str| {
        Check::new(
            name,
            Status::Warn,
            format!("{why}: commands see the host's processes in /proc"),
        )
    };
    if disabled.has(Feature::Procfs) {
        return weak("disabled");
    }
    let mount = || detached::filesystem("proc", &[], detached::DATA).map(|_| ());
    match in_child(libc::CLONE_NEWPID | libc::CLONE_NEWNS, mount) {
        Ok(()) => Check::new(name, Status::Ok, "works"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            weak("refused, as in a container with masked paths")
                .with_fix("run the outer container with --security-opt systempaths=unconfined")
        }
        Err(error) => Check::new(name, Status::Missing, format!("no PID namespace: {error}")),
    }
}

fn make_layers(folder: &Path) -> io::Result<[PathBuf; 3]> {
    let layers = ["lower", "upper", "work"].map(|name| folder.join(name));
    for layer in &layers {
        fs::create_dir_all(layer)?;
    }
    fs::create_dir_all(folder.join("lower/removed"))?;
    Ok(layers)
}

/// Mounts, makes a file and removes a lower folder, which is what fails where an overlay is half allowed.
fn overlay(spec: &OverlaySpec<'_>, disabled: Disabled) -> Check {
    let name = "overlay";
    let use_it = |mount: &crate::RootMount| -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(mount, "made", flags, Mode::from_raw_mode(0o644))?;
        fstat(file)?;
        open_in_root(
            mount.as_fd(),
            Path::new("/made"),
            OFlags::PATH,
            Mode::empty(),
            disabled,
        )?;
        Ok(unlinkat(mount, "removed", rustix::fs::AtFlags::REMOVEDIR)?)
    };
    match mount_overlay(spec, disabled) {
        Err(error) => Check::new(name, Status::Missing, error.to_string())
            .with_fix("modprobe overlay, and put the store on a local disk (in a container: a volume)"),
        Ok(mount) => match use_it(&mount) {
            Ok(()) => Check::new(name, Status::Ok, if spec.rootless { "works with userxattr" } else { "works" }),
            Err(error) => Check::new(name, Status::Missing, format!("mounts, but cannot be used: {error}"))
                .with_fix("put the store on a file system with user.* xattrs (ext4, xfs, btrfs; tmpfs from Linux 6.6)"),
        },
    }
}

fn append(spec: &OverlaySpec<'_>, disabled: Disabled) -> Check {
    let name = "lowerdir+";
    let few = |why: &str| {
        Check::new(
            name,
            Status::Warn,
            format!("{why}: images have at most about 200 layers"),
        )
    };
    if disabled.has(Feature::LowerdirAppend) {
        return few("disabled");
    }
    // Two lowers and no upper: the folders of the other check are not mounted twice.
    let lowers: Vec<PathBuf> = spec
        .lowers
        .iter()
        .cloned()
        .chain(spec.upper.map(|(upper, _)| upper.to_owned()))
        .collect();
    match merge_detached(&lowers, None, spec.rootless) {
        Ok(_) => Check::new(name, Status::Ok, "works"),
        Err(_) => few("refused").with_fix("install Linux 6.5 or newer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_exist_is_looked_at_where_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(file_system(&folder.path().join("a")).len(), 2);
    }
}
