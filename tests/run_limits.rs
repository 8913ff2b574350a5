//! How much of the machine a RUN may use: `--memory`, `--cpus` and their family, set by cgroups where whoever runs kiln may do that,
//! warned about elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::support::mode::skip;
use crate::support::processes::{eventually, nothing_left};
use crate::support::{Finished, Space, cases, plain_cases};

cases! {
    memory_is_limited,
    processors_are_limited,
    a_user_sets_limits_below_its_own,
}

plain_cases! {
    values_are_checked,
    limits_are_no_part_of_keys,
    without_cgroups_there_is_a_warning,
    cgroups_are_made_below_a_parent,
    nothing_is_left_after_a_kill,
}

/// What a RUN sees of its own limits, in either version of cgroups.
const SHOW: &str = "FROM tools
RUN for file in memory/memory.limit_in_bytes memory.max memory/memory.memsw.limit_in_bytes memory.swap.max cpu/cpu.shares cpu.weight cpu/cpu.cfs_quota_us cpu.max; do [ -e /sys/fs/cgroup/$file ] && echo $file $(cat /sys/fs/cgroup/$file); done; while read name value; do case $name in Cpus_allowed_list:) echo processors $value;; esac; done < /proc/self/status
";

const GREEDY: &str = "FROM tools\nRUN a=0123456789abcdef; while :; do a=$a$a; done\n";

/// Whether the build was limited. If not, it says so; where the tests can make a cgroup themselves, that would be wrong.
fn is_limited(space: &Space, built: &Finished, flag: &str) -> bool {
    let told = |line: &&str| {
        let mut words = line.split([' ', ',']);
        line.contains(" no effect: ") && words.any(|word| word == flag)
    };
    let Some(told) = built.stderr.lines().find(told) else {
        return true;
    };
    assert!(told.starts_with("warning"), "{built}");
    let could =
        !space.mode.is_rootless() && own_of_version_1().is_some_and(|folder| can_make(&folder));
    assert!(!could, "it could be limited: {built}");
    skip("limits of RUN", space.mode, told);
    false
}

/// The memory cgroup of the tests, in version 1.
fn own_of_version_1() -> Option<PathBuf> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = cgroups
        .lines()
        .find_map(|line| line.split_once(":memory:"))?
        .1
        .to_owned();
    let folder = Path::new("/sys/fs/cgroup/memory").join(path.trim_start_matches('/'));
    folder.is_dir().then_some(folder)
}

fn can_make(folder: &Path) -> bool {
    let made = folder.join(format!("kiln-e2e-{}", std::process::id()));
    fs::create_dir(&made).is_ok() && fs::remove_dir(&made).is_ok()
}

fn memory_is_limited(space: &Space) {
    let built = space.build(SHOW).args(["-m", "64m"]).ok();
    if !is_limited(space, &built, "--memory") {
        return;
    }
    let output = built.output();
    let limit = [
        "memory/memory.limit_in_bytes 67108864",
        "memory.max 67108864",
    ];
    assert!(output.iter().any(|line| limit.contains(line)), "{built}");
    // The command is killed, is told why, and the machine is fine.
    let killed = space.build(GREEDY).arg("--memory=64m").exits(1);
    killed.says(&[
        "killed: it used more than the 64 MiB that --memory allows",
        "raise the limit with --memory",
        "Dockerfile:2",
    ]);
    let survivor = "FROM tools\nRUN sh -c 'a=0123456789abcdef; while :; do a=$a$a; done'; exit 3\n";
    let failed = space.build(survivor).arg("--resource=memory=64m").exits(1);
    failed.says(&["a process was killed (exit code 3): it used more than the 64 MiB"]);
    // What is not killed for its memory is not said to be.
    let failed = space
        .build("FROM tools\nRUN exit 137\n")
        .arg("-m=64m")
        .exits(1);
    failed
        .says(&["exit code 137"])
        .never_says(&["--memory allows"]);
}

fn processors_are_limited(space: &Space) {
    let flags = ["--cpu-shares=512", "--cpus=0.5", "--cpuset-cpus=0"];
    let built = space.build(SHOW).args(flags).ok();
    let output = built.output();
    let shows = |lines: &[&str]| {
        assert!(
            output.iter().any(|line| lines.contains(line)),
            "{lines:?}: {built}"
        );
    };
    if is_limited(space, &built, "--cpu-shares") {
        shows(&["cpu/cpu.shares 512", "cpu.weight 59"]);
    }
    if is_limited(space, &built, "--cpus") {
        shows(&["cpu/cpu.cfs_quota_us 50000", "cpu.max 50000 100000"]);
    }
    if is_limited(space, &built, "--cpuset-cpus") {
        shows(&["processors 0"]);
        let absent = space.build(SHOW).arg("--cpuset-cpus=60000").exits(2);
        absent.says(&["--cpuset-cpus 60000: this machine offers 0"]);
    }
}

fn values_are_checked(space: &Space) {
    let refused = |flags: &str, why: &str| {
        let refused = space
            .build("FROM scratch\nLABEL a=b\n")
            .args(flags.split(' '));
        refused.exits(2).says(&["--", why]);
    };
    refused("--memory=5m", "the minimum is 6m");
    refused("-m -1", "not a size");
    refused("--memory-swap=1g", "needs --memory");
    refused("-m 1g --memory-swap=512m", "cannot be less than --memory");
    refused("--cpus=1 --cpu-quota=5000", "--cpus is a quota");
    refused("--cpu-period=5", "the minimum is 1000");
    refused("--cpuset-cpus=a", "numbers and ranges");
    refused("--resource=disk=1g", "there is no resource \"disk\"");
    refused("--cgroup-parent=a/../b", "path of a cgroup");
    let none = "--memory=0 --memory-swap=0 --cpus=0 --cpu-quota=-1 --cpuset-cpus= --cgroup-parent=";
    let built = space
        .build("FROM scratch\nLABEL a=b\n")
        .args(none.split(' '))
        .ok();
    built.never_says(&["no effect"]);
}

fn limits_are_no_part_of_keys(space: &Space) {
    let text = "FROM tools\nRUN echo once > /file\n";
    let build = |flags: &[&str]| space.build_json(text).args(flags).ok().events();
    assert_eq!(build(&["--memory=1g"]).ran().len(), 1);
    assert_eq!(build(&["--memory=512m", "--cpu-shares=2"]).ran(), [""; 0]);
    assert_eq!(build(&[]).ran(), [""; 0]);
}

fn without_cgroups_there_is_a_warning(space: &Space) {
    let build = |flags: &[&str]| {
        let build = space.build("FROM tools\nRUN echo ran\n").args(flags);
        build.env("KILN_DISABLE", "cgroups").ok()
    };
    build(&[]).never_says(&["no effect"]);
    let built = build(&["-m", "64m", "--cpus=1", "--no-cache"]);
    built.says(&[
        "warning",
        "--memory, --cpus have no effect: cgroups are disabled",
    ]);
    assert_eq!(built.output(), ["ran"]);
    let doctor = space.kiln(["doctor"]).env("KILN_DISABLE", "cgroups").ok();
    assert!(
        doctor
            .stdout
            .contains("limits: runs cannot be limited in memory"),
        "{doctor}"
    );
}

/// A cgroup of the root that no other test has, removed at the end.
struct Parent(String);

impl Parent {
    fn new(space: &Space, case: &str) -> Self {
        let (mode, process) = (space.mode, std::process::id());
        Self(format!("/kiln-e2e-{case}-{mode:?}-{process}"))
    }

    /// Its folders in all hierarchies.
    fn folders(&self) -> Vec<PathBuf> {
        let top = Path::new("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(top).into_iter().flatten().flatten();
        let mounts = hierarchies
            .map(|entry| entry.path())
            .chain([top.to_owned()]);
        let folders = mounts.map(|mount| mount.join(self.0.trim_start_matches('/')));
        folders.filter(|folder| folder.is_dir()).collect()
    }

    /// The cgroups below it.
    fn runs(&self) -> Vec<PathBuf> {
        let entries = self
            .folders()
            .into_iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap());
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for folder in self.folders() {
            drop(fs::remove_dir(folder));
        }
    }
}

/// Whether cgroups can be made below that parent. If not, it is told.
fn is_possible(space: &Space, parent: &Parent) -> bool {
    let build = space.build("FROM tools\nRUN echo ran\n").arg("--no-cache");
    let built = build.args(["--cgroup-parent", &parent.0]).ok();
    assert_eq!(built.output(), ["ran"]);
    is_limited(space, &built, "--cgroup-parent")
}

fn cgroups_are_made_below_a_parent(space: &Space) {
    let parent = Parent::new(space, "parent");
    if !is_possible(space, &parent) {
        return assert!(parent.folders().is_empty());
    }
    let build = space.build("FROM tools\nRUN sleep 60\n");
    let running = build.args(["--cgroup-parent", &parent.0]).spawn();
    let holds = |run: &PathBuf| {
        fs::read_to_string(run.join("cgroup.procs")).is_ok_and(|list| !list.is_empty())
    };
    eventually("a process in the cgroup", || {
        parent.runs().iter().any(holds)
    });
    running.signal(Signal::TERM);
    running.wait();
    assert!(parent.runs().is_empty(), "{:?}", parent.runs());
    // Left by somebody who is gone.
    for folder in parent.folders() {
        fs::create_dir(folder.join(abandoned())).unwrap();
    }
    assert!(is_possible(space, &parent));
    assert!(parent.runs().is_empty(), "{:?}", parent.runs());
}

/// What an administrator does for a user in version 1: a folder of its own in each hierarchy.
fn give_cgroups(space: &Space, parent: &Parent) -> std::io::Result<()> {
    for controller in ["memory", "cpu", "cpuset"] {
        let mount = Path::new("/sys/fs/cgroup").join(controller);
        let folder = mount.join(parent.0.trim_start_matches('/'));
        fs::create_dir(&folder)?;
        space.give(&folder);
        for list in ["cpuset.cpus", "cpuset.mems"] {
            if controller == "cpuset" {
                fs::write(folder.join(list), fs::read(mount.join(list))?)?;
            }
        }
    }
    Ok(())
}

fn a_user_sets_limits_below_its_own(space: &Space) {
    let parent = Parent::new(space, "own");
    if let Err(error) = give_cgroups(space, &parent) {
        return skip(
            "limits below a user's own cgroup",
            space.mode,
            &error.to_string(),
        );
    }
    let build = |text: &str| {
        let flags = ["-m=64m", "--cpus=0.5", "--cpuset-cpus=0", "--cgroup-parent"];
        space.build(text).args(flags).arg(&parent.0)
    };
    let built = build(SHOW).ok();
    built.never_says(&["no effect"]).says(&[
        "memory/memory.limit_in_bytes 67108864",
        "cpu/cpu.cfs_quota_us 50000",
        "processors 0\n",
    ]);
    build(GREEDY)
        .exits(1)
        .says(&["more than the 64 MiB that --memory allows"]);
    assert!(parent.runs().is_empty(), "{:?}", parent.runs());
}

/// The name of a cgroup whose maker is gone: above every number that a process can have.
fn abandoned() -> String {
    use std::os::unix::fs::MetadataExt;
    let namespace = fs::metadata("/proc/self/ns/pid").unwrap().ino();
    format!("kiln-run-{namespace}-4294967295-0")
}

fn nothing_is_left_after_a_kill(space: &Space) {
    let parent = Parent::new(space, "kill");
    let is_possible = is_possible(space, &parent);
    let kill = |at: &dyn Fn() -> bool| {
        let build = space.build("FROM tools\nRUN sleep 60\n");
        let running = build.args(["-m=64m", "--cgroup-parent", &parent.0]).spawn();
        while is_possible && !at() {
            std::thread::yield_now();
        }
        running.signal(Signal::KILL);
        running.wait();
        nothing_left(&space.store());
        eventually("no cgroup", || parent.runs().is_empty());
    };
    // What is there first tries the limits in one hierarchy after the other; the run has a cgroup in all of them at once.
    let folders = parent.folders();
    for folder in &folders {
        kill(&|| {
            fs::read_dir(folder)
                .unwrap()
                .flatten()
                .any(|entry| entry.path().is_dir())
        });
    }
    kill(&|| parent.runs().len() >= folders.len());
}
