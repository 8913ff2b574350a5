//! Joins the cache's views and the sandbox's mounts: the one place that knows both. Unaware of what runs in them.

use crate::failure::StepError;
use crate::output::{Live, Stack};
use crate::session::Session;
use kiln_cache::{Chain, Upper};
use kiln_sandbox::{OverlaySpec, RootMount, mount_overlay};
use std::path::{Path, PathBuf};

/// A mounted root file system and the directory that takes its changes.
#[derive(Debug)]
pub struct Rootfs {
    /// The mount.
    pub mount: RootMount,
    /// Where changes go.
    pub upper: Upper,
}

/// Mounts `base`, with uppers that are not committed yet, writable.
///
/// # Errors
/// When the view cannot be made or the kernel refuses.
pub fn writable(session: &Session, base: &Live) -> Result<Rootfs, StepError> {
    let below = session.store.chain(&base.base.layers)?;
    let upper = session.store.new_upper(&below)?;
    let view = session.store.view(&base.base.layers)?;
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
        .chain(view.lowers)
        .collect();
    let spec = OverlaySpec {
        lowers: &lowers,
        upper: Some((&upper.upper, &upper.work)),
        rootless: session.rootless,
    };
    let mount = mount_overlay(&spec, session.disabled)?;
    drop(places);
    Ok(Rootfs { mount, upper })
}

/// Mounts `stack` read-only, or writable with changes that are thrown away.
///
/// # Errors
/// As [`writable`].
pub fn borrowed(session: &Session, stack: &Stack, writable: bool) -> Result<RootMount, StepError> {
    if writable {
        let live = Live {
            base: stack.clone(),
            uppers: Vec::new(),
        };
        return Ok(self::writable(session, &live)?.mount);
    }
    let view = session.store.view(&stack.layers)?;
    let spec = OverlaySpec {
        lowers: &view.lowers,
        upper: None,
        rootless: session.rootless,
    };
    Ok(mount_overlay(&spec, session.disabled)?)
}

/// Mounts a folder of the machine writable, with changes that are thrown away.
///
/// # Errors
/// When there is no place for changes or the kernel refuses.
pub fn above_folder(session: &Session, folder: &Path) -> Result<RootMount, StepError> {
    let upper = session.store.new_upper(&Chain::new(Vec::new()))?;
    // the upper's mode is what is seen of the folder itself
    let permissions = std::fs::metadata(folder).map(|meta| meta.permissions());
    let set = permissions.and_then(|mode| std::fs::set_permissions(&upper.upper, mode));
    set.map_err(|source| StepError::Io {
        action: "mount",
        path: folder.into(),
        source,
    })?;
    let spec = OverlaySpec {
        lowers: &[folder.to_owned()],
        upper: Some((&upper.upper, &upper.work)),
        rootless: session.rootless,
    };
    Ok(mount_overlay(&spec, session.disabled)?)
}
