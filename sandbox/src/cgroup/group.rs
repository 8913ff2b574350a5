//! The folders of one run's cgroup, from creation to removal: one, or one for each hierarchy of version 1. Unaware of what is written into
//! them.
//!
//! A folder's name says who made it (`kiln-run-PIDNAMESPACE-PID-NUMBER`), so that the folders of a killed maker are recognised and removed
//! later. Whether a maker is gone can be seen only in the same PID namespace. The kernel does not remove a cgroup that holds a process, so
//! a mistake costs nothing. Nothing here kills: the first process of a run's PID namespace takes all others with it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Version;

/// The first part of the name of a run's folder.
pub const RUN: &str = "kiln-run-";
/// The first part of the name of the folder of a caller that had to leave its own cgroup.
pub const CALLER: &str = "kiln-self-";

/// One folder of a cgroup. Dropping it removes it; if it is still busy then, [`clear`] removes it later.
#[derive(Debug)]
pub struct Group {
    pub folder: PathBuf,
    version: Version,
}

impl Group {
    /// Makes one.
    pub fn below(parent: &Path, version: Version) -> io::Result<Self> {
        let folder = parent.join(new_name(RUN));
        make(&folder, version).inspect_err(|_| drop(fs::remove_dir(&folder)))?;
        Ok(Self { folder, version })
    }

    /// Writes one of its files.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        write(&self.folder.join(file), value)
    }

    /// Moves the calling process, which has one thread, into it.
    pub fn join(&self) -> io::Result<()> {
        self.write("cgroup.procs", "0")
    }

    /// Whether a process in it was killed because memory ran out.
    pub fn ran_out_of_memory(&self) -> bool {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let mut counts = text
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "));
        counts.any(|count| count.trim() != "0")
    }

    /// Time of processors that its processes have used, if it counts that.
    pub fn cpu(&self) -> Option<Duration> {
        match self.version {
            Version::One => self.number("cpuacct.usage").map(Duration::from_nanos),
            Version::Two => {
                let text = self.read("cpu.stat")?;
                let mut micros = text
                    .lines()
                    .filter_map(|line| line.strip_prefix("usage_usec "));
                micros
                    .next()?
                    .trim()
                    .parse()
                    .ok()
                    .map(Duration::from_micros)
            }
        }
    }

    /// The most bytes of memory that its processes have had, if it counts that.
    pub fn memory(&self) -> Option<u64> {
        self.number(match self.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        })
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.read(file)?.trim().parse().ok()
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The processes are gone, but the kernel may need a moment to notice.
        for _ in 0..20 {
            match remove(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

/// Makes a folder. In version 1 it gets the processors and nodes of the one above; without these nothing can join.
pub fn make(folder: &Path, version: Version) -> io::Result<()> {
    fs::create_dir(folder)?;
    let above = folder.parent().unwrap_or(folder);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if version == Version::One
            && fs::read_to_string(folder.join(file)).is_ok_and(|list| list.trim().is_empty())
        {
            write(
                &folder.join(file),
                fs::read_to_string(above.join(file))?.trim(),
            )?;
        }
    }
    Ok(())
}

/// Writes an existing file in one call: for the kernel each call is one value.
pub fn write(file: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value.as_bytes())
}

/// Removes the folders of makers that are gone.
pub fn clear(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.filter(|name| is_abandoned(name)) {
        // If this fails, the next caller removes it.
        let _ = remove(&parent.join(name));
    }
}

/// A name that nobody else has.
pub fn new_name(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!(
        "{prefix}{}-{}-{number}",
        pid_namespace(),
        std::process::id()
    )
}

fn is_abandoned(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(RUN).or(name.strip_prefix(CALLER)) else {
        return false;
    };
    let mut numbers = rest.split('-').map(str::parse::<u64>);
    let (Some(Ok(namespace)), Some(Ok(pid))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    namespace == pid_namespace() && !Path::new("/proc").join(pid.to_string()).exists()
}

/// Its number; 0, which nobody has, if it cannot be read.
fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// Removes a cgroup and those in it, which a privileged command may have made.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_abandoned_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let namespace = pid_namespace();
        // Above every pid_max.
        let gone = format!("{RUN}{namespace}-4294967295-0");
        let left = format!("{CALLER}{namespace}-4294967294-0");
        let alive = new_name(RUN);
        let foreign = format!("{RUN}{}-4294967295-0", namespace + 1);
        let other = format!("{RUN}x");
        for name in [&gone, &left, &alive, &foreign, &other] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        fs::create_dir(parent.path().join(&gone).join("inner")).unwrap();
        clear(parent.path());
        let mut stay: Vec<_> = fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        stay.sort();
        let mut expected = vec![alive, foreign, other];
        expected.sort();
        assert_eq!(stay, expected);
    }

    #[test]
    fn what_was_used_is_read_in_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let used = |version| {
            let group = Group {
                folder: folder.path().to_owned(),
                version,
            };
            let used = (group.cpu(), group.memory());
            std::mem::forget(group);
            used
        };
        assert_eq!(used(Version::One), (None, None));
        assert_eq!(used(Version::Two), (None, None));
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        write("cpuacct.usage", "5000\n");
        write("memory.max_usage_in_bytes", "4096\n");
        write("cpu.stat", "nr_periods 1\nusage_usec 7\nuser_usec 3\n");
        write("memory.peak", "8192\n");
        let micros = Duration::from_micros;
        assert_eq!(used(Version::One), (Some(micros(5)), Some(4096)));
        assert_eq!(used(Version::Two), (Some(micros(7)), Some(8192)));
    }

    #[test]
    fn memory_that_ran_out_is_seen_in_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let told = |version, file: &str, text: &str| {
            fs::write(folder.path().join(file), text).unwrap();
            let group = Group {
                folder: folder.path().to_owned(),
                version,
            };
            let told = group.ran_out_of_memory();
            std::mem::forget(group);
            told
        };
        let one = |text| told(Version::One, "memory.oom_control", text);
        assert!(one("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"));
        assert!(!one("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"));
        let two = |text| told(Version::Two, "memory.events", text);
        assert!(two("oom 1\noom_kill 1\noom_group_kill 0\n"));
        assert!(!two("oom 1\noom_kill 0\noom_group_kill 0\n"));
    }
}
