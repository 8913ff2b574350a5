//! Gives the process the command's identity and rights: limits, folder, user, capabilities, seccomp filter. Unaware of mounts.
//!
//! The order matters. The filter is loaded while CAP_SYS_ADMIN is held (no_new_privs stays off, so that su and sudo work) and before the
//! user changes; the filter allows everything that follows.

use rustix::fs::{FileType, fchown, fstat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, chdir, getcwd};
use rustix::stdio;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::error::CHDIR;
use crate::{Network, RunSpec, SpawnError, seccomp, sys};

/// Docker's default: 0xa80425fb.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);

/// What a command may have. On the host's network, raw sockets would read what others send: a container of docker has a network of its own.
fn allowed(spec: &RunSpec) -> CapabilitySet {
    match (spec.privileged, &spec.network) {
        (true, _) => CapabilitySet::all(),
        (false, Network::Host) => CAPABILITIES.difference(CapabilitySet::NET_RAW),
        (false, Network::None | Network::Private(_)) => CAPABILITIES,
    }
}

/// The names of `docker --ulimit` and their numbers.
const LIMITS: [(&str, u32); 16] = [
    ("as", libc::RLIMIT_AS),
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("locks", libc::RLIMIT_LOCKS),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("rss", libc::RLIMIT_RSS),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("rttime", libc::RLIMIT_RTTIME),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack", libc::RLIMIT_STACK),
];

/// Everything between the finished root and the execution.
pub fn assume(spec: &RunSpec) -> Result<(), SpawnError> {
    assume_with(spec, allowed(spec), true, &groups_are_denied)
}

/// The same in a chroot, but for the filter: the command may never change the root again, which would lead out.
/// `groups_are_denied` is what [`groups_are_denied`] said outside, where there is a `/proc`.
pub fn assume_in_chroot(spec: &RunSpec, groups_are_denied: bool) -> Result<(), SpawnError> {
    let allowed = CAPABILITIES.difference(CapabilitySet::SYS_CHROOT.union(CapabilitySet::NET_RAW));
    assume_with(spec, allowed, false, &|| groups_are_denied)
}

fn assume_with(
    spec: &RunSpec,
    allowed: CapabilitySet,
    is_filtered: bool,
    groups_are_denied: &dyn Fn() -> bool,
) -> Result<(), SpawnError> {
    for (name, soft, hard) in &spec.rlimits {
        limit(name, *soft, *hard)?;
    }
    give_pipes(spec.uid);
    // As root first: a folder on the way may be closed to the user. As the user again where root may not (a network file system).
    let early = enter_folder(&spec.cwd);
    if !spec.privileged || !is_filtered {
        drop_bounding_set(allowed)?;
    }
    if !spec.privileged && is_filtered {
        seccomp::load().map_err(SpawnError::of("load the seccomp filter"))?;
    }
    become_user(spec, allowed, groups_are_denied)?;
    enter_again(early, &spec.cwd)?;
    sys::set_umask(spec.umask & 0o777);
    Ok(())
}

/// Enters the folder as the user, if root could not.
fn enter_again(early: Result<(), Errno>, folder: &str) -> Result<(), SpawnError> {
    let entered = match early {
        Err(Errno::ACCESS) => enter_folder(folder),
        answer => answer,
    };
    entered.map_err(SpawnError::at(CHDIR, folder))?;
    check_folder(folder)
}

fn limit(name: &str, soft: u64, hard: u64) -> Result<(), SpawnError> {
    let known = LIMITS.iter().find(|(known, _)| *known == name);
    let Some((_, number)) = known else {
        return Err(SpawnError::Invalid(format!("unknown limit {name:?}")));
    };
    let advice = "only real root can raise a hard limit (ulimit -H shows them)";
    sys::set_limit(*number, soft, hard)
        .map_err(SpawnError::at("set the limit", name))
        .map_err(|error| error.with_hint(libc::EPERM, advice))
}

/// Whether a resource limit of this name (`nofile`) exists, as in [`RunSpec::rlimits`].
#[must_use]
pub fn is_limit(name: &str) -> bool {
    LIMITS.iter().any(|(known, _)| *known == name)
}

/// Pipes belong to the user that made them, but the command's user must be able to open `/dev/stdout`. A refusal is ignored.
fn give_pipes(uid: u32) {
    for fd in [stdio::stdin(), stdio::stdout(), stdio::stderr()] {
        let pipe =
            fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        if uid != 0 && pipe {
            let _ = fchown(fd, Some(Uid::from_raw(uid)), None);
        }
    }
}

fn enter_folder(folder: &str) -> Result<(), Errno> {
    chdir(if folder.is_empty() { "/" } else { folder })
}

/// The kernel shows a folder outside of the root as `(unreachable)/...`.
fn check_folder(folder: &str) -> Result<(), SpawnError> {
    let now = getcwd(Vec::new()).map_err(SpawnError::at("getcwd", folder))?;
    if now.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(SpawnError::at("chdir out of the root", folder)(Errno::XDEV))
}

fn drop_bounding_set(allowed: CapabilitySet) -> Result<(), SpawnError> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if allowed.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            // Beyond the last capability of this kernel.
            Err(Errno::INVAL) => break,
            answer => answer.map_err(SpawnError::of("drop a capability"))?,
        }
    }
    Ok(())
}

fn become_user(
    spec: &RunSpec,
    allowed: CapabilitySet,
    groups_are_denied: &dyn Fn() -> bool,
) -> Result<(), SpawnError> {
    let groups: Vec<Gid> = spec.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (spec.uid, spec.gid);
    match set_thread_groups(&groups) {
        // A user namespace with one id forbids it; it has no other groups.
        Err(Errno::PERM) if groups_are_denied() => {}
        Err(Errno::INVAL) => {
            return Err(SpawnError::NoSuchId {
                uid,
                gid,
                has_range: true,
            });
        }
        answer => answer.map_err(SpawnError::of("setgroups"))?,
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid).map_err(SpawnError::of("setresgid"))?;
    set_thread_res_uid(uid, uid, uid).map_err(SpawnError::of("setresuid"))?;
    limit_capabilities(allowed)
}

fn limit_capabilities(allowed: CapabilitySet) -> Result<(), SpawnError> {
    clear_ambient_capability_set().map_err(SpawnError::of("clear the ambient capabilities"))?;
    let have = capabilities(None).map_err(SpawnError::of("capget"))?;
    // If the user has changed, the kernel has cleared both sets already.
    let sets = CapabilitySets {
        effective: have.effective & allowed,
        permitted: have.permitted & allowed,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(SpawnError::of("capset"))
}

/// Whether the user namespace forbids setgroups, as one with a single id does.
pub fn groups_are_denied() -> bool {
    // Read before the command could change /proc; the file is about the process's user namespace.
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_dockers() {
        assert_eq!(CAPABILITIES.bits(), 0xa804_25fb);
    }
}
