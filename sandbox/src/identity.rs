//! Makes the process the command's: limits, folder, user, capabilities, seccomp filter. Unaware of mounts.
//!
//! The order matters: the filter is loaded while CAP_SYS_ADMIN is held (no_new_privs stays off, so that su and sudo work), before the
//! user changes; everything after it is allowed by the filter.

use std::io;

use rustix::fs::{FileType, fchown, fstat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, chdir, getcwd};
use rustix::stdio;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::wire::Failure;
use crate::{RunSpec, seccomp, sys};

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
pub fn assume(spec: &RunSpec) -> Result<(), Failure> {
    for (name, soft, hard) in &spec.rlimits {
        limit(name, *soft, *hard)?;
    }
    give_pipes(spec.uid);
    // As root first: a folder on the way may be closed to the user. As the user again when root may not (a network file system).
    let early = enter_folder(&spec.cwd);
    if !spec.privileged {
        drop_bounding_set()?;
        seccomp::load().map_err(Failure::of("load the seccomp filter"))?;
    }
    become_user(spec)?;
    match early {
        Err(Errno::ACCESS) => enter_folder(&spec.cwd),
        answer => answer,
    }
    .map_err(|errno| Failure::at("chdir", &spec.cwd)(errno.into()))?;
    check_folder(&spec.cwd)?;
    sys::set_umask(spec.umask & 0o777);
    Ok(())
}

fn limit(name: &str, soft: u64, hard: u64) -> Result<(), Failure> {
    let known = LIMITS.iter().find(|(known, _)| *known == name);
    let Some((_, number)) = known else {
        return Err(Failure::Invalid(format!("unknown limit {name:?}")));
    };
    sys::set_limit(*number, soft, hard).map_err(|error| {
        let refused = error.kind() == io::ErrorKind::PermissionDenied;
        let failure = Failure::at("set the limit", name)(error);
        if refused {
            failure.with_hint("only real root can raise a hard limit (ulimit -H shows them)")
        } else {
            failure
        }
    })
}

/// Whether a resource limit of this name (`nofile`) exists, as in [`RunSpec::rlimits`].
#[must_use]
pub fn is_limit(name: &str) -> bool {
    LIMITS.iter().any(|(known, _)| *known == name)
}

/// Pipes belong to who made them; the command's user must be able to open `/dev/stdout`. A refusal leaves it as it is.
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
fn check_folder(folder: &str) -> Result<(), Failure> {
    let now = getcwd(Vec::new()).map_err(|errno| Failure::at("getcwd", folder)(errno.into()))?;
    if now.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(Failure::at("chdir out of the root", folder)(
        io::Error::from_raw_os_error(libc::EXDEV),
    ))
}

fn drop_bounding_set() -> Result<(), Failure> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if CAPABILITIES.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            // Beyond the last capability of this kernel.
            Err(Errno::INVAL) => break,
            answer => answer.map_err(|errno| Failure::of("drop a capability")(errno.into()))?,
        }
    }
    Ok(())
}

fn become_user(spec: &RunSpec) -> Result<(), Failure> {
    let of = |step: &'static str| move |errno: Errno| Failure::of(step)(errno.into());
    let groups: Vec<Gid> = spec
        .groups
        .iter()
        .map(|group| Gid::from_raw(*group))
        .collect();
    match set_thread_groups(&groups) {
        // A user namespace of one id forbids it; there are no other groups then.
        Err(Errno::PERM) if groups_are_denied() => {}
        Err(Errno::INVAL) => {
            return Err(Failure::NoSuchId {
                uid: spec.uid,
                gid: spec.gid,
            });
        }
        answer => answer.map_err(of("setgroups"))?,
    }
    let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
    set_thread_res_gid(gid, gid, gid).map_err(of("setresgid"))?;
    set_thread_res_uid(uid, uid, uid).map_err(of("setresuid"))?;
    clear_ambient_capability_set().map_err(of("clear the ambient capabilities"))?;
    let have = capabilities(None).map_err(of("capget"))?;
    // For another user the kernel has cleared both sets already.
    let allowed = if spec.privileged {
        CapabilitySet::all()
    } else {
        CAPABILITIES
    };
    let sets = CapabilitySets {
        effective: have.effective & allowed,
        permitted: have.permitted & allowed,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(of("capset"))
}

fn groups_are_denied() -> bool {
    // Read before /proc could be changed by the command; the file tells about the process's user namespace.
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
