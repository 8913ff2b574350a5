//! The seccomp filter of a run: docker's default profile. Unaware of when it is loaded and for whom.
//!
//! Written by hand rather than with a filter crate, for three reasons: the crates kill a program of another binary interface (a 32-bit
//! one on x86_64) instead of serving it; they set no_new_privs; and they compare numbers one by one, while a search by ranges needs a tenth
//! of the instructions, which the kernel runs hundreds of times when it loads a filter.
//!
//! A call that is not in the table gives EPERM. One that is newer than the table gives ENOSYS, so that libraries fall back; so does clone3,
//! whose flags a filter cannot see.

mod program;
mod table;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::thread::set_no_new_privs;

use crate::sys;
use program::{Action, Program};
use table::{ABIS, Abi};

/// Flags that make namespaces, without CLONE_NEWTIME, which is no flag of clone(2).
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// Address families, as inclusive ranges: none that the kernel has dropped, not AF_ALG (38), not AF_VSOCK (40).
const FAMILIES: &[(u32, u32)] = &[
    (0, 11),
    (13, 18),
    (21, 22),
    (24, 24),
    (26, 33),
    (35, 36),
    (39, 39),
    (41, 45),
];

/// Commands of fcntl(2) and ioctl(2) that say which process is sent signals (asm-generic/fcntl.h, sockios.h).
const F_SETOWN: u32 = 8;
const F_SETOWN_EX: u32 = 15;
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;

/// PER_LINUX and PER_LINUX32, each also with UNAME26, and the query for the present one.
const PERSONALITIES: &[(u32, u32)] = &[
    (0, 0),
    (8, 8),
    (0x20000, 0x20000),
    (0x20008, 0x20008),
    (u32::MAX, u32::MAX),
];

/// The usual filter, once it was made.
static USUAL: OnceLock<Vec<libc::sock_filter>> = OnceLock::new();

/// Makes the filter ready for this process and those that it forks.
pub fn make_ready() {
    USUAL.get_or_init(|| filter(&action));
}

/// Loads the filter for this process and all that it executes. Needs CAP_SYS_ADMIN in its user namespace.
pub fn load() -> io::Result<()> {
    let mut usual = USUAL.get_or_init(|| filter(&action)).clone();
    sys::load_filter(&mut usual)
}

/// The same with a supervisor: the calls that `is_notified` wait for its answer, which it gives through the descriptor. Needs no
/// capability, but takes the power of setuid programs (no_new_privs).
pub fn load_supervised(is_notified: impl Fn(&str) -> bool) -> io::Result<OwnedFd> {
    set_no_new_privs(true)?;
    let action = |name: &str| match name {
        // signals through descriptors, to whatever process these calls name
        "fcntl" | "fcntl64" => Action::AllowUnless(1, &[F_SETOWN, F_SETOWN_EX]),
        "ioctl" => Action::AllowUnless(1, &[FIOSETOWN, SIOCSPGRP]),
        name if is_notified(name) => Action::Notify,
        name => action(name),
    };
    sys::notify::load(&mut filter(&action))
}

/// Binary interface (`AUDIT_ARCH_*`), number and name of each call that may be allowed.
pub fn calls() -> impl Iterator<Item = (u32, u32, &'static str)> {
    let of = |abi: &'static Abi| {
        abi.allowed()
            .map(|(number, name)| (abi.audit_arch, number, name))
    };
    ABIS.iter().flat_map(of)
}

fn filter(action: &dyn Fn(&str) -> Action) -> Vec<libc::sock_filter> {
    let rules = |abi: &Abi| (abi.audit_arch, rules(abi, action));
    Program::new(ABIS.iter().map(rules).collect()).assemble()
}

/// What happens from each call number on, in ascending order from 0.
fn rules(abi: &Abi, action: &dyn Fn(&str) -> Action) -> Vec<(u32, Action)> {
    let mut allowed: Vec<(u32, &str)> = abi.allowed().collect();
    allowed.sort_unstable();
    let mut rules = Vec::new();
    let mut next = 0;
    for (number, name) in allowed {
        if number > next {
            rules.push((next, Action::Errno(libc::EPERM)));
        }
        rules.push((number, action(name)));
        next = number + 1;
    }
    // Also the x32 interface, whose numbers start at 0x40000000.
    rules.push((next, Action::Errno(libc::ENOSYS)));
    rules.dedup_by(|later, earlier| later.1 == earlier.1);
    rules
}

fn action(name: &str) -> Action {
    match name {
        "clone" => Action::AllowWithout(NEW_NAMESPACES),
        "clone3" => Action::Errno(libc::ENOSYS),
        "personality" => Action::AllowIn(PERSONALITIES),
        "socket" => Action::AllowIn(FAMILIES),
        _ => Action::Allow,
    }
}

#[cfg(test)]
mod tests;
