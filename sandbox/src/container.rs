//! Whether this process is in a container: what a container forbids is then no fault of the machine. Unaware of what is forbidden.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The number of the first PID namespace: `PROC_PID_INIT_INO` in the kernel's include/linux/proc_ns.h.
const FIRST: u64 = 0xEFFF_FFFC;

/// What docker and podman put into a container.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Whether this process has a PID namespace of its own, as in every container that does not share the machine's, or the mark of one that does.
#[must_use]
pub fn is_in_container() -> bool {
    let namespace = fs::metadata("/proc/self/ns/pid").ok();
    is_one(namespace.map(|namespace| namespace.ino()), &MARKS)
}

fn is_one(pid_namespace: Option<u64>, marks: &[&str]) -> bool {
    pid_namespace.is_some_and(|number| number != FIRST)
        || marks.iter().any(|mark| Path::new(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_none() {
        assert!(!is_one(Some(FIRST), &["/no/such/mark"]));
        assert!(!is_one(None, &[]), "without /proc nothing is known");
        assert!(is_one(Some(FIRST + 1), &[]));
        assert!(is_one(Some(FIRST), &["/no/such/mark", "/"]));
    }
}
