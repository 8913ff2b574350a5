//! The cgroup hierarchies and the place of this process in each, from `/proc/self/cgroup` and `/proc/self/mountinfo`. A machine has one of
//! version 2, or one of version 1 for each controller, or both kinds. Unaware of limits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Version;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub version: Version,
    /// What it controls; in version 2 the cgroups say that.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The folder of this process's cgroup; none if the mount does not show it.
    pub own: Option<PathBuf>,
}

/// All that are mounted, those of version 1 first.
pub fn all() -> io::Result<Vec<Hierarchy>> {
    of("self")
}

/// The same with the places of another process, which `/proc` calls so.
pub fn of(process: &str) -> io::Result<Vec<Hierarchy>> {
    let cgroups = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mut all: Vec<Hierarchy> = cgroups
        .lines()
        .filter_map(|line| hierarchy(line, &mounts))
        .collect();
    all.sort_by_key(|hierarchy| hierarchy.version);
    Ok(all)
}

/// Reads a line `4:memory:/path`, or `0::/path` in version 2.
fn hierarchy(line: &str, mounts: &str) -> Option<Hierarchy> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (names, path) = (fields.next()?, Path::new(fields.next()?));
    let version = if names.is_empty() {
        Version::Two
    } else {
        Version::One
    };
    let mut mounts = mounts
        .lines()
        .filter_map(|line| mount(line, version, names));
    let (root, mount) = mounts.next()?;
    let below = path.strip_prefix(root).ok();
    Some(Hierarchy {
        version,
        controllers: names.split(',').map(str::to_owned).collect(),
        own: below
            .filter(|below| !below.starts_with(".."))
            .map(|below| mount.join(below).components().collect()),
        mount,
    })
}

/// The root within the hierarchy and the place of a mount, if it is one of this hierarchy: `32 31 0:29 / /place options - type source options`.
fn mount(line: &str, version: Version, names: &str) -> Option<(PathBuf, PathBuf)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, mount) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let (kind, options) = (kind.next()?, kind.nth(1).unwrap_or_default());
    let is_it = match version {
        Version::Two => kind == "cgroup2",
        Version::One => {
            let mut names = names.split(',');
            kind == "cgroup" && names.all(|name| options.split(',').any(|option| option == name))
        }
    };
    is_it.then(|| {
        (
            PathBuf::from(unescape(root)),
            PathBuf::from(unescape(mount)),
        )
    })
}

/// Blanks and backslashes are written as three octal digits.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (written, meant)| {
        text.replace(written, meant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/1 /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    fn found(line: &str) -> Option<(PathBuf, Option<PathBuf>)> {
        hierarchy(line, MOUNTS).map(|found| (found.mount, found.own))
    }

    #[test]
    fn mounts_are_found_by_controllers() {
        let pair = |mount: &str, own: &str| Some((mount.into(), Some(own.into())));
        assert_eq!(
            found("1:cpu,cpuacct:/x"),
            pair("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/x")
        );
        assert_eq!(
            found("4:memory:/docker/1/y"),
            pair("/sys/fs/cgroup/a b", "/sys/fs/cgroup/a b/y")
        );
        assert_eq!(
            found("0::/user.slice/a:b"),
            pair(
                "/sys/fs/cgroup/unified",
                "/sys/fs/cgroup/unified/user.slice/a:b"
            )
        );
        assert_eq!(found("3:pids:/"), None);
    }

    #[test]
    fn what_a_mount_does_not_show_is_out_of_reach() {
        assert_eq!(
            found("4:memory:/elsewhere"),
            Some(("/sys/fs/cgroup/a b".into(), None))
        );
        assert_eq!(
            found("0::/../outside"),
            Some(("/sys/fs/cgroup/unified".into(), None))
        );
    }
}
