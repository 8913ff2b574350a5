//! What an administrator can do when the kernel refuses namespaces. Unaware of where the refusal came from.

use std::fs;
use std::io;

/// Advice for a failed step of entering a user namespace, from the switches that distributions have.
pub fn user_namespaces(error: &io::Error) -> Option<String> {
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL) => {
            return Some("this kernel was built without user namespaces".to_owned());
        }
        Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::EUSERS) => {}
        _ => return None,
    }
    let advice = switch().map_or_else(
        || {
            "in a container, allow namespaces: --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
             (or --privileged); in a chroot a user namespace is impossible"
        },
        |(_, advice)| advice,
    );
    Some(advice.to_owned())
}

/// The first switch of the machine that forbids user namespaces, and how to turn it.
pub fn switch() -> Option<(&'static str, &'static str)> {
    let is = |name: &str, value: &str| {
        fs::read_to_string(format!("/proc/sys/{name}")).is_ok_and(|text| text.trim() == value)
    };
    if is("user/max_user_namespaces", "0") {
        return Some((
            "user.max_user_namespaces=0",
            "as root: sysctl -w user.max_user_namespaces=15000",
        ));
    }
    if is("kernel/unprivileged_userns_clone", "0") {
        return Some((
            "kernel.unprivileged_userns_clone=0",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1",
        ));
    }
    if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Some((
            "kernel.apparmor_restrict_unprivileged_userns=1",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or an AppArmor profile with the rule `userns,` for this \
             binary)",
        ));
    }
    None
}
