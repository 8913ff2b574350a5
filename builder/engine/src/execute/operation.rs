//! The operations of the graph, one file each: its key, and how it is executed.

pub mod copy;
pub mod make_directory;
pub mod run;

use crate::execute::Execution;
use crate::execute::users::{Accounts, Owner};
use crate::failure::StepError;
use kiln_cache::{Chain, Entry};
use kiln_oci::Digest;
use kiln_parser::code;
use kiln_parser::diagnostic::{Diagnostic, Phase};
use kiln_parser::graph::Node;
use std::io::Read;

/// A passwd or group file of more bytes is not read.
const MAX_ACCOUNTS: u64 = 16 << 20;

/// Warns of names that count as root's because nobody is called so: BuildKit takes them in silence.
pub(crate) fn tell_unknown(execution: &Execution<'_>, node: &Node, owner: &Owner) {
    for unknown in &owner.unknown {
        let message = format!("{unknown}; the files are root's");
        let warning =
            Diagnostic::warning(code::UNKNOWN_OWNER, node.span.unwrap_or_default(), message);
        execution.session.found_by_step(&Diagnostic {
            line: node.line,
            phase: Phase::Execute,
            help: Some("add the name before, or write the number".to_owned()),
            ..warning
        });
    }
}

/// Where users and groups are listed.
const ACCOUNTS: [&str; 2] = ["etc/passwd", "etc/group"];

/// `/etc/passwd` and `/etc/group` of a file system; links stay inside, what is no regular file counts as missing.
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

fn text(files: &Chain, path: &str) -> Result<String, StepError> {
    let resolved = files.resolve(path.as_bytes(), true)?;
    let Some(found) = resolved
        .found
        .filter(|found| found.entry.is_file() && found.entry.size() <= MAX_ACCOUNTS)
    else {
        return Ok(String::new());
    };
    let mut bytes = Vec::new();
    let mut reader = files.read(&found)?.take(MAX_ACCOUNTS);
    let read = reader.read_to_end(&mut bytes);
    read.map_err(|source| StepError::Io {
        action: "read",
        path: path.into(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Digest of what stands at `path` and below, whatever the path is called.
///
/// # Errors
/// When links go in circles.
pub(crate) fn subtree_digest(files: &Chain, path: &str) -> Result<Digest, StepError> {
    let resolved = files.resolve(path.as_bytes(), true)?;
    let mut entries = Vec::new();
    if resolved.found.is_some() {
        for found in files.walk(&resolved.path) {
            let relative = found
                .entry
                .path
                .get(resolved.path.len()..)
                .unwrap_or_default();
            entries.push(renamed(
                found.entry,
                relative.strip_prefix(b"/").unwrap_or(relative),
                found.layer,
            ));
        }
    }
    Ok(kiln_cache::tree_digest(&entries))
}

/// The entry under another path. Link groups of different trees never mix.
pub(crate) fn renamed(entry: &Entry, path: &[u8], layer: Option<usize>) -> Entry {
    let mut entry = entry.clone();
    entry.path = path.into();
    if entry.links != 0 {
        let tree = u32::try_from(layer.unwrap_or_default()).unwrap_or(u32::MAX);
        entry.links = entry
            .links
            .wrapping_add(tree.wrapping_mul(0x0100_0001))
            .max(1);
    }
    entry
}
