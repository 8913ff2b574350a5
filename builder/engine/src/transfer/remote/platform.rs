//! Which image of an index is for a platform. Unaware of where images are.

use kiln_oci::{Descriptor, Index, Platform, media_type};

/// The image of `index` for `platform`, or an index that may hold it; else the platforms that there are.
pub(crate) fn choose<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Descriptor, String> {
    let images = || index.manifests.iter().filter(|child| is_image(child));
    let fits = |child: &&Descriptor| {
        child
            .platform
            .as_ref()
            .is_some_and(|offered| platform.matches(offered))
    };
    if let Some(child) = images().find(fits) {
        return Ok(child);
    }
    let unnamed = |child: &&Descriptor| child.platform.is_none();
    // an index without platforms that lists one thing means that thing
    if let (Some(child), 1) = (images().find(unnamed), images().count()) {
        return Ok(child);
    }
    let offered = images().filter_map(|child| Some(child.platform.as_ref()?.to_string()));
    Err(offered.collect::<Vec<_>>().join(", "))
}

/// Whether an entry is an image or an index of some, and no attestation (BuildKit gives those the platform unknown/unknown).
pub(crate) fn is_image(child: &Descriptor) -> bool {
    let is_document =
        media_type::is_manifest(&child.media_type) || media_type::is_index(&child.media_type);
    is_document
        && child.artifact_type.is_none()
        && child
            .platform
            .as_ref()
            .is_none_or(|platform| platform.os != "unknown")
}
