//! The most memory that this process may use, by its cgroups and the machine. Unaware of what it is for.

use std::fs;
use std::path::Path;

use super::Version;
use super::hierarchy::{self, Hierarchy};

/// The memory of the machine in bytes, or less if a cgroup of this process allows less.
pub fn memory_limit() -> u64 {
    let hierarchies = hierarchy::all().unwrap_or_default();
    let limits = hierarchies.iter().filter_map(of_hierarchy);
    limits.chain(machine()).min().unwrap_or(0)
}

/// The smallest limit from this process's cgroup up to the top that is visible.
fn of_hierarchy(hierarchy: &Hierarchy) -> Option<u64> {
    let has_memory = hierarchy.controllers.iter().any(|name| name == "memory");
    let file = match hierarchy.version {
        Version::One if !has_memory => return None,
        Version::One => "memory.limit_in_bytes",
        Version::Two => "memory.max",
    };
    // A container may not see its own path, but what is mounted is its own.
    let own = hierarchy.own.as_deref().unwrap_or(&hierarchy.mount);
    let folders = own.ancestors();
    let seen = folders.take_while(|folder| folder.starts_with(&hierarchy.mount));
    seen.filter_map(|folder| limit(&folder.join(file))).min()
}

/// `max` is no limit.
fn limit(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("a/b");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(folder.path().join("a/memory.max"), "4096\n").unwrap();
        fs::write(folder.path().join("memory.max"), "8192\n").unwrap();
        let hierarchy = Hierarchy {
            version: Version::Two,
            controllers: vec![String::new()],
            mount: folder.path().to_owned(),
            own: Some(own),
        };
        assert_eq!(of_hierarchy(&hierarchy), Some(4096));
        let hidden = Hierarchy {
            own: None,
            ..hierarchy
        };
        assert_eq!(of_hierarchy(&hidden), Some(8192));
        assert!(memory_limit() > 1 << 20, "the machine has some");
    }
}
