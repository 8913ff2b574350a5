//! Finds out what this machine allows a build to do, by trying it: the re-executed side of [`probe`](crate::probe).
//! First what can be read, then `enter`, then what only works inside. Unaware of who asks.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::system::sethostname;

use crate::doctor::facts::{cgroups, file_system, id_helpers, kernel, switches};
use crate::enter::trial::in_child;
use crate::path::open_in_root;
use crate::process::supervised::trial;
use crate::root::change::{can_pivot, enter_root};
use crate::root::changes::existing;
use crate::root::detached::{self, DATA, NO_DEV, READ_ONLY};
use crate::root::overlay::fsopen;
use crate::{
    ChangesIn, Check, Disabled, EnterError, EnterOptions, Feature, IdMap, MemoryFolder,
    OverlaySpec, RootMount, SpawnError, Status, best_place, enter, is_in_container, is_on_overlay,
    memory_for_changes, mount_overlay, seccomp, sys,
};

/// The whole life of the process: the arguments are the store and the disabled features; the checks go to stdout as JSON.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let store = PathBuf::from(arguments.next().unwrap_or_default());
    let disabled = arguments
        .next()
        .and_then(|names| names.to_str()?.parse().ok())
        .unwrap_or_default();
    let checks = examine(&store, disabled);
    let json = serde_json::to_vec(&checks).map_err(io::Error::from);
    match json.and_then(|json| io::stdout().write_all(&json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn examine(store: &Path, disabled: Disabled) -> Vec<Check> {
    let mut checks = vec![kernel(), switches(), id_helpers(disabled), cgroups()];
    checks.extend(file_system(store));
    let name = "user namespaces";
    match enter(EnterOptions { disabled }) {
        Err(error) => {
            let isolation = isolation(store, &error);
            checks.extend([no_namespaces(name, &error, isolation.status), isolation]);
        }
        Ok(entered) => {
            checks.push(match (&entered.ids, entered.note) {
                (IdMap::Single { .. }, Some(note)) => Check::warn(name, note),
                (ids, _) => Check::ok(name, format!("entered; ids: {}", ids.key())),
            });
            checks.extend(inside(store, entered.rootless, disabled));
            checks.push(Check::ok("isolation", "RUN takes namespaces"));
        }
    }
    checks
}

/// As bad as what RUN takes instead.
fn no_namespaces(name: &str, error: &EnterError, status: Status) -> Check {
    let check = Check::new(name, status, format!("{error}; builds without RUN work"));
    match error.hints() {
        hints if hints.is_empty() => check,
        hints => check.with_fix(hints.join("\n")),
    }
}

/// The isolation that RUN takes, and the call that keeps it from each better one.
fn isolation(store: &Path, namespaces: &EnterError) -> Check {
    let name = "isolation";
    let refused = format!("namespaces are refused ({namespaces})");
    if !is_in_container() {
        let why = "outside of a container RUN is not supervised";
        return Check::missing(name, format!("RUN has none: {refused}, and {why}"));
    }
    match trial::all(existing(store)) {
        Ok(()) => Check::warn(
            name,
            format!("RUN takes a supervised chroot (docs/containers.md): {refused}"),
        ),
        Err(error) => Check::missing(
            name,
            format!("RUN has none: {refused}, and so is a supervised chroot ({error})"),
        ),
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
    let folder = existing(store).join(format!("probe-{}", std::process::id()));
    match make_layers(&folder) {
        Ok([lower, upper, work]) => {
            let spec = OverlaySpec {
                lowers: &[lower],
                upper: Some((&upper, &work)),
                rootless: rootless || is_on_overlay(store),
                keeps: false,
            };
            checks.extend([changes(store, &spec, disabled), append(&spec, disabled)]);
        }
        Err(error) => {
            let detail = format!("{} cannot be written: {error}", folder.display());
            let check = Check::missing("overlay", detail);
            checks.push(check.with_fix("choose a store that this user owns"));
        }
    }
    // What cannot be removed can be seen in the store; it is no answer to the question.
    let _ = fs::remove_dir_all(&folder);
    checks
}

fn detached_mounts() -> Check {
    let name = "detached mounts";
    let mount = detached::filesystem("tmpfs", &[], DATA);
    match mount.and_then(|mount| sys::set_mount_attributes(mount, READ_ONLY, false)) {
        Ok(()) => Check::ok(name, "fsopen, fsmount and mount_setattr work"),
        Err(error) => Check::missing(name, format!("refused: {error}")).with_fix(
            "in a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
        ),
    }
}

fn paths(disabled: Disabled) -> Check {
    let name = "openat2";
    let slow = |why: &str| {
        let effect = "paths are walked by component, which is slower";
        Check::warn(name, format!("{why}: {effect}"))
    };
    if disabled.has(Feature::Openat2) {
        return slow("disabled");
    }
    let (flags, resolve) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT);
    match openat2(CWD, "/", flags, Mode::empty(), resolve) {
        Ok(_) => Check::ok(name, "works"),
        Err(errno) => slow(&format!("refused: {errno}")),
    }
}

fn filter() -> Check {
    match in_child(0, seccomp::load) {
        Ok(()) => Check::ok("seccomp", "the filter loads"),
        Err(error) => Check::missing("seccomp", format!("the filter does not load: {error}"))
            .with_fix("use a kernel with CONFIG_SECCOMP_FILTER"),
    }
}

fn fresh_proc(disabled: Disabled) -> Check {
    let name = "fresh /proc";
    let weak = |why: &str| {
        let effect = "commands see the host's processes in /proc";
        Check::warn(name, format!("{why}: {effect}"))
    };
    if disabled.has(Feature::Procfs) {
        return weak("disabled");
    }
    let mount = || detached::filesystem("proc", &[], DATA).map(drop);
    match in_child(libc::CLONE_NEWPID | libc::CLONE_NEWNS, mount) {
        Ok(()) => Check::ok(name, "works"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            weak("refused, as in a container with masked paths")
                .with_fix("run the outer container with --security-opt systempaths=unconfined")
        }
        Err(error) => Check::missing(name, format!("no PID namespace: {error}")),
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

/// Where the changes of RUN go: the best place that works.
fn changes(store: &Path, spec: &OverlaySpec<'_>, disabled: Disabled) -> Check {
    let name = "overlay";
    let best = best_place(store, disabled);
    let in_store = match best {
        ChangesIn::Store => overlay(spec, disabled),
        _ => {
            let folder = existing(store).display();
            Err(format!("{folder} holds no upper layers"))
        }
    };
    let detail = match (in_store, best) {
        (Ok(()), _) if spec.rootless => return Check::ok(name, "works with userxattr"),
        (Ok(()), _) => return Check::ok(name, "works"),
        (Err(why), ChangesIn::Copy) => format!("{why}: {COPIES}"),
        (Err(why), _) => match overlay_in_memory(spec, disabled) {
            Ok(()) => {
                let most = memory_for_changes() >> 20;
                format!("{why}: RUN writes to memory (at most {most} MiB)")
            }
            Err(memory) => format!("{why}; in memory: {memory}: {COPIES}"),
        },
    };
    Check::warn(name, detail).with_fix(
        "put the store on a local disk (in a container: a volume), which is faster and larger",
    )
}

const COPIES: &str = "RUN works on a copy of its tree, which is slow";

/// Mounts, makes a file and removes a lower folder: that is what fails where an overlay is half allowed.
fn overlay(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<(), String> {
    let use_it = |mount: &RootMount| -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(mount, "made", flags, Mode::from_raw_mode(0o644))?;
        fstat(file)?;
        let (made, flags) = (Path::new("/made"), OFlags::PATH);
        open_in_root(mount.as_fd(), made, flags, Mode::empty(), disabled)?;
        Ok(unlinkat(mount, "removed", AtFlags::REMOVEDIR)?)
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
        let effect = "RUN sees the container's host name";
        Check::warn(name, format!("{why}: {effect}"))
    };
    if disabled.has(Feature::Sethostname) {
        return keep("disabled");
    }
    match in_child(libc::CLONE_NEWUTS, || Ok(sethostname(b"kiln")?)) {
        Ok(()) => Check::ok(name, "can be set"),
        Err(error) => keep(&format!("sethostname is refused ({error})")),
    }
}

/// Tries both ways in which a run leaves the caller's root.
fn change_of_root(disabled: Disabled) -> Check {
    let name = "change of root";
    let in_private = |work: &dyn Fn() -> io::Result<()>| {
        in_child(libc::CLONE_NEWNS, || {
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private)?;
            work()
        })
    };
    let pivots = in_private(&|| Ok(can_pivot(disabled).then_some(()).ok_or(Errno::PERM)?));
    let changed = in_private(&|| {
        let root = detached::filesystem("tmpfs", &[], NO_DEV)?;
        enter_root(&root, disabled).map_err(|error| match error {
            SpawnError::Step { source, .. } => source,
            _ => io::ErrorKind::Other.into(),
        })
    });
    let moved = "pivot_root is refused; the root is mounted over the old one";
    match (changed, pivots) {
        (Ok(()), Ok(())) => Check::ok(name, "pivot_root works"),
        (Ok(()), Err(_)) => Check::ok(name, moved),
        (Err(error), _) => Check::missing(name, format!("refused: {error}")),
    }
}

fn append(spec: &OverlaySpec<'_>, disabled: Disabled) -> Check {
    let name = "lowerdir+";
    let few = |why: &str| {
        let effect = "images have at most about 200 layers";
        Check::warn(name, format!("{why}: {effect}"))
    };
    if disabled.has(Feature::LowerdirAppend) {
        return few("disabled");
    }
    // Two lowers and no upper: the folders of the other check are not mounted twice.
    let upper = spec.upper.map(|(upper, _)| upper.to_owned());
    let lowers: Vec<PathBuf> = spec.lowers.iter().cloned().chain(upper).collect();
    let two = OverlaySpec {
        lowers: &lowers,
        upper: None,
        rootless: spec.rootless,
        keeps: false,
    };
    match fsopen::merge(&two) {
        Ok(_) => Check::ok(name, "works"),
        Err(_) => few("refused").with_fix("install Linux 6.5 or newer"),
    }
}
