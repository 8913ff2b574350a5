//! Build contexts as chains: a folder with its .dockerignore, or the host's programs. Unaware of what is copied from them,
//! except for the [`Reach`] that prunes the walk.

use super::host_tools::{self, HostTools};
use super::reach::Reach;
use crate::event::{Cancel, EventKind};
use crate::failure::{BuildError, Wrong};
use crate::session::Session;
use kiln_cache::context::{ContextTree, Decision, ScanOptions, scan};
use kiln_cache::path::parent;
use kiln_cache::{Chain, Entry, EntryKind, Meta, Origin, Tree};
use kiln_parser::ignore::{IgnoreFile, Matcher, State};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// A .dockerignore of more bytes is a mistake.
const MAX_IGNORE_FILE: u64 = 16 << 20;
/// A context of more files takes a while.
const AT_ONCE: usize = 500;

/// Scans the folder `root`, as far as `reach` goes. `ignore` replaces the folder's own .dockerignore.
///
/// # Errors
/// When the folder, a needed file or the .dockerignore cannot be read or understood.
pub fn directory(
    session: &Session,
    title: &str,
    root: &Path,
    ignore: Option<&str>,
    reach: &Reach,
) -> Result<Arc<ContextTree>, BuildError> {
    let begun = Instant::now();
    let matcher = matcher(root, ignore)?;
    let mut tree = scan_reach(session, title, root, &matcher, reach)?;
    let leads_out = |entry: &Entry| {
        matches!(entry.kind, EntryKind::Symlink { .. }) && reach.needs_target_of(&entry.path)
    };
    if *reach != Reach::all() && tree.tree.entries().iter().any(leads_out) {
        tree = scan_reach(session, title, root, &matcher, &Reach::all())?;
    }
    if tree.digested > 0
        && ignore.is_none()
        && let Some(advice) = super::advice::advice(root, &tree.tree)
    {
        session.events.warn(advice);
    }
    let bytes = if tree.digested == 0 { 0 } else { tree.bytes };
    read(session, title, begun, tree.files, bytes);
    Ok(Arc::new(tree))
}

/// Tells that files were read.
fn read(session: &Session, title: &str, begun: Instant, items: u64, bytes: u64) {
    session.events.send(EventKind::Source {
        title: title.to_owned(),
        items,
        bytes,
        took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
}

fn scan_reach(
    session: &Session,
    title: &str,
    root: &Path,
    matcher: &Matcher,
    reach: &Reach,
) -> Result<ContextTree, BuildError> {
    let selection = Selection {
        matcher,
        reach,
        asked: AtomicUsize::new(0),
        cancel: &session.cancel,
        folders: RwLock::default(),
    };
    let decide = |path: &[u8], is_directory: bool| selection.decide(path, is_directory);
    let options = ScanOptions {
        store: Some(&session.store),
        now: (session.host.now)(),
    };
    scan(root, &decide, &options).map_err(|source| BuildError::Context {
        name: title.to_owned(),
        source,
    })
}

/// .dockerignore and reach together. What a folder's patterns come to is kept for its children: the walk asks for folders
/// before it enters them.
struct Selection<'a> {
    matcher: &'a Matcher,
    reach: &'a Reach,
    folders: RwLock<HashMap<Vec<u8>, State>>,
    /// How many paths were asked for.
    asked: AtomicUsize,
    cancel: &'a Cancel,
}

impl Selection<'_> {
    fn reached(&self, path: &[u8], is_directory: bool) -> Decision {
        if self.asked.fetch_add(1, Ordering::Relaxed) == AT_ONCE {
            self.cancel.lasts();
        }
        self.reach.decide(path, is_directory)
    }

    fn decide(&self, path: &[u8], is_directory: bool) -> Decision {
        let reached = self.reached(path, is_directory);
        if reached == Decision::Prune || self.matcher.is_empty() {
            return reached;
        }
        let text = String::from_utf8_lossy(path);
        let above = self.above(path);
        // A pattern that turns out to be broken only now ignores nothing; all were checked when they were read.
        if !is_directory {
            let ignored = self.matcher.ignored_in(&above, &text).unwrap_or(false);
            return if ignored { Decision::Prune } else { reached };
        }
        let Ok(state) = self.matcher.enter(&above, &text) else {
            return reached;
        };
        let decision = match (state.ignored(), self.matcher.can_prune(&text, &state)) {
            (false, _) => reached,
            (true, false) => Decision::Skip,
            (true, true) => return Decision::Prune,
        };
        let mut folders = self.folders.write().unwrap_or_else(PoisonError::into_inner);
        folders.insert(path.to_vec(), state);
        decision
    }

    /// What the patterns come to in the folder above.
    fn above(&self, path: &[u8]) -> State {
        let folders = self.folders.read().unwrap_or_else(PoisonError::into_inner);
        let known = folders.get(parent(path).unwrap_or_default());
        known.cloned().unwrap_or_else(|| self.matcher.root())
    }
}

/// What the folder's .dockerignore says, or the text that replaces it.
///
/// # Errors
/// When it cannot be read or understood.
pub(crate) fn matcher(root: &Path, ignore: Option<&str>) -> Result<Matcher, BuildError> {
    let own = root.join(".dockerignore");
    let text = match ignore {
        Some(text) => text.to_owned(),
        None => read_ignore_file(&own)?,
    };
    let wrong = |wrong: Wrong| BuildError::File {
        path: own.clone(),
        wrong,
    };
    let file = IgnoreFile::parse(&text);
    Matcher::new(&file.patterns).map_err(|error| wrong(error.into()))
}

fn read_ignore_file(path: &Path) -> Result<String, BuildError> {
    let wrong = |wrong: Wrong| BuildError::File {
        path: path.to_owned(),
        wrong,
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(wrong(error.into())),
        Ok(meta) if !meta.is_file() => Err(wrong("is not a regular file".into())),
        Ok(meta) if meta.len() > MAX_IGNORE_FILE => Err(wrong(
            format!("has {} bytes, more than {MAX_IGNORE_FILE}", meta.len()).into(),
        )),
        Ok(_) => std::fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| wrong(error.into())),
    }
}

/// The host's programs `names` as a root file system, with the little that programs expect beside them.
///
/// # Errors
/// When a program cannot be found or read.
pub fn programs(
    session: &Session,
    title: &str,
    names: &[String],
) -> Result<(Chain, Arc<Tree>), BuildError> {
    session.cancel.lasts();
    let begun = Instant::now();
    let tools = host_tools::collect(names, &session.host.search_path)?;
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let list = tools
        .files
        .iter()
        .map(|(place, file)| (bytes(place), file.clone()));
    let list: Vec<_> = list.collect();
    let files = kiln_cache::context::from_list(&list).map_err(|source| BuildError::Context {
        name: title.to_owned(),
        source,
    })?;
    let layer = files.chain.layers().first();
    let origin = layer.map_or(Origin::Nowhere, |(_, origin)| origin.clone());
    let entries = files.tree.entries().iter().cloned();
    let tree = Arc::new(Tree::new(entries.chain(surroundings(&tools)).collect()));
    read(session, title, begun, files.files, files.bytes);
    Ok((Chain::new(vec![(tree.clone(), origin)]), tree))
}

/// Directories that programs expect, and the links of a merged `/usr`.
fn surroundings(tools: &HostTools) -> Vec<Entry> {
    let folders = [
        ("etc", 0o755),
        ("root", 0o700),
        ("tmp", 0o1777),
        ("var", 0o755),
        ("var/tmp", 0o1777),
    ];
    let folders = folders.into_iter().map(|(path, mode)| {
        let kind = EntryKind::Directory { opaque: false };
        Entry::new(path.as_bytes(), kind, Meta::root(mode, 0))
    });
    let links = tools.links.iter().map(|(path, target)| {
        let target = target.as_os_str().as_bytes().into();
        let kind = EntryKind::Symlink { target };
        Entry::new(path.as_os_str().as_bytes(), kind, Meta::root(0o777, 0))
    });
    folders.chain(links).collect()
}
