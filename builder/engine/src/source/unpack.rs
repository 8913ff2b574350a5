//! Archives as build contexts: what is in a tar as a layer. Read as layers are, never unpacked to a disk; owned by root, as all
//! files of a context. Unaware of where the archive comes from.

use super::archive::{Archive, dangling, unpack_stream};
use super::fetch::layer;
use crate::failure::FetchError;
use kiln_cache::Store;
use kiln_oci::Digest;
use std::io::Read;

/// The layer with the files of an archive (a tar, perhaps compressed), which messages call `name`. `None` for what is no
/// archive; the inner one for an archive without files.
///
/// # Errors
/// When the archive is damaged or hostile, or the store fails.
pub fn unpack(
    store: &Store,
    reader: impl Read,
    name: &str,
) -> Result<Option<Option<Digest>>, FetchError> {
    let scratch = store.scratch().dir("archive")?;
    let archive = unpack_stream(reader, name.to_owned(), &scratch);
    let made = archive.map_err(FetchError::from).and_then(|archive| {
        let of = |archive: Archive| {
            if let Some(link) = archive.links.first() {
                return Err(dangling(name, link).into());
            }
            layer::of_tree(store, &archive.files, b"", |entry| {
                (entry.mode, entry.mtime)
            })
        };
        archive.map(of).transpose()
    });
    store.scratch().discard(&scratch)?;
    made
}
