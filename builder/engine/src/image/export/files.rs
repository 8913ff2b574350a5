//! The files of a result: the merged tree of each image, with a folder for each platform where there are several. Nothing is
//! mounted. Unaware of where the files go.

use crate::failure::ExportError;
use crate::request::BuildResult;
use kiln_cache::{Chain, FirstNames, Found, path};
use kiln_oci::Platform;
use std::collections::HashMap;

/// One file of the result.
pub(super) struct File<'a> {
    /// Below the destination, components split by `/`; never empty, absolute, or with dots.
    pub(super) path: Vec<u8>,
    /// What it is.
    pub(super) found: Found<'a>,
    /// An earlier file that is the same inode.
    pub(super) first_name: Option<Vec<u8>>,
    /// Its time: that of the build where it has one, also for files of a base, as BuildKit writes them.
    pub(super) mtime: i64,
}

/// Hands all files of the result to `each`, parents first. `split` is `platform-split`: whether each platform has a folder of its
/// own. Without it they have where the result is an index.
pub(super) fn each(
    result: &BuildResult<'_>,
    split: Option<bool>,
    mut each: impl FnMut(&Chain, &File<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let split = split.unwrap_or(result.index.is_some());
    if !split {
        refuse_overwriting(result)?;
    }
    for (platform, image) in &result.images {
        let chain = result.session.store.layers().chain(&image.diff_ids)?;
        let folder = split.then(|| folder(platform));
        of_image(result, &chain, folder.as_deref(), &mut each)?;
    }
    Ok(())
}

fn of_image(
    result: &BuildResult<'_>,
    chain: &Chain,
    folder: Option<&[u8]>,
    each: &mut impl FnMut(&Chain, &File<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut first_names = FirstNames::default();
    for found in chain.walk(b"") {
        let path = below(folder, &found.entry.path);
        if path.is_empty() {
            continue;
        }
        if result.session.cancel.requested() {
            return Err(ExportError::Cancelled);
        }
        let file = File {
            first_name: first_names.earlier(found.link_group(), &path),
            path,
            mtime: result.epoch.unwrap_or(found.entry.mtime),
            found,
        };
        each(chain, &file)?;
    }
    Ok(())
}

/// Platforms that share a place must not have the same file: which one stays would depend on their order.
fn refuse_overwriting(result: &BuildResult<'_>) -> Result<(), ExportError> {
    if result.images.len() < 2 {
        return Ok(());
    }
    let mut owners: HashMap<Box<[u8]>, &Platform> = HashMap::new();
    for (platform, image) in &result.images {
        let chain = result.session.store.layers().chain(&image.diff_ids)?;
        for found in chain.walk(b"") {
            if found.entry.is_directory() {
                continue;
            }
            if let Some(first) = owners.insert(found.entry.path.clone(), platform) {
                return Err(ExportError::Overwrites {
                    path: String::from_utf8_lossy(&found.entry.path).into_owned(),
                    first: first.to_string(),
                    second: platform.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// `linux_arm_v7`, `windows(10.0.17763.5820)_amd64`, as BuildKit calls it.
fn folder(platform: &Platform) -> Vec<u8> {
    platform.to_string().replace('/', "_").into_bytes()
}

fn below(folder: Option<&[u8]>, path: &[u8]) -> Vec<u8> {
    match folder {
        None => path.to_vec(),
        Some(folder) if path.is_empty() => folder.to_vec(),
        Some(folder) => path::join(folder, path),
    }
}
