//! What this machine says of itself, without trying anything: its kernel, switches, id range, cgroups, and the file system of the store.
//! Unaware of namespaces that are entered.

use std::path::Path;

use rustix::fs::{FsWord, statfs, statvfs};
use rustix::process::geteuid;
use rustix::system::uname;

use crate::enter::{helper, subid};
use crate::error::hint;
use crate::root::changes::{existing, version};
use crate::{Check, Disabled};

/// `mount_setattr` is the newest call without a fallback.
const OLDEST: (u32, u32) = (5, 12);

/// File systems by `f_type` (statfs(2), linux/magic.h): name, and why a store cannot be there.
const FILE_SYSTEMS: [(FsWord, &str, Option<&str>); 10] = [
    (0xef53, "ext2, ext3 or ext4", None),
    (0x5846_5342, "xfs", None),
    (0x9123_683e, "btrfs", None),
    (0x0102_1994, "tmpfs", None),
    (0xf2f5_2010, "f2fs", None),
    (0xca45_1a4e, "bcachefs", None),
    (0x2fc1_2fc1, "zfs", None),
    (0x794c_7630, "overlay", None),
    (
        0x6969,
        "NFS",
        Some("NFS can neither hold an upper layer nor a database"),
    ),
    (0x6573_5546, "FUSE", None),
];

/// Its version.
pub fn kernel() -> Check {
    let uname = uname();
    let release = uname.release().to_string_lossy();
    let detail = format!("Linux {release} on {}", uname.machine().to_string_lossy());
    if version() >= OLDEST {
        return Check::ok("kernel", detail);
    }
    let fix = format!("install Linux {}.{} or newer", OLDEST.0, OLDEST.1);
    Check::missing("kernel", detail).with_fix(fix)
}

/// Switches of distributions that forbid user namespaces to ordinary users.
pub fn switches() -> Check {
    let name = "namespace switches";
    match hint::switch() {
        None => Check::ok(name, "nothing forbids user namespaces"),
        // A profile may allow one binary: only the attempt shows whether it works.
        Some((switch, fix)) => {
            Check::warn(name, format!("{switch} restricts ordinary users")).with_fix(fix)
        }
    }
}

/// What newuidmap needs.
pub fn id_helpers(disabled: Disabled) -> Check {
    let name = "id range";
    if geteuid().is_root() {
        return Check::ok(name, "root needs none");
    }
    match helper::available(disabled) {
        Ok(ids) => {
            let ids = ids.key();
            Check::ok(
                name,
                format!("newuidmap, newgidmap and ranges are there: {ids}"),
            )
        }
        Err(why) => {
            Check::warn(name, format!("{why}: builds have one user id")).with_fix(range_fix())
        }
    }
}

/// How this user gets a range.
fn range_fix() -> String {
    let install = "install uidmap (shadow-utils)".to_owned();
    match subid::advice(geteuid().as_raw()) {
        Some(advice) => format!("{install} and, as root: {advice}"),
        None => install,
    }
}

/// Which versions are mounted.
pub fn cgroups() -> Check {
    let version = match statfs("/sys/fs/cgroup").map(|stat| stat.f_type) {
        Ok(0x6367_7270) => "version 2",
        Ok(0x0102_1994) if Path::new("/sys/fs/cgroup/unified").exists() => "version 1 and 2",
        Ok(0x0102_1994) => "version 1",
        _ => "none",
    };
    Check::ok("cgroups", format!("{version}; needed for limits only"))
}

/// Its kind and its free space.
pub fn file_system(store: &Path) -> Vec<Check> {
    let folder = existing(store);
    let (name, shown) = ("store file system", folder.display());
    let (Ok(stat), Ok(space)) = (statfs(folder), statvfs(folder)) else {
        return vec![Check::missing(name, format!("{shown} cannot be looked at"))];
    };
    let mut known = FILE_SYSTEMS.iter();
    let kind = match known.find(|(magic, ..)| *magic == stat.f_type) {
        None => {
            let detail = format!("{shown} is on a file system of type {:#x}", stat.f_type);
            Check::ok(name, detail)
        }
        Some((_, kind, None)) => Check::ok(name, format!("{shown} is on {kind}")),
        Some((_, kind, Some(why))) => Check::missing(name, format!("{shown} is on {kind}: {why}"))
            .with_fix("put the store on a local disk (in a container: a volume)"),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize) >> 20;
    let (name, detail) = ("free space", format!("{free} MiB in {shown}"));
    let space = if free < 1024 {
        Check::warn(name, detail).with_fix("free some space, or prune the cache")
    } else {
        Check::ok(name, detail)
    };
    vec![kind, space]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_exist_is_looked_at_where_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(file_system(&folder.path().join("a")).len(), 2);
    }
}
