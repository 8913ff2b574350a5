//! Joins the cache's views and the sandbox's mounts: the one place that knows both. Unaware of what runs in them.

use crate::execute::live::Live;
use crate::execute::runner::Below;
use crate::failure::StepError;
use crate::plan::output::Stack;
use crate::session::Session;
use kiln_cache::{Chain, CopiedTree, Lower, Upper};
use kiln_oci::Digest;
use kiln_sandbox::{
    ChangesIn, MemoryFolder, MemoryGauge, OverlaySpec, RootMount, memory_for_changes, mount_folder,
    mount_overlay, plain_folder,
};
use std::path::{Path, PathBuf};

/// What is tried where the machine may allow no memory for changes.
pub const MOUNT_MEMORY: &str = "mount memory on";

/// What takes the changes of one process, to its root and to what is mounted in it.
#[derive(Debug)]
pub enum Space {
    /// The store.
    Store,
    /// Memory, for all of them together.
    Memory(MemoryFolder),
    /// Copies of what is changed.
    Copy,
    /// The same, and nothing is mounted.
    Plain,
}

/// What a process left.
#[derive(Debug)]
pub enum Changes {
    /// An overlay's upper.
    Upper(Upper),
    /// The copy that it worked on.
    Copy(CopiedTree),
}

impl Changes {
    /// Gives back the room that they take.
    pub fn discard(&self, session: &Session) -> Result<(), StepError> {
        let folder = match self {
            Self::Upper(upper) => upper.upper.parent().unwrap_or(&upper.upper),
            Self::Copy(copy) => &copy.path,
        };
        Ok(session.store.scratch().discard(folder)?)
    }
}

impl Space {
    /// Room for one process in such a place.
    pub fn open(session: &Session, place: ChangesIn) -> Result<Self, StepError> {
        Ok(match place {
            ChangesIn::Store => Space::Store,
            ChangesIn::Copy => Space::Copy,
            ChangesIn::Memory => {
                let path = session.store.scratch().dir("memory")?;
                let size = memory_for_changes();
                let folder = MemoryFolder::mount(&path, size, session.rootless);
                Space::Memory(folder.map_err(failed(MOUNT_MEMORY, &path))?)
            }
        })
    }

    /// Whether what it holds is in one place only, since nothing is mounted.
    pub fn is_plain(&self) -> bool {
        matches!(self, Space::Plain)
    }

    /// What tells how full it is, where it can be full before the disk is.
    pub fn gauge(&self) -> Option<MemoryGauge> {
        match self {
            Space::Memory(folder) => folder.gauge().ok(),
            Space::Store | Space::Copy | Space::Plain => None,
        }
    }

    fn upper(&self, session: &Session, below: &Chain) -> Result<Upper, StepError> {
        let Space::Memory(folder) = self else {
            return Ok(session.store.views().new_upper(below)?);
        };
        let taken = std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
        let place = folder.path().join(taken.to_string());
        std::fs::create_dir(&place).map_err(failed("make", &place))?;
        Ok(session.store.views().upper_in(&place, below)?)
    }

    /// Mounts what is below a process, writable; for a container of this ID with what that has changed before, which is to be kept or not.
    ///
    /// # Errors
    /// When the view cannot be made or the kernel refuses.
    pub fn root(
        &self,
        session: &Session,
        below: &Below<'_>,
        container: Option<(&str, bool)>,
    ) -> Result<(RootMount, Changes), StepError> {
        match self {
            Space::Copy => copied(session, &(below.written)()?),
            Space::Plain => {
                plain(session, &(below.written)()?).map(|(root, copy)| (root, Changes::Copy(copy)))
            }
            _ => self.writable(session, below.live, container),
        }
    }

    fn writable(
        &self,
        session: &Session,
        live: &Live,
        container: Option<(&str, bool)>,
    ) -> Result<(RootMount, Changes), StepError> {
        let layers = &live.base.layers;
        let below = session.store.layers().chain(layers)?;
        let upper = match container {
            Some((id, _)) => session.store.containers().upper(id, &below)?,
            None => self.upper(session, &below)?,
        };
        let view = session.store.views().get(layers)?;
        // The guards keep the uppers where they are until the kernel holds them.
        let places: Vec<_> = live.uppers.iter().rev().map(|live| live.lower()).collect();
        let lowers = places.iter().map(|place| place.path.clone());
        let lowers: Vec<PathBuf> = lowers.chain(view.lowers.into_iter().map(folder)).collect();
        let keeps = container.is_some_and(|(_, keeps)| keeps);
        let mount = overlay(session, &lowers, Some((&upper, keeps)))?;
        drop(places);
        Ok((mount, Changes::Upper(upper)))
    }

    /// Mounts layers read-only, or writable with changes that are thrown away.
    pub fn borrowed(
        &self,
        session: &Session,
        stack: &Stack,
        writable: bool,
    ) -> Result<RootMount, StepError> {
        match self {
            Space::Copy => return Ok(copied(session, &stack.layers)?.0),
            Space::Plain => return Ok(plain(session, &stack.layers)?.0),
            Space::Store | Space::Memory(_) => {}
        }
        if writable {
            let live = Live::finished(stack.clone());
            return Ok(self.writable(session, &live, None)?.0);
        }
        let view = session.store.views().get(&stack.layers)?;
        let lowers: Vec<PathBuf> = view.lowers.into_iter().map(folder).collect();
        overlay(session, &lowers, None)
    }

    /// Mounts a folder of the machine writable, with changes that are thrown away.
    ///
    /// # Errors
    /// When there is no place for changes or the kernel refuses.
    pub fn above_folder(&self, session: &Session, folder: &Path) -> Result<RootMount, StepError> {
        if let Space::Copy | Space::Plain = self {
            let lack = "-v FOLDER:PATH:O needs an overlay, which is not possible with this store: give the store a volume";
            return Err(StepError::Unsupported(lack.to_owned()));
        }
        let upper = self.upper(session, &Chain::new(Vec::new()))?;
        // The folder itself is seen with the mode of the upper.
        let permissions = std::fs::metadata(folder).map(|meta| meta.permissions());
        let set = permissions.and_then(|mode| std::fs::set_permissions(&upper.upper, mode));
        set.map_err(failed("mount", folder))?;
        overlay(session, &[folder.to_owned()], Some((&upper, false)))
    }
}

/// What is given to overlayfs for a lower of a view.
fn folder(lower: Lower) -> PathBuf {
    match lower {
        Lower::Directory(path) => path,
    }
}

fn copied(session: &Session, layers: &[Digest]) -> Result<(RootMount, Changes), StepError> {
    let copy = session.store.views().copy_tree(layers)?;
    Ok((mount_folder(&copy.path)?, Changes::Copy(copy)))
}

fn plain(session: &Session, layers: &[Digest]) -> Result<(RootMount, CopiedTree), StepError> {
    let copy = session.store.views().copy_tree(layers)?;
    let aside = session.store.scratch().dir("aside")?;
    Ok((plain_folder(&copy.path, &aside)?, copy))
}

/// With an upper it is writable; its changes may have to be kept.
fn overlay(
    session: &Session,
    lowers: &[PathBuf],
    upper: Option<(&Upper, bool)>,
) -> Result<RootMount, StepError> {
    let keeps = upper.is_some_and(|(_, keeps)| keeps);
    let spec = OverlaySpec {
        lowers,
        upper: upper.map(|(upper, _)| (&*upper.upper, &*upper.work)),
        rootless: session.rootless,
        keeps,
    };
    Ok(mount_overlay(&spec, session.disabled)?)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StepError {
    let path = path.to_owned();
    move |source| StepError::Io {
        action,
        path,
        source,
    }
}
