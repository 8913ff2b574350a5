//! On trees that look like cgroups, and on real ones of version 2 where the tests may make them.

use super::*;
use crate::cgroup::group::Group;
use std::process::Command;

/// A tree that looks like one of version 2: `slice/scope`, in which the processes are.
fn tree(processes: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let mount = tempfile::tempdir().unwrap();
    let slice = mount.path().join("slice");
    let scope = slice.join("scope");
    fs::create_dir_all(&scope).unwrap();
    for folder in [mount.path(), &slice, &scope] {
        fs::write(folder.join("cgroup.controllers"), "cpu memory\n").unwrap();
        fs::write(folder.join("cgroup.subtree_control"), "").unwrap();
        fs::write(folder.join("cgroup.procs"), "").unwrap();
    }
    for folder in [&slice, &scope] {
        fs::write(folder.join("cgroup.type"), "domain\n").unwrap();
    }
    fs::write(scope.join("cgroup.procs"), processes).unwrap();
    (mount, slice, scope)
}

#[test]
fn the_root_may_hold_processes() {
    let (mount, ..) = tree("");
    let own = mount.path().to_owned();
    assert_eq!(unified(mount.path(), own.clone()), Ok(own));
}

#[test]
fn who_is_not_alone_has_runs_beside() {
    let (mount, slice, scope) = tree(&format!("1\n{}\n", std::process::id()));
    assert_eq!(unified(mount.path(), scope.clone()), Ok(slice));
    fs::write(scope.join("memory.max"), "max\n").unwrap();
    fs::write(scope.join("cpu.max"), "50000 100000\n").unwrap();
    let refused = unified(mount.path(), scope.clone()).unwrap_err();
    assert!(
        refused.contains("limits") && refused.contains("systemd-run"),
        "{refused}"
    );
    let refused = unified(&scope, scope.clone()).unwrap_err();
    assert!(refused.contains("none is above"), "{refused}");
}

#[test]
fn who_is_alone_moves_and_stays_where_it_was() {
    let (mount, _, scope) = tree(&format!("{}\n", std::process::id()));
    // The kernel would have made the file in the leaf: this far and no further goes the imitation.
    assert!(unified(mount.path(), scope.clone()).is_err());
    let leaf = fs::read_dir(&scope)
        .unwrap()
        .flatten()
        .find(|entry| entry.path().is_dir());
    let leaf = leaf.unwrap().path();
    assert!(
        leaf.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(CALLER)
    );
    assert_eq!(unified(mount.path(), leaf), Ok(scope));
}

#[test]
fn controllers_are_given_from_the_top() {
    let (mount, slice, _) = tree("");
    enable(mount.path(), &slice, "memory").unwrap();
    for folder in [mount.path(), &slice] {
        let given = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap();
        assert_eq!(given, "+memory");
    }
    let refused = enable(mount.path(), &slice, "cpuset").unwrap_err();
    assert!(refused.contains("has no controller cpuset"), "{refused}");
}

#[test]
fn slices_are_in_slices() {
    assert_eq!(expand("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
    assert_eq!(expand("a.slice"), "a.slice");
    assert_eq!(expand("/x/a-b.slice"), "/x/a-b.slice");
    assert_eq!(expand("a-b"), "a-b");
}

#[test]
fn a_parent_is_made_with_all_above_it() {
    let (mount, _, scope) = tree("");
    let hierarchy = Hierarchy {
        version: Version::One,
        controllers: vec!["memory".to_owned()],
        mount: mount.path().to_owned(),
        own: Some(scope),
    };
    let made = of(&hierarchy, Some("/new/inner")).unwrap();
    assert_eq!(made, mount.path().join("new/inner"));
    assert!(made.is_dir());
}

/// A cgroup of the root of version 2, for the time of a test; the process goes back to where it was.
struct Real {
    mount: PathBuf,
    top: PathBuf,
    before: PathBuf,
    controller: String,
    was_on: bool,
}

impl Real {
    fn new() -> Result<Self, String> {
        let all = crate::cgroup::hierarchy::all().map_err(|error| error.to_string())?;
        let is_it = |hierarchy: &Hierarchy| hierarchy.version == Version::Two;
        let found = all.into_iter().find(is_it).ok_or("there is no version 2")?;
        let mount = found.mount;
        let words = |file| fs::read_to_string(mount.join(file)).unwrap_or_default();
        let (controllers, on) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
        let controller = controllers
            .split_whitespace()
            .next()
            .ok_or("it has no controllers")?;
        let top = mount.join(format!("kiln-test-{}", std::process::id()));
        fs::create_dir(&top).map_err(|error| format!("{}: {error}", top.display()))?;
        Ok(Self {
            top,
            before: found.own.ok_or("its mount does not show this process")?,
            controller: controller.to_owned(),
            was_on: on.split_whitespace().any(|word| word == controller),
            mount,
        })
    }

    /// A cgroup with this process in it.
    fn enter(&self, name: &str) -> PathBuf {
        let folder = self.top.join(name);
        fs::create_dir(&folder).unwrap();
        group::write(&folder.join("cgroup.procs"), "0").unwrap();
        folder
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(group::write(&self.before.join("cgroup.procs"), "0"));
        for scope in fs::read_dir(&self.top).into_iter().flatten().flatten() {
            for leaf in fs::read_dir(scope.path()).into_iter().flatten().flatten() {
                drop(fs::remove_dir(leaf.path()));
            }
            drop(fs::remove_dir(scope.path()));
        }
        drop(fs::remove_dir(&self.top));
        if !self.was_on {
            let off = format!("-{}", self.controller);
            drop(group::write(
                &self.mount.join("cgroup.subtree_control"),
                &off,
            ));
        }
    }
}

fn cgroup_of(process: u32) -> String {
    let cgroups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap();
    cgroups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap()
        .to_owned()
}

#[test]
fn the_kernel_agrees() {
    let real = match Real::new() {
        Ok(real) => real,
        Err(reason) => {
            println!("skipped: cgroups of version 2: {reason}");
            return;
        }
    };
    let Real {
        mount,
        top,
        controller,
        ..
    } = &real;
    let place_a_run = |parent: &Path| {
        enable(mount, parent, controller).unwrap();
        let group = Group::below(parent, Version::Two).unwrap();
        assert!(lists(&group.folder.join("cgroup.controllers"), controller));
        let mut run = Command::new("sleep").arg("60").spawn().unwrap();
        group.write("cgroup.procs", &run.id().to_string()).unwrap();
        let own = cgroup_of(run.id());
        assert!(group.folder.ends_with(own.trim_start_matches('/')), "{own}");
        run.kill().unwrap();
        run.wait().unwrap();
        let folder = group.folder.clone();
        drop(group);
        assert!(!folder.exists());
    };
    let alone = real.enter("alone");
    assert_eq!(unified(mount, alone.clone()), Ok(alone.clone()));
    assert!(cgroup_of(std::process::id()).contains(CALLER));
    place_a_run(&alone);
    let shared = real.enter("shared");
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    assert_eq!(unified(mount, shared.clone()), Ok(top.clone()));
    place_a_run(top);
    let refused = enable(mount, &shared, controller).unwrap_err();
    assert!(refused.contains("holds processes itself"), "{refused}");
    other.kill().unwrap();
    other.wait().unwrap();
}
