//! Overlay through `mount(2)`, for kernels before 6.5: the same detached mount, with fewer lowers.
//! Unaware of why the caller chose it.
//!
//! `mount(2)` needs a place in a mount table. A thread enters a mount namespace of its own, mounts over the first lower's name there,
//! takes a detached copy with `open_tree(2)` and ends. Its namespace goes with it, so nothing is seen or left behind.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

use super::OverlaySpec;
use super::options::{at, descriptor_name, options};
use crate::root::detached::{copy_of_host, open_folder};
use crate::{MountError, sys};

/// The option text fits in one page.
const PAGE: usize = 4096;

/// Mounts an overlay; there is at least one lower.
pub fn merge(spec: &OverlaySpec<'_>) -> Result<OwnedFd, MountError> {
    thread::scope(|scope| {
        let work = thread::Builder::new().spawn_scoped(scope, || mount_and_detach(spec));
        work.map_err(MountError::step("start a thread", None, None))?
            .join()
            .unwrap_or_else(|_| Err(at("thread", None)(Errno::CANCELED)))
    })
}

fn mount_and_detach(spec: &OverlaySpec<'_>) -> Result<OwnedFd, MountError> {
    let step = "unshare(mount namespace)";
    sys::unshare(UnshareFlags::NEWNS).map_err(MountError::step(step, None, None))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(at("mount(/, MS_REC|MS_PRIVATE)", None))?;
    // Opened in this namespace, and open until the mount is made.
    let lowers = open_all(spec.lowers.iter().map(PathBuf::as_path))?;
    let upper = open_all(spec.upper.into_iter().flat_map(<[&Path; 2]>::from))?;
    let text = option_text(spec, &lowers, &upper)?;
    let text = CString::new(text).map_err(|_| at("mount overlay", None)(Errno::INVAL))?;
    let place = spec.lowers.first().map_or(Path::new("/"), PathBuf::as_path);
    let (top, flags) = match spec.upper {
        Some((upper, _)) => (upper, MountFlags::NODEV),
        None => (place, MountFlags::NODEV | MountFlags::RDONLY),
    };
    mount("overlay", place, "overlay", flags, text.as_c_str())
        .map_err(at("mount overlay", Some(top)))?;
    copy_of_host(place, false, MountAttrFlags::empty()).map_err(MountError::step(
        "open_tree",
        Some(place),
        None,
    ))
}

fn open_all<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<Vec<OwnedFd>, MountError> {
    paths.map(open_folder).collect()
}

fn option_text(
    spec: &OverlaySpec<'_>,
    lowers: &[OwnedFd],
    upper: &[OwnedFd],
) -> Result<String, MountError> {
    let names: Vec<String> = lowers.iter().map(descriptor_name).collect();
    let mut all = vec![format!("lowerdir={}", names.join(":"))];
    let keys = ["upperdir", "workdir"].iter().zip(upper);
    all.extend(keys.map(|(key, folder)| format!("{key}={}", descriptor_name(folder))));
    all.extend(options(spec).map(|(key, value)| match value {
        Some(value) => format!("{key}={value}"),
        None => key.to_owned(),
    }));
    let text = all.join(",");
    if text.len() < PAGE {
        return Ok(text);
    }
    let each = text.len() / lowers.len().max(1);
    Err(MountError::TooMany {
        lowers: lowers.len(),
        limit: PAGE / each.max(1),
    })
}
