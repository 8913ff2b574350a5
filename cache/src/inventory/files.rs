//! The files of a store under their final names, and what is there beside them. Unaware of what they hold.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use kiln_oci::Digest;

use crate::StoreError;

/// Files of the store under their final names.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Blobs and their sizes.
    pub(crate) blobs: BTreeMap<Digest, u64>,
    /// Indexes of layers and their sizes.
    pub(crate) indexes: BTreeMap<Digest, u64>,
    /// Views of all id maps.
    pub(crate) views: BTreeMap<(String, Digest), PathBuf>,
    /// Stat indexes: path, size, last change in seconds since 1970.
    pub(crate) contexts: Vec<(PathBuf, u64, i64)>,
    /// What has no name that kiln gives.
    pub(crate) unknown: Vec<PathBuf>,
    /// What has such a name and is no regular file, or no directory where that is one's name.
    pub(crate) wrong_type: Vec<PathBuf>,
}

impl Files {
    /// Lists the files of a store.
    pub(crate) fn read(root: &Path) -> Result<Self, StoreError> {
        let mut files = Self::default();
        for shard in files.folders(&root.join("blobs/sha256"))? {
            files.list_blobs(&shard)?;
        }
        for index in list(&root.join("layers"))? {
            match name_digest(&index, ".idx") {
                Some(_) if !is_file(&index) => files.wrong_type.push(index.path()),
                Some(digest) => drop(files.indexes.insert(digest, size(&index)?)),
                None => files.unknown.push(index.path()),
            }
        }
        for map in files.folders(&root.join("views"))? {
            files.list_views(&map)?;
        }
        for context in list(&root.join("contexts"))? {
            files.add_context(&context)?;
        }
        files.contexts.sort();
        Ok(files)
    }

    /// The folders in a folder that holds nothing else.
    fn folders(&mut self, folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
        let (folders, others): (Vec<_>, Vec<_>) = list(folder)?
            .into_iter()
            .partition(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        self.unknown.extend(others.iter().map(DirEntry::path));
        Ok(folders)
    }

    fn list_blobs(&mut self, shard: &DirEntry) -> Result<(), StoreError> {
        for blob in list(&shard.path())? {
            let digest = name_digest(&blob, "");
            match digest.filter(|digest| shard.file_name() == digest.hex()[..2]) {
                Some(_) if !is_file(&blob) => self.wrong_type.push(blob.path()),
                Some(digest) => drop(self.blobs.insert(digest, size(&blob)?)),
                None => self.unknown.push(blob.path()),
            }
        }
        Ok(())
    }

    fn add_context(&mut self, context: &DirEntry) -> Result<(), StoreError> {
        let path = context.path();
        let stat = match context.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            stat => stat.map_err(|source| StoreError::io("look at", &path, source))?,
        };
        if !stat.is_file() {
            self.wrong_type.push(path);
            return Ok(());
        }
        let changed = stat.modified().ok();
        let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = i64::try_from(changed.unwrap_or_default().as_secs()).unwrap_or(0);
        self.contexts.push((path, stat.len(), changed));
        Ok(())
    }

    fn list_views(&mut self, map: &DirEntry) -> Result<(), StoreError> {
        let id_map = map.file_name().to_string_lossy().into_owned();
        for view in list(&map.path())? {
            match name_digest(&view, "") {
                Some(digest) if view.file_type().is_ok_and(|kind| kind.is_dir()) => {
                    drop(self.views.insert((id_map.clone(), digest), view.path()));
                }
                _ => self.unknown.push(view.path()),
            }
        }
        Ok(())
    }
}

/// Whether it is a regular file; what vanishes meanwhile is no wrong one.
fn is_file(entry: &DirEntry) -> bool {
    entry.metadata().map_or(true, |stat| stat.is_file())
}

/// Entries of a folder; what vanishes meanwhile was not there.
pub(crate) fn list(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let failed = |source| StoreError::io("read", folder, source);
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(failed),
    }
}

fn name_digest(entry: &DirEntry, suffix: &str) -> Option<Digest> {
    let name = entry.file_name();
    Digest::from_hex(name.to_str()?.strip_suffix(suffix)?).ok()
}

fn size(entry: &DirEntry) -> Result<u64, StoreError> {
    match entry.metadata() {
        Ok(stat) => Ok(stat.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(StoreError::io("look at", &entry.path(), source)),
    }
}
