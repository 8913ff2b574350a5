//! A context made of single files of the host, such as the tools that kiln brings along.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::beneath::open_root;
use crate::context::ContextTree;
use crate::context::digest::digest;
use crate::context::scan::context;
use crate::context::walk::{Item, file_kind};
use crate::path::{MAX_PATH, clean, display};
use crate::{ContextError, Entry, Meta, Origin};

/// A context from a list: path in the context -> file of the host. Files only; parents are implied. Links of the host are
/// followed; times are those of the files.
///
/// # Errors
/// A path is not clean, or a file cannot be read.
pub fn from_list(files: &[(Vec<u8>, PathBuf)]) -> Result<ContextTree, ContextError> {
    let mut hosts = BTreeMap::new();
    let mut items = Vec::with_capacity(files.len());
    for (path, host) in files {
        if path.is_empty() || path.len() > MAX_PATH || clean(path) != *path || path.contains(&0) {
            return Err(ContextError::BadPath {
                path: display(path),
            });
        }
        let host = std::fs::canonicalize(host).map_err(|source| ContextError::Io {
            action: "find",
            path: host.clone(),
            source,
        })?;
        items.push(item(path, &host)?);
        hosts.insert(path.as_slice().into(), host);
    }
    items.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
    Ok(context(items, Origin::Files(Arc::new(hosts))))
}

fn item(path: &[u8], host: &Path) -> Result<Item, ContextError> {
    let (Some(directory), Some(name)) = (host.parent(), host.file_name()) else {
        let path = display(path);
        return Err(ContextError::BadPath { path });
    };
    let digested = open_root(directory)
        .and_then(|directory| digest(directory.as_fd(), name.as_bytes(), &mut Vec::new()));
    let digested = digested.map_err(|source| ContextError::Io {
        action: "read",
        path: host.to_owned(),
        source,
    })?;
    let (signature, content) = digested.ok_or_else(|| ContextError::Unstable {
        path: host.to_owned(),
    })?;
    let meta = Meta::root(signature.mode & 0o7777, signature.seconds());
    Ok(Item {
        entry: Entry::new(path, file_kind(&signature, content), meta),
        inode: None,
        signature: Some(signature),
        was_digested: true,
        only_as_parent: false,
    })
}
