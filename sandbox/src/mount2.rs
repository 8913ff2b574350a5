//! Overlay through `mount(2)`, for kernels before 6.5: the same detached mount, with fewer lowers.
//! Unaware of why the caller takes this way.
//!
//! `mount(2)` needs a place in a mount table. A thread takes a mount namespace of its own, mounts over the first lower's name there,
//! takes a detached copy with `open_tree(2)` and ends; its namespace goes with it, so nothing is seen or left behind.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, OpenTreeFlags, mount, mount_change, open_tree,
};
use rustix::thread::UnshareFlags;

use crate::overlay::{at, descriptor_name, flags_and_values, open_folder};
use crate::{MountError, sys};

/// The option text fits in one page.
const PAGE: usize = 4096;

/// Mounts an overlay; `lowers` is not empty.
pub fn merge(
    lowers: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    rootless: bool,
) -> Result<OwnedFd, MountError> {
    thread::scope(|scope| {
        let work = || mount_and_detach(lowers, upper, rootless);
        let work = thread::Builder::new().spawn_scoped(scope, work);
        work.map_err(|source| MountError::Step {
            step: "start a thread",
            path: None,
            source,
            hint: None,
        })?
        .join()
        .unwrap_or_else(|_| Err(at("thread", None)(Errno::CANCELED)))
    })
}

fn mount_and_detach(
    lowers: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    rootless: bool,
) -> Result<OwnedFd, MountError> {
    sys::unshare(UnshareFlags::NEWNS).map_err(|source| MountError::Step {
        step: "unshare(mount namespace)",
        path: None,
        source,
        hint: None,
    })?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(at("mount(/, MS_REC|MS_PRIVATE)", None))?;
    // Folders are named by descriptors, opened in this namespace: short, and without the signs that options escape.
    let folders = lowers
        .iter()
        .map(|lower| open_folder(lower))
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = folders.iter().map(descriptor_name).collect();
    let upper_folders = upper
        .map(|(upper, work)| Ok((open_folder(upper)?, open_folder(work)?)))
        .transpose()?;
    let mut options = format!("lowerdir={}", names.join(":"));
    if let Some((upper, work)) = &upper_folders {
        options.push_str(&format!(
            ",upperdir={},workdir={}",
            descriptor_name(upper),
            descriptor_name(work)
        ));
    }
    let (flags, values) = flags_and_values(upper.is_some(), rootless);
    flags
        .iter()
        .for_each(|flag| options.push_str(&format!(",{flag}")));
    values
        .iter()
        .for_each(|(key, value)| options.push_str(&format!(",{key}={value}")));
    if options.len() >= PAGE {
        let each = options.len() / lowers.len().max(1);
        return Err(MountError::TooMany {
            lowers: lowers.len(),
            limit: PAGE / each.max(1),
        });
    }
    let place = lowers.first().map_or(Path::new("/"), PathBuf::as_path);
    let read_only = if upper.is_some() {
        MountFlags::empty()
    } else {
        MountFlags::RDONLY
    };
    let options = CString::new(options).map_err(|_| at("mount overlay", None)(Errno::INVAL))?;
    let top = upper.map_or(place, |(upper, _)| upper);
    mount(
        "overlay",
        place,
        "overlay",
        MountFlags::NODEV | read_only,
        options.as_c_str(),
    )
    .map_err(at("mount overlay", Some(top)))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, place, flags).map_err(at("open_tree", Some(place)))
}
