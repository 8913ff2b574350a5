//! From a commit to a layer: fetched as shallowly as the remote allows, checked out in a scratch folder, scanned, written in
//! canonical form. Links are never followed: the folder that is asked for must be a folder itself. Unaware of processes.

use super::address::folder;
use super::command::{Git, io, remote};
use super::{Commit, layer as layers};
use crate::failure::FetchError;
use crate::source::fetch::Access;
use crate::source::fetch::address::redacted;
use kiln_cache::context::{Decision, ScanOptions, scan};
use kiln_cache::{ContextTree, Entry};
use kiln_oci::Digest;
use kiln_parser::graph::GitSource;
use std::time::SystemTime;

/// Where a commit without a name is kept while it is fetched.
const FETCHED: &str = "refs/kiln/fetched";

/// What was checked out.
#[derive(Debug)]
pub(super) struct CheckedOut {
    /// Its whole id.
    pub(super) commit: String,
    /// The commit's time in seconds since 1970.
    pub(super) time: i64,
}

/// How much came along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// Fetches a commit and checks it out into the work folder.
///
/// # Errors
/// When git fails, or the remote no longer has the commit.
pub(super) fn check_out(
    git: &Git<'_>,
    source: &GitSource,
    commit: &Commit,
) -> Result<CheckedOut, FetchError> {
    fetch(git, commit)?;
    let id = format!("{}^{{commit}}", commit.id);
    let found = git.ask("rev-parse", &["rev-parse", "--verify", "--quiet", &id]);
    let Ok(id) = found.map(|id| id.trim().to_owned()) else {
        return Err(FetchError::NoReference {
            url: redacted(&source.remote),
            reference: commit.id.clone(),
        });
    };
    let arguments = ["checkout", "--quiet", "--force", "--detach", &id];
    git.ask("checkout", &arguments)?;
    if source.submodules && git.work().join(".gitmodules").symlink_metadata().is_ok() {
        submodules(git)?;
    }
    let show = ["show", "--no-patch", "--no-show-signature", "--format=%ct"];
    let time = git.ask("show", &[&show[..], &[&id]].concat())?;
    Ok(CheckedOut {
        commit: id,
        time: time.trim().parse().unwrap_or(0),
    })
}

/// Depth one; where a remote knows no depth (plain files over http) or does not give the very commit, all of it.
fn submodules(git: &Git<'_>) -> Result<(), FetchError> {
    let update = |depth: &[&str]| {
        let update = ["submodule", "update", "--quiet", "--init", "--recursive"];
        git.ask(
            "submodule update",
            &[&update[..], &["--force"], depth].concat(),
        )
    };
    match update(&["--depth=1"]) {
        Ok(_) => return Ok(()),
        Err(FetchError::Cancelled) => return Err(FetchError::Cancelled),
        Err(_) => {}
    }
    // what has come would stay shallow
    let modules = git.work().join(".git/modules");
    if modules.exists() {
        std::fs::remove_dir_all(&modules).map_err(|error| io("remove", &modules, error))?;
    }
    let arguments = ["submodule", "--quiet", "deinit", "--force", "--all"];
    git.ask("submodule deinit", &arguments)?;
    update(&[]).map(drop)
}

/// What every fetch begins with.
const FETCH: [&str; 4] = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"];

/// Depth one by name or id; where the remote does not give single commits, all branches and tags.
fn fetch(git: &Git<'_>, commit: &Commit) -> Result<(), FetchError> {
    let wanted = match &commit.name {
        Some(tag) if tag.starts_with("refs/tags/") => Some(format!("+{tag}:{tag}")),
        Some(name) => Some(format!("+{name}:{FETCHED}")),
        None if commit.is_whole() => Some(format!("+{}:{FETCHED}", commit.id)),
        None => None,
    };
    match wanted.map(|wanted| fetch_one(git, &wanted)) {
        Some(Ok(())) if holds(git, &commit.id) => return Ok(()),
        Some(Err(error)) if commit.name.is_some() => return Err(error),
        Some(Err(error @ (FetchError::Cancelled | FetchError::GitTooSlow { .. }))) => {
            return Err(error);
        }
        // The name has moved on since it was looked at, or single commits are not given.
        _ => {}
    }
    let is_shallow = git.work().join(".git/shallow").exists();
    let depth: &[&str] = if is_shallow { &["--unshallow"] } else { &[] };
    let all = [
        "origin",
        "+refs/heads/*:refs/kiln/heads/*",
        "+refs/tags/*:refs/kiln/tags/*",
    ];
    git.ask("fetch", &[&FETCH[..], depth, &all].concat())
        .map(drop)
}

fn fetch_one(git: &Git<'_>, wanted: &str) -> Result<(), FetchError> {
    let shallow = [&FETCH[..], &["--depth=1", "origin", wanted]].concat();
    match git.ask("fetch", &shallow) {
        // Remotes of plain files know no depth. git has no status for that, so whatever it refuses is asked for once more without.
        Err(FetchError::Git { .. }) => {
            let deep = [&FETCH[..], &["origin", wanted]].concat();
            git.ask("fetch", &deep).map(drop)
        }
        other => other.map(drop),
    }
}

fn holds(git: &Git<'_>, id: &str) -> bool {
    let object = format!("{id}^{{commit}}");
    git.ask("cat-file", &["cat-file", "-e", &object]).is_ok()
}

/// The layer with the checked out files, or those of the folder that is asked for.
///
/// # Errors
/// When the folder is not there, a file cannot be read, or the store fails.
pub(super) fn layer(
    access: Access<'_>,
    git: &Git<'_>,
    source: &GitSource,
    done: &CheckedOut,
) -> Result<(Option<Digest>, Files), FetchError> {
    let folder = folder(source);
    let keeps_git = source.keep_git_dir && folder.is_empty();
    if keeps_git {
        tidy(git, source)?;
    }
    let files = files(git, keeps_git)?;
    let found = files.chain.lookup(folder.as_bytes());
    if !found.is_some_and(|found| found.entry.is_directory()) {
        let url = redacted(&source.remote);
        return Err(FetchError::NoFolder { url, folder });
    }
    let (store, root) = (&access.session.store, folder.as_bytes());
    let describe = |entry: &Entry| describe(entry, done.time);
    let layer = layers::of_tree(store, &files.chain, root, describe)?;
    Ok((layer, count(&files, root)))
}

/// What was checked out. No commit can hold a `.git` of its own; submodules have one that points into ours.
fn files(git: &Git<'_>, keeps_git: bool) -> Result<ContextTree, FetchError> {
    let keep = |path: &[u8], _: bool| {
        let is_git = path.split(|&byte| byte == b'/').any(|part| part == b".git");
        match is_git && !keeps_git {
            true => Decision::Prune,
            false => Decision::Keep,
        }
    };
    let options = ScanOptions {
        store: None,
        now: SystemTime::UNIX_EPOCH,
    };
    Ok(scan(&git.work(), &keep, &options)?)
}

fn count(files: &ContextTree, folder: &[u8]) -> Files {
    let below = files.chain.walk(folder);
    let regular = below.iter().filter(|found| found.entry.is_file());
    regular.fold(Files { count: 0, bytes: 0 }, |sum, found| Files {
        count: sum.count + 1,
        bytes: sum.bytes + found.entry.size(),
    })
}

/// Git knows whether a file can be executed, and nothing else of its mode.
fn describe(entry: &Entry, time: i64) -> (u32, i64) {
    let is_executable = entry.is_directory() || entry.mode & 0o100 != 0;
    (if is_executable { 0o755 } else { 0o644 }, time)
}

/// What a fetch leaves in `.git`, and what git puts there for people.
const TRACES: [&str; 6] = [
    "FETCH_HEAD",
    "ORIG_HEAD",
    "logs",
    "hooks",
    "description",
    "branches",
];

/// Leaves in `.git` what the same commit has everywhere: an index without times and inodes, the address without credentials,
/// no traces of how it was fetched.
fn tidy(git: &Git<'_>, source: &GitSource) -> Result<(), FetchError> {
    let folder = git.work().join(".git");
    let wrong = |error: std::io::Error| FetchError::Io {
        action: "tidy up",
        path: folder.clone(),
        source: error,
    };
    // An index that is there would lend its times to the new one.
    std::fs::remove_file(folder.join("index")).map_err(wrong)?;
    git.ask("read-tree", &["read-tree", "HEAD"])?;
    for name in TRACES {
        let path = folder.join(name);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path).map_err(wrong)?,
            Ok(_) => std::fs::remove_file(&path).map_err(wrong)?,
            Err(_) => {}
        }
    }
    let config = folder.join("config");
    let text = std::fs::read_to_string(&config).map_err(wrong)?;
    let address = remote(&source.remote);
    let text = text.replace(&address, &remote(&redacted(&source.remote)));
    std::fs::write(&config, text).map_err(wrong)
}
