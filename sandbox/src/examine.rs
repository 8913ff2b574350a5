//! What this machine lets a build do, found by trying it; the re-executed side of [`probe`](crate::probe).
//! First what can be read, then `enter`, then what only works inside. Unaware of who asks.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags, fstat, openat, unlinkat};

use crate::facts::{cgroups, existing, file_system, id_helpers, kernel, switches};
use crate::overlay::merge_detached;
use crate::path::open_in_root;
use crate::sys::{self, Fork};
use crate::{
    Check, Disabled, EnterError, EnterOptions, Feature, IdMap, OverlaySpec, Status, detached,
    enter, mount_overlay, seccomp,
};

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
