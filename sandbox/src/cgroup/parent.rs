//! The cgroup below which those of runs are made. Unaware of limits.
//!
//! Version 1: below the caller's own, in each hierarchy.
//!
//! Version 2 controls the children of a cgroup only while that cgroup holds no process itself (the root may). So, in this order:
//! - the caller is in the root: there;
//! - the caller is alone in its cgroup (a scope of `systemd-run`, a service, a container): it moves into a leaf of its own, and runs are
//!   made beside that leaf, so that what limits the caller limits them as well;
//! - others share the cgroup (the shell of a session): nothing of theirs is moved; runs are made beside it, in the cgroup above, unless
//!   that would free them from a limit that the shared one has.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::group::{self, CALLER};
use super::hierarchy::Hierarchy;
use super::{Version, why};

const ADVICE: &str = "start kiln in a cgroup of its own: systemd-run --scope -p Delegate=yes kiln build …, with --user for an ordinary user";

/// The folder, made if it is wished for by name; else the reason why there is none.
pub fn of(hierarchy: &Hierarchy, wished: Option<&str>) -> Result<PathBuf, String> {
    let (version, mount) = (hierarchy.version, &hierarchy.mount);
    if let Some(wished) = wished {
        let folder = mount.join(expand(wished).trim_start_matches('/'));
        make_all(mount, &folder, version)
            .map_err(|error| advised(version, &why(&folder, &error)))?;
        if version == Version::Two {
            may_move(hierarchy.own.as_deref().unwrap_or(mount), &folder)?;
        }
        return Ok(folder);
    }
    let mount = mount.as_path();
    let shown = mount.display();
    let outside = || format!("{shown} does not show kiln's own cgroup; {ADVICE}");
    let own = hierarchy.own.clone().ok_or_else(outside)?;
    match version {
        Version::One => Ok(own),
        Version::Two => unified(mount, own),
    }
}

/// The reason, with advice.
pub fn advised(version: Version, why: &str) -> String {
    match version {
        Version::One => format!("{why}; cgroups of version 1 belong to root"),
        Version::Two => format!("{why}; {ADVICE}"),
    }
}

/// Gives a controller to the children of a folder of version 2, which needs it to be given to every folder above first.
pub fn enable(mount: &Path, folder: &Path, controller: &str) -> Result<(), String> {
    let above: Vec<&Path> = folder.ancestors().collect();
    let above = above.into_iter().rev();
    for place in above.filter(|place| place.starts_with(mount)) {
        if lists(&place.join("cgroup.subtree_control"), controller) {
            continue;
        }
        if !lists(&place.join("cgroup.controllers"), controller) {
            return Err(format!(
                "{} has no controller {controller}; {ADVICE}",
                place.display()
            ));
        }
        group::write(
            &place.join("cgroup.subtree_control"),
            &format!("+{controller}"),
        )
        .map_err(|error| advised(Version::Two, &why(place, &error)))?;
    }
    Ok(())
}

fn lists(file: &Path, word: &str) -> bool {
    fs::read_to_string(file)
        .is_ok_and(|text| text.split_ascii_whitespace().any(|other| other == word))
}

fn unified(mount: &Path, own: PathBuf) -> Result<PathBuf, String> {
    let name = own.file_name().unwrap_or_default().to_string_lossy();
    if let (true, Some(above)) = (name.starts_with(CALLER), own.parent()) {
        return Ok(above.to_owned());
    }
    // Only the root has no type.
    if !own.join("cgroup.type").exists() {
        return Ok(own);
    }
    let failed = |error: io::Error| advised(Version::Two, &why(&own, &error));
    if is_alone(&own).map_err(failed)? {
        let leaf = own.join(group::new_name(CALLER));
        group::make(&leaf, Version::Two).map_err(failed)?;
        group::write(&leaf.join("cgroup.procs"), "0").map_err(failed)?;
        return Ok(own);
    }
    let refused = |why: &str| {
        Err(format!(
            "other processes are in kiln's cgroup, {why}; {ADVICE}"
        ))
    };
    match own.parent().filter(|above| above.starts_with(mount)) {
        None => refused("and none is above it here"),
        Some(_) if is_limited(&own) => refused("whose limits its RUNs would leave"),
        Some(above) => may_move(&own, above).map(|()| above.to_owned()),
    }
}

fn is_alone(own: &Path) -> io::Result<bool> {
    let processes = fs::read_to_string(own.join("cgroup.procs"))?;
    let this = std::process::id().to_string();
    Ok(processes.lines().all(|process| process == this))
}

fn is_limited(own: &Path) -> bool {
    ["memory.max", "memory.high", "cpu.max"]
        .iter()
        .filter_map(|file| fs::read_to_string(own.join(file)).ok())
        .any(|limit| !limit.starts_with("max"))
}

/// A process may change its cgroup only if its user may write the list of processes of the nearest cgroup above both.
fn may_move(from: &Path, to: &Path) -> Result<(), String> {
    let common = to
        .ancestors()
        .find(|above| from.starts_with(above))
        .unwrap_or(to);
    access(common.join("cgroup.procs"), Access::WRITE_OK)
        .map_err(|errno| advised(Version::Two, &why(common, &errno.into())))
}

/// As systemd reads the name of a slice: `a-b.slice` is in `a.slice`.
fn expand(name: &str) -> String {
    let Some(slice) = name
        .strip_suffix(".slice")
        .filter(|slice| !slice.contains('/'))
    else {
        return name.to_owned();
    };
    let ends = slice
        .match_indices('-')
        .map(|(end, _)| end)
        .chain([slice.len()]);
    let parts: Vec<String> = ends.map(|end| format!("{}.slice", &slice[..end])).collect();
    parts.join("/")
}

fn make_all(mount: &Path, folder: &Path, version: Version) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| above.starts_with(mount)) {
        make_all(mount, above, version)?;
    }
    match group::make(folder, version) {
        // Another build was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests;
