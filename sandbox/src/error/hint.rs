//! What an administrator can do when the kernel refuses namespaces. Unaware of what was refused.

use std::fs;
use std::io;

/// For containers, in the options of the programs that start them.
pub const CONTAINERS: [&str; 4] = [
    "docker: --security-opt seccomp=unconfined (where AppArmor is used, --security-opt apparmor=unconfined too), and a volume for the store",
    "Kubernetes: hostUsers: false with capabilities: {add: [SYS_ADMIN]}, or seccompProfile: {type: Unconfined}; on nodes with AppArmor (which \
     answers EACCES) appArmorProfile: {type: Unconfined} too; procMount: Unmasked only gives RUN a /proc of its own",
    "in a container, as root with the default profile of docker or containerd, --isolation=auto needs none of that (docs/containers.md)",
    "in a chroot a user namespace is impossible",
];

/// Since Linux 5.12 root needs a capability to map itself; another user does not.
pub const ROOT: &str = "root without the capability SETFCAP cannot map itself into a user namespace: add it, or run as another user (-u 1000)";

/// Advice for a failed step of entering a user namespace, from the switches that distributions have.
pub fn user_namespaces(error: &io::Error) -> Vec<&'static str> {
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL) => {
            return vec!["this kernel was built without user namespaces"];
        }
        Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::EUSERS) => {}
        _ => return Vec::new(),
    }
    switch().map_or_else(|| CONTAINERS.to_vec(), |(_, advice)| vec![advice])
}

/// The first switch of the machine that forbids user namespaces, and how to change it.
pub fn switch() -> Option<(&'static str, &'static str)> {
    let is = |name: &str, value: &str| {
        fs::read_to_string(format!("/proc/sys/{name}")).is_ok_and(|text| text.trim() == value)
    };
    let all = [
        (
            is("user/max_user_namespaces", "0"),
            "user.max_user_namespaces=0",
            "as root: sysctl -w user.max_user_namespaces=15000",
        ),
        (
            is("kernel/unprivileged_userns_clone", "0"),
            "kernel.unprivileged_userns_clone=0",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            is("kernel/apparmor_restrict_unprivileged_userns", "1"),
            "kernel.apparmor_restrict_unprivileged_userns=1",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or an AppArmor profile with the rule `userns,` for this \
             binary)",
        ),
    ];
    let first = all.into_iter().find(|(is_set, ..)| *is_set);
    first.map(|(_, switch, advice)| (switch, advice))
}
