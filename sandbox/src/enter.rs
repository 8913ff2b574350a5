//! Enters the namespaces in which a build may mount: a private mount namespace for root, with a user namespace around it
//! for everybody else. Unaware of layers and of the processes that run later.

pub(crate) mod helper;
pub(crate) mod idmap;
pub(crate) mod subid;
pub(crate) mod trial;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::enter::helper::{IdHelper, Mapped};
use crate::enter::trial::in_child;
use crate::error::MAP;
use crate::{Disabled, EnterError, Feature, IdMap, sys};

/// How to enter.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnterOptions {
    /// Features that must not be used.
    pub disabled: Disabled,
}

/// What the process is now.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Which ids there are.
    pub ids: IdMap,
    /// Not in the initial user namespace: overlays need `userxattr`
    /// ([`OverlaySpec::rootless`](crate::OverlaySpec::rootless)), device nodes cannot be made.
    pub rootless: bool,
    /// What is weaker than it could be, and how to change that; for a person.
    pub note: Option<String>,
}

impl Entered {
    /// The state of a process that has entered nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            ids: IdMap::Root,
            rootless: false,
            note: None,
        }
    }
}

/// Makes the process root of its own mounts. Call once, before the first thread.
///
/// # Errors
/// With the step that failed. The process is then as before for everything that needs no mounts: it can use files and start programs.
pub fn enter(options: EnterOptions) -> Result<Entered, EnterError> {
    if options.disabled.has(Feature::Namespaces) {
        return Err(EnterError::Disabled("namespaces"));
    }
    let threads = threads()?;
    if threads != 1 {
        return Err(EnterError::Threads(threads));
    }
    // Root of a container that was not given CAP_SYS_ADMIN is refused: a user namespace gives it, where one is allowed.
    if geteuid().is_root() && enter_mount_namespace()? {
        return Ok(Entered {
            rootless: !in_initial_user_namespace(),
            ..Entered::nothing()
        });
    }
    if options.disabled.has(Feature::Userns) {
        return Err(EnterError::Disabled("user namespaces"));
    }
    enter_user_namespace(options.disabled)
}

/// False: it is refused.
fn enter_mount_namespace() -> Result<bool, EnterError> {
    match sys::unshare(UnshareFlags::NEWNS) {
        Ok(()) => keep_mounts_inside().map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(EnterError::at("unshare(mount namespace)")(error)),
    }
}

fn enter_user_namespace(disabled: Disabled) -> Result<Entered, EnterError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    try_user_namespace(uid, gid)?;
    let (helper, mut note) = IdHelper::start(uid, gid, disabled)?;
    sys::unshare(USER_AND_MOUNTS).map_err(EnterError::at(UNSHARE))?;
    let mut mapped = None;
    if let Some(helper) = helper {
        match helper.map()? {
            Mapped::Yes(ids) => mapped = Some(ids),
            Mapped::No(why) => note = Some(why),
        }
    }
    let ids = match mapped {
        Some(ids) => ids,
        None => map_one(uid, gid)?,
    };
    become_root(&ids)?;
    keep_mounts_inside()?;
    let note = note.map(|why| format!("only one user id: {why}; files of other owners keep them in the image but not on disk, and USER other than root fails"));
    Ok(Entered {
        ids,
        rootless: true,
        note,
    })
}

/// The namespaces of a rootless build.
const USER_AND_MOUNTS: UnshareFlags = UnshareFlags::NEWUSER.union(UnshareFlags::NEWNS);
const UNSHARE: &str = "unshare(user namespace, mount namespace)";
const KEEP_INSIDE: &str = "mount(/, MS_REC|MS_SLAVE)";

/// Enters in a child first. Where a security module allows the namespace but forbids what is done in it, as AppArmor does on Ubuntu, this
/// process would be stuck in it without ids.
fn try_user_namespace(uid: u32, gid: u32) -> Result<(), EnterError> {
    let enter = || map_in_child(uid, gid).and_then(|()| keep_mounts_inside().map_err(cause));
    let Err(error) = in_child(0, enter) else {
        return Ok(());
    };
    match in_child(0, || sys::unshare(USER_AND_MOUNTS)) {
        Err(error) => Err(EnterError::at(UNSHARE)(error)),
        Ok(()) => match in_child(0, || map_in_child(uid, gid)) {
            Err(error) => Err(EnterError::at(MAP)(error)),
            Ok(()) => Err(EnterError::at(KEEP_INSIDE)(error)),
        },
    }
}

fn map_in_child(uid: u32, gid: u32) -> io::Result<()> {
    sys::unshare(USER_AND_MOUNTS)?;
    map_one(uid, gid).map(drop).map_err(cause)
}

fn cause(error: EnterError) -> io::Error {
    match error {
        EnterError::Step { source, .. } => source,
        _ => io::ErrorKind::Other.into(),
    }
}

/// The map that every process may write for itself: one id, and no way to change groups any more.
fn map_one(uid: u32, gid: u32) -> Result<IdMap, EnterError> {
    let write =
        |step, path: &str, text: String| fs::write(path, text).map_err(EnterError::at(step));
    write("write setgroups", "/proc/self/setgroups", "deny".to_owned())?;
    write(MAP, "/proc/self/uid_map", format!("0 {uid} 1"))?;
    write("write gid_map", "/proc/self/gid_map", format!("0 {gid} 1"))?;
    Ok(IdMap::Single { uid, gid })
}

fn become_root(ids: &IdMap) -> Result<(), EnterError> {
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(EnterError::at("setresgid"))?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(EnterError::at("setresuid"))?;
    if !ids.is_single() {
        // The caller's other groups have no number inside, but they would still open files that root inside may not.
        set_thread_groups(&[]).map_err(EnterError::at("setgroups"))?;
    }
    Ok(())
}

/// Nothing that is mounted from now on is seen outside. What the host mounts is still seen here (automounts).
fn keep_mounts_inside() -> Result<(), EnterError> {
    let downstream = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", downstream).map_err(EnterError::at(KEEP_INSIDE))
}

fn threads() -> Result<usize, EnterError> {
    let tasks = fs::read_dir("/proc/self/task").map_err(EnterError::at("read /proc/self/task"))?;
    Ok(tasks.count())
}

/// The number of the first user namespace: `PROC_USER_INIT_INO` in the kernel's include/linux/proc_ns.h.
const INITIAL: u64 = 0xEFFF_FFFD;

/// Whether the rights here are the machine's. Another user namespace may map all ids to themselves, and has no rights over the machine.
fn in_initial_user_namespace() -> bool {
    fs::metadata("/proc/self/ns/user").is_ok_and(|namespace| namespace.ino() == INITIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The harness runs tests on threads of their own.
    #[test]
    fn a_process_with_threads_is_refused() {
        assert!(
            matches!(enter(EnterOptions::default()), Err(EnterError::Threads(count)) if count > 1)
        );
    }
}
