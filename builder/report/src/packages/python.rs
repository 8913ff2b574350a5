//! Python's packages: name and version are in the name of the folder that describes one. Unaware of files.

use kiln_cache::path;

use super::Package;

/// The package that a folder `NAME-VERSION.dist-info` or `NAME-VERSION[-pyX.Y].egg-info` describes.
pub(super) fn package(folder: &[u8]) -> Option<Package> {
    let folder = path::lossy(path::name(folder));
    let named = folder.strip_suffix(".dist-info");
    let named = named.or_else(|| folder.strip_suffix(".egg-info"))?;
    let (name, version) = named.split_once('-')?;
    let version = version
        .split_once("-py")
        .map_or(version, |(version, _)| version);
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        bytes: None,
    })
}
