//! What this machine lets a build do, found by trying it; the re-executed side of [`probe`](crate::probe).
//! First what can be read, then `enter`, then what only works inside. Unaware of who asks.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::system::sethostname;

use crate::facts::{cgroups, existing, file_system, id_helpers, kernel, switches};
use crate::overlay::merge_detached;
use crate::path::open_in_root;
use crate::sys;
use crate::trial::in_child;
use crate::{
    ChangesIn, Check, Disabled, EnterError, EnterOptions, Feature, IdMap, MemoryFolder,
    OverlaySpec, Status, best_place, detached, enter, is_on_overlay, memory_for_changes,
    mount_overlay, mounts, seccomp,
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
    let refused = format!("{error}; builds without RUN work");
    let check = Check::new("user namespaces", Status::Missing, refused);
    match error.hints() {
        hints if hints.is_empty() => check,
        hints => check.with_fix(hints.join("\n")),
    }
}

fn inside(store: &Path, rootless: bool, disabled: Disabled) -> Vec<Check> {
    let mut checks = vec![
        detached_mounts(),
        paths(disabled),
        filter(),
        fresh_proc(disabled),
        host_name(disabled),
        change_of_root(disabled),
    ];
    let rootless = rootless || is_on_overlay(store);
    let folder = existing(store).join(format!("probe-{}", std::process::id()));
    match make_layers(&folder) {
        Ok([lower, upper, work]) => {
            let lowers = [lower];
            let spec = OverlaySpec {
                lowers: &lowers,
                upper: Some((&upper, &work)),
                rootless,
            };
            checks.push(changes(store, &spec, disabled));
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

/// Where the changes of RUN go, the best place that works.
fn changes(store: &Path, spec: &OverlaySpec<'_>, disabled: Disabled) -> Check {
    let best = best_place(store, disabled);
    let in_store = match best {
        ChangesIn::Store => overlay(spec, disabled),
        _ => Err(format!(
            "{} holds no upper layers",
            existing(store).display()
        )),
    };
    let (detail, why) = match (in_store, best) {
        (Ok(()), _) if spec.rootless => {
            return Check::new("overlay", Status::Ok, "works with userxattr");
        }
        (Ok(()), _) => return Check::new("overlay", Status::Ok, "works"),
        (Err(why), ChangesIn::Copy) => (COPIES.to_owned(), why),
        (Err(why), _) => match overlay_in_memory(spec, disabled) {
            Ok(()) => {
                let most = memory_for_changes() >> 20;
                (format!("RUN writes to memory (at most {most} MiB)"), why)
            }
            Err(memory) => (COPIES.to_owned(), format!("{why}; in memory: {memory}")),
        },
    };
    Check::new("overlay", Status::Warn, format!("{why}: {detail}")).with_fix(
        "put the store on a local disk (in a container: a volume), which is faster and larger",
    )
}

const COPIES: &str = "RUN works on a copy of its tree, which is slow";

/// Mounts, makes a file and removes a lower folder, which is what fails where an overlay is half allowed.
fn overlay(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<(), String> {
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
    let mount = mount_overlay(spec, disabled).map_err(|error| error.to_string())?;
    use_it(&mount).map_err(|error| format!("an overlay mounts, but cannot be used: {error}"))
}

fn overlay_in_memory(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<(), String> {
    let place = spec.upper.map_or(Path::new("/"), |(upper, _)| upper);
    let folder = MemoryFolder::mount(place, memory_for_changes(), spec.rootless);
    let folder = folder.map_err(|error| error.to_string())?;
    let [upper, work] = ["upper", "work"].map(|name| folder.path().join(name));
    for path in [&upper, &work] {
        fs::create_dir(path).map_err(|error| error.to_string())?;
    }
    let spec = OverlaySpec {
        upper: Some((&upper, &work)),
        ..*spec
    };
    overlay(&spec, disabled)
}

fn host_name(disabled: Disabled) -> Check {
    let name = "host name";
    let keep = |why: &str| {
        Check::new(
            name,
            Status::Warn,
            format!("{why}: RUN sees the container's host name"),
        )
    };
    if disabled.has(Feature::Sethostname) {
        return keep("disabled");
    }
    match in_child(libc::CLONE_NEWUTS, || Ok(sethostname(b"kiln")?)) {
        Ok(()) => Check::new(name, Status::Ok, "can be set"),
        Err(error) => keep(&format!("sethostname is refused ({error})")),
    }
}

/// Tries both ways in which a run leaves the caller's root.
fn change_of_root(disabled: Disabled) -> Check {
    let name = "change of root";
    let private = || {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private)
    };
    let changed = in_child(libc::CLONE_NEWNS, || {
        private()?;
        let root = detached::filesystem("tmpfs", &[], detached::NO_DEV)?;
        mounts::enter_root(&root, disabled).map_err(|failure| failure.cause())
    });
    let pivots = in_child(libc::CLONE_NEWNS, || {
        private()?;
        Ok(mounts::can_pivot(disabled)
            .then_some(())
            .ok_or(Errno::PERM)?)
    });
    match (pivots.is_ok(), changed) {
        (true, Ok(())) => Check::new(name, Status::Ok, "pivot_root works"),
        (false, Ok(())) => Check::new(
            name,
            Status::Ok,
            "pivot_root is refused; the root is mounted over the old one",
        ),
        (_, Err(error)) => Check::new(name, Status::Missing, format!("refused: {error}")),
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
