//! The operations of the graph, one file each: what decides about the result (its key), and how it is made of inputs that are ready.
//! Unaware of where inputs come from, of other steps and of records.

pub mod copy;
pub mod make_directory;
pub mod run;
#[cfg(test)]
mod tests;

use crate::execute::copy::shown;
use crate::execute::step::Step;
use crate::execute::users::{Accounts, Owner};
use crate::failure::{CopyError, StepError};
use crate::plan::output::Stack;
use kiln_cache::{Chain, Entry, Layer, StoreError};
use kiln_oci::Digest;
use kiln_parser::code;
use std::io::{self, Read};
use std::path::PathBuf;

/// A passwd or group file of more bytes is an error: who took it for a part would give a process other groups than it has.
const MAX_ACCOUNTS: u64 = 16 << 20;

/// Files that a step reads.
#[derive(Debug)]
pub struct Source {
    /// The files.
    pub files: Chain,
    /// The layers that hold them; none of a build context.
    pub layers: Option<Stack>,
    /// The folder of the machine behind a build context, for hints only.
    pub folder: Option<PathBuf>,
}

/// Warns of names that count as root's because nobody is called so: BuildKit takes them in silence.
pub(crate) fn tell_unknown(step: &Step<'_>, owner: &Owner) {
    for unknown in &owner.unknown {
        let message = format!("{unknown}; the files are root's");
        let help = "add the name before, or write the number".to_owned();
        step.warn(code::UNKNOWN_OWNER, message, Some(help));
    }
}

/// Where users and groups are listed.
pub(crate) const ACCOUNTS: [&str; 2] = ["etc/passwd", "etc/group"];

/// `/etc/passwd` and `/etc/group` of a file system. Links stay inside; what is not a regular file counts as missing.
///
/// # Errors
/// When a file is there and cannot be read.
pub(crate) fn accounts(files: &Chain) -> Result<Accounts, StepError> {
    let [passwd, group] = ACCOUNTS;
    Ok(Accounts {
        passwd: text(files, passwd)?,
        group: text(files, group)?,
    })
}

/// The accounts that `--chown` or WORKDIR's USER is resolved with; only names need `files`.
pub(crate) fn owner_accounts(
    spec: &str,
    files: impl FnOnce() -> Result<Chain, StoreError>,
) -> Result<Accounts, StepError> {
    match Accounts::needed_for_owner(spec) {
        true => accounts(&files()?),
        false => Ok(Accounts::default()),
    }
}

fn text(files: &Chain, path: &str) -> Result<String, StepError> {
    let found = files.resolve(path.as_bytes(), true)?.found;
    let Some(found) = found.filter(|found| found.entry.is_file()) else {
        return Ok(String::new());
    };
    let read = accounts_text(files.read(&found)?);
    read.map_err(|source| StepError::Io {
        action: "read",
        path: path.into(),
        source,
    })
}

/// All of a passwd or group file.
pub(crate) fn accounts_text(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_ACCOUNTS + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ACCOUNTS {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Digest of what stands at `path` and below, whatever the path is called.
pub(crate) fn subtree_digest(files: &Chain, path: &str) -> Result<Digest, StepError> {
    let resolved = files.resolve(path.as_bytes(), true)?;
    let mut entries = Vec::new();
    if resolved.found.is_some() {
        for found in files.walk(&resolved.path) {
            let path = below(&found.entry.path, resolved.path.len());
            entries.push(renamed(found.entry, path, found.layer));
        }
    }
    Ok(kiln_cache::tree_digest(&entries))
}

/// The times of what stands at `path` and below, in order.
pub(crate) fn subtree_times(files: &Chain, path: &str) -> Result<Vec<[u8; 8]>, StepError> {
    let resolved = files.resolve(path.as_bytes(), true)?;
    let found = files.walk(&resolved.path).into_iter();
    Ok(found.map(|found| found.entry.mtime.to_le_bytes()).collect())
}

/// A path without the first `skipped` bytes and the slash behind them.
fn below(path: &[u8], skipped: usize) -> &[u8] {
    let path = path.get(skipped..).unwrap_or_default();
    path.strip_prefix(b"/").unwrap_or(path)
}

/// What `path` of some files leads to, as a layer of the store: under its own path, as any layer that kiln writes, or as the layer's
/// root, as it is. With it the path without links.
///
/// # Errors
/// When nothing is there, or the store fails.
pub(crate) fn subtree_layer(
    step: &Step<'_>,
    files: &Chain,
    path: &str,
    as_root: bool,
) -> Result<(Option<Digest>, String), StepError> {
    let resolved = files.resolve(path.as_bytes(), true)?;
    if resolved.found.is_none() {
        let path = path.to_owned();
        return Err(CopyError::NotFound { path, hint: None }.into());
    }
    let nothing = Chain::new(Vec::new());
    let mut writer = step.session.store.layers().writer(&nothing)?;
    let skipped = if as_root { resolved.path.len() } else { 0 };
    let epoch = step.epoch.filter(|_| !as_root);
    for found in files.walk(&resolved.path) {
        let path = below(&found.entry.path, skipped);
        if !path.is_empty() {
            let mut meta = found.entry.meta();
            meta.mtime = epoch.unwrap_or(meta.mtime);
            let copied = writer.copy(path, &meta, files, &found);
            copied.map_err(CopyError::Layer)?;
        }
    }
    let layer = writer.finish()?;
    Ok((layer.as_ref().map(Layer::diff_id), shown(&resolved.path)))
}

/// The entry under another path. Link groups of different trees never mix.
pub(crate) fn renamed(entry: &Entry, path: &[u8], layer: Option<usize>) -> Entry {
    let mut entry = entry.clone();
    entry.path = path.into();
    if entry.links != 0 {
        let tree = u32::try_from(layer.unwrap_or_default()).unwrap_or(u32::MAX);
        let links = entry.links.wrapping_add(tree.wrapping_mul(0x0100_0001));
        entry.links = links.max(1);
    }
    entry
}
