//! Makes ready what a run needs from outside of its namespaces: reads the request, checks the spec, opens the sources of mounts and makes
//! their mount points. Unaware of the process that runs.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::enter::idmap::is_mapped;
use crate::process::init::Job;
use crate::process::terminal::Borrowed;
use crate::process::wire::{Descriptors, Request};
use crate::root::devices::Dev;
use crate::root::mounts::{Given, Source};
use crate::root::stubs::Stubs;
use crate::root::workdir;
use crate::{RunSpec, SpawnError, sys};

/// What the command's side gets, and what is to be put in order after it.
pub fn prepare(
    request: &Request,
    fds: Vec<OwnedFd>,
    dev: Option<Dev>,
) -> Result<(Job, Behind), SpawnError> {
    let mut fds = Descriptors::after_streams(fds)?;
    let (spec, root) = (read_spec(fds.next()?)?, fds.next()?);
    let (upper, stdin) = (fds.next_if(request.upper)?, fds.next_if(request.stdin)?);
    let borrowed = fds.next_if(request.borrowed)?.and_then(Borrowed::note);
    let mut roots: Vec<OwnedFd> = fds.0.collect();
    let sockets = roots.split_off(request.roots.min(roots.len()));
    let given = Given { roots, sockets };
    check(&spec)?;
    if upper.is_some() {
        let made = workdir::make(root.as_fd(), &spec);
        made.map_err(SpawnError::at("make the folder", &spec.cwd))?;
    }
    let mut stubs = Stubs::new(upper.filter(|_| !spec.is_thrown_away), spec.disabled);
    let sources = open_sources(&mut stubs, root.as_fd(), &spec, &given)?;
    let job = Job {
        spec,
        root,
        stdin,
        given,
        ignored: sys::ignored_signals(),
        sources,
        dev,
    };
    Ok((job, Behind { stubs, borrowed }))
}

/// What a command leaves behind.
#[derive(Debug)]
pub struct Behind {
    /// The mount points that are to be removed.
    pub stubs: Stubs,
    /// The terminal that is to be given back.
    pub borrowed: Option<Borrowed>,
}

/// Also makes the mount points.
fn open_sources(
    stubs: &mut Stubs,
    root: BorrowedFd<'_>,
    spec: &RunSpec,
    given: &Given,
) -> Result<Vec<Source>, SpawnError> {
    let mut ensure = |path: &str, is_folder: bool| {
        let made = stubs.ensure(root, Path::new(path), is_folder);
        made.map_err(SpawnError::at("make the mount point", path))
    };
    for folder in ["/proc", "/sys", "/dev"] {
        ensure(folder, true)?;
    }
    let mut sources = Vec::new();
    for mount in &spec.mounts {
        let (source, is_folder) = Source::open(mount, spec, given)?;
        ensure(&mount.target, is_folder)?;
        sources.push(source);
    }
    stubs.seal();
    Ok(sources)
}

pub(super) fn read_spec(file: OwnedFd) -> Result<RunSpec, SpawnError> {
    let mut json = Vec::new();
    let read = File::from(file).read_to_end(&mut json);
    read.map_err(SpawnError::of("read the spec"))?;
    serde_json::from_slice(&json).map_err(|error| SpawnError::Invalid(format!("the spec: {error}")))
}

pub(super) fn check(spec: &RunSpec) -> Result<(), SpawnError> {
    let invalid = |text: &str| Err(SpawnError::Invalid(text.to_owned()));
    if spec.argv.is_empty() {
        return invalid("there is no command to run");
    }
    let mut texts = spec.argv.iter().chain(&spec.env).chain([&spec.cwd]);
    if texts.any(|text| text.contains('\0')) {
        return invalid("a NUL byte in the command, its environment or its folder");
    }
    let mut targets = spec.mounts.iter().map(|mount| &mount.target);
    if let Some(target) = targets.find(|target| !target.starts_with('/')) {
        return invalid(&format!("the mount target {target:?} is not absolute"));
    }
    let (uid, gid) = (spec.uid, spec.gid);
    if is_mapped("/proc/self/uid_map", uid) && is_mapped("/proc/self/gid_map", gid) {
        return Ok(());
    }
    // root, and somebody else
    let has_range = is_mapped("/proc/self/uid_map", 1);
    Err(SpawnError::NoSuchId {
        uid,
        gid,
        has_range,
    })
}
