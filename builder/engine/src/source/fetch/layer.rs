//! Layers made of what was fetched: one file, or a tree of files from elsewhere. Owners are root's, times are the source's.
//! Unaware of where the files come from.

use crate::failure::FetchError;
use kiln_cache::{Chain, Entry, EntryKind, Found, Meta, Store};
use kiln_oci::Digest;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// A layer with the file `name`, whose content is in `content`: mode 0600, as `ADD` of an address makes it.
///
/// # Errors
/// When the file cannot be read, the name cannot be one, or the store fails.
pub fn of_file(
    store: &Store,
    name: &str,
    content: &Path,
    modified: i64,
) -> Result<Option<Digest>, FetchError> {
    let read = |source| FetchError::Io {
        action: "read",
        path: content.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(content).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    let mut writer = store.layers().writer(&Chain::new(Vec::new()))?;
    let meta = Meta::root(0o600, modified);
    writer.file(name.as_bytes(), &meta, size, &mut file as &mut dyn Read)?;
    Ok(writer.finish()?.map(|layer| layer.diff_id()))
}

/// A layer with all that is below the directory `root` of `files`; `describe` says mode and time of an entry. Owned by root,
/// without extended attributes.
///
/// # Errors
/// When a file cannot be read, or the store fails.
pub fn of_tree(
    store: &Store,
    files: &Chain,
    root: &[u8],
    describe: impl Fn(&Entry) -> (u32, i64),
) -> Result<Option<Digest>, FetchError> {
    let mut writer = store.layers().writer(&Chain::new(Vec::new()))?;
    let mut first_names: HashMap<(usize, u32), Vec<u8>> = HashMap::new();
    let skip = if root.is_empty() { 0 } else { root.len() + 1 };
    let below = files.walk(root);
    let inside = |found: &&Found<'_>| found.entry.path.len() > root.len();
    for found in below.iter().filter(inside) {
        let path = &found.entry.path[skip..];
        if let Some(group) = found.link_group() {
            if let Some(first) = first_names.get(&group) {
                writer.hardlink(path, first)?;
                continue;
            }
            first_names.insert(group, path.to_vec());
        }
        let (mode, modified) = describe(found.entry);
        let mode = match found.entry.kind {
            EntryKind::Symlink { .. } => 0o777,
            _ => mode,
        };
        writer.copy(path, &Meta::root(mode, modified), files, found)?;
    }
    Ok(writer.finish()?.map(|layer| layer.diff_id()))
}
