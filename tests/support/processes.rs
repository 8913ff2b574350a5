//! What is left on the machine of a build: processes and mounts. Unaware of how builds are started.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A time to sleep, in seconds, that no other process of the machine sleeps: a command by which it is found.
pub fn unique_nap() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    format!("250.{:07}{number:04}", std::process::id())
}

/// The processes that have this argument.
pub fn with_argument(argument: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|&byte| byte == 0);
        words.any(|word| word == argument.as_bytes())
    };
    all().filter(has).collect()
}

/// The processes that run the containers of a store in the background.
pub fn supervisors(store: &Path) -> Vec<i32> {
    let store = format!("KILN_STORE={}", store.display());
    let is_one = |pid: &i32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let mut variables = read("cmdline")
            .starts_with(b"kiln-container")
            .then(|| read("environ"));
        let variables = variables.get_or_insert_default();
        variables
            .split(|&byte| byte == 0)
            .any(|variable| variable == store.as_bytes())
    };
    all().filter(is_one).collect()
}

/// The processes that a process has started, and those that these have, with their names.
pub fn descendants(of: i32) -> Vec<(i32, String)> {
    let parent = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let parent: i32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent, name.to_owned()))
    };
    let all: Vec<_> = all().filter_map(parent).collect();
    let mut found = vec![(of, String::new())];
    let mut next = 0;
    while let Some((pid, _)) = found.get(next) {
        let pid = *pid;
        let children = all.iter().filter(|(_, parent, _)| *parent == pid);
        found.extend(children.map(|(child, _, name)| (*child, name.clone())));
        next += 1;
    }
    found.split_off(1)
}

/// Ends a process.
pub fn end(pid: i32) {
    // It may have ended by itself.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

/// Waits until a process with this argument is there; its id.
#[track_caller]
pub fn appears(argument: &str) -> i32 {
    let mut found = Vec::new();
    eventually(&format!("no process {argument}"), || {
        found = with_argument(argument);
        !found.is_empty()
    });
    found[0]
}

/// Waits until no process mentions the folder: in its arguments, in its mounts, in what it has open.
#[track_caller]
pub fn nothing_left(folder: &Path) {
    let text = folder.to_str().unwrap();
    eventually(&format!("something is left of {text}"), || {
        !all().any(|pid| mentions(pid, text))
    });
}

fn mentions(pid: i32, folder: &str) -> bool {
    if pid.unsigned_abs() == std::process::id() {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // The file system that a case itself mounts for its store ends with the name of its folder.
        return mounts
            .lines()
            .any(|line| line.contains(&format!("{folder}/")));
    }
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    String::from_utf8_lossy(&arguments).contains(folder)
        || mounts.contains(&format!("{folder}/"))
        || open.any(|path| path.starts_with(folder))
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Waits for something that has to come soon; long enough for a busy machine.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
