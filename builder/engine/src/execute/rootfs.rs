//! Joins the cache's views and the sandbox's mounts: the one place that knows both. Unaware of what runs in them.

use crate::failure::StepError;
use crate::plan::output::{Live, Stack};
use crate::session::Session;
use kiln_cache::{Chain, CopiedTree, Lower, Upper};
use kiln_sandbox::{
    ChangesIn, MemoryFolder, MemoryGauge, OverlaySpec, RootMount, memory_for_changes, mount_folder,
    mount_overlay,
};
use std::path::{Path, PathBuf};

/// What takes the changes of one step, to its root and to what is mounted in it.
#[derive(Debug)]
pub enum Space {
    /// The store.
    Store,
    /// Memory, for all of them together.
    Memory(MemoryFolder),
    /// Copies of what is changed.
    Copy,
}

/// What a step left.
#[derive(Debug)]
pub enum Changes {
    /// An overlay's upper.
    Upper(Upper),
    /// The copy that it worked on.
    Copy(CopiedTree),
}

/// A mounted root file system and what takes its changes.
#[derive(Debug)]
pub struct Rootfs {
    /// The mount.
    pub mount: RootMount,
    /// Where changes go.
    pub changes: Changes,
}

impl Space {
    /// Room for one step in such a place.
    ///
    /// # Errors
    /// There is no such room here.
    pub fn open(session: &Session, place: ChangesIn) -> Result<Self, StepError> {
        Ok(match place {
            ChangesIn::Store => Space::Store,
            ChangesIn::Copy => Space::Copy,
            ChangesIn::Memory => {
                let path = session.store.scratch().dir("memory")?;
                let size = memory_for_changes();
                let folder = MemoryFolder::mount(&path, size, session.rootless);
                Space::Memory(folder.map_err(|source| StepError::Io {
                    action: "mount memory on",
                    path,
                    source,
                })?)
            }
        })
    }

    /// What tells how full it is, where it can be full before the disk is.
    pub fn gauge(&self) -> Option<MemoryGauge> {
        match self {
            Space::Memory(folder) => folder.gauge().ok(),
            Space::Store | Space::Copy => None,
        }
    }

    fn upper(&self, session: &Session, below: &Chain) -> Result<Upper, StepError> {
        let Space::Memory(folder) = self else {
            return Ok(session.store.views().new_upper(below)?);
        };
        let taken = std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
        let place = folder.path().join(taken.to_string());
        std::fs::create_dir(&place).map_err(|source| StepError::Io {
            action: "make",
            path: place.clone(),
            source,
        })?;
        Ok(session.store.views().upper_in(&place, below)?)
    }
}

/// Mounts `base`, with uppers that are not committed yet, writable.
///
/// # Errors
/// When the view cannot be made or the kernel refuses.
pub fn writable(session: &Session, base: &Live, space: &Space) -> Result<Rootfs, StepError> {
    if let Space::Copy = space {
        return copied(session, &base.base);
    }
    let below = session.store.layers().chain(&base.base.layers)?;
    let upper = space.upper(session, &below)?;
    let view = session.store.views().get(&base.base.layers)?;
    // The guards keep the uppers where they are until the kernel holds them.
    let places: Vec<_> = base
        .uppers
        .iter()
        .rev()
        .map(|upper| upper.place())
        .collect();
    let lowers: Vec<PathBuf> = places
        .iter()
        .map(|place| PathBuf::clone(place))
        .chain(view.lowers.into_iter().map(folder))
        .collect();
    let mount = above(session, &lowers, &upper)?;
    drop(places);
    Ok(Rootfs {
        mount,
        changes: Changes::Upper(upper),
    })
}

fn copied(session: &Session, stack: &Stack) -> Result<Rootfs, StepError> {
    let copy = session.store.views().copy_tree(&stack.layers)?;
    Ok(Rootfs {
        mount: mount_folder(&copy.path)?,
        changes: Changes::Copy(copy),
    })
}

/// Mounts `stack` read-only, or writable with changes that are thrown away.
///
/// # Errors
/// As [`writable`].
pub fn borrowed(
    session: &Session,
    stack: &Stack,
    writable: bool,
    space: &Space,
) -> Result<RootMount, StepError> {
    if writable || matches!(space, Space::Copy) {
        let live = Live {
            base: stack.clone(),
            uppers: Vec::new(),
        };
        return Ok(self::writable(session, &live, space)?.mount);
    }
    let view = session.store.views().get(&stack.layers)?;
    let lowers: Vec<PathBuf> = view.lowers.into_iter().map(folder).collect();
    let spec = OverlaySpec {
        lowers: &lowers,
        upper: None,
        rootless: session.rootless,
    };
    Ok(mount_overlay(&spec, session.disabled)?)
}

/// Mounts a folder of the machine writable, with changes that are thrown away.
///
/// # Errors
/// When there is no place for changes or the kernel refuses.
pub fn above_folder(
    session: &Session,
    folder: &Path,
    space: &Space,
) -> Result<RootMount, StepError> {
    if let Space::Copy = space {
        let lack = "-v FOLDER:PATH:O needs an overlay, which cannot be had with this store: give the store a volume";
        return Err(StepError::Unsupported(lack.to_owned()));
    }
    let upper = space.upper(session, &Chain::new(Vec::new()))?;
    // the upper's mode is what is seen of the folder itself
    let permissions = std::fs::metadata(folder).map(|meta| meta.permissions());
    let set = permissions.and_then(|mode| std::fs::set_permissions(&upper.upper, mode));
    set.map_err(|source| StepError::Io {
        action: "mount",
        path: folder.into(),
        source,
    })?;
    above(session, &[folder.to_owned()], &upper)
}

/// What is given to overlayfs for a lower of a view.
fn folder(lower: Lower) -> PathBuf {
    match lower {
        Lower::Directory(path) => path,
    }
}

fn above(session: &Session, lowers: &[PathBuf], upper: &Upper) -> Result<RootMount, StepError> {
    let spec = OverlaySpec {
        lowers,
        upper: Some((&upper.upper, &upper.work)),
        rootless: session.rootless,
    };
    Ok(mount_overlay(&spec, session.disabled)?)
}
