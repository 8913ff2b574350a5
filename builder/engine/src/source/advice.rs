//! Advice about a build context: what git ignores and a COPY takes along all the same. Reads the folder's .gitignore; unaware
//! of how contexts are scanned. Never part of what is built: advice is only ever said.

use ignore::gitignore::Gitignore;
use kiln_cache::Tree;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Less than this is not worth a word.
const WORTH_SAYING: u64 = 10 << 20;
/// Names in the advice.
const NAMES: usize = 3;

/// A sentence about what a .dockerignore would leave out of the context, if there is none and it would be much.
#[must_use]
pub fn advice(root: &Path, tree: &Tree) -> Option<String> {
    let (gitignore, _) = Gitignore::new(root.join(".gitignore"));
    let has_own = || root.join(".dockerignore").symlink_metadata().is_ok();
    if gitignore.is_empty() || has_own() {
        return None;
    }
    let ignored = ignored(&gitignore, tree);
    let bytes: u64 = ignored.values().sum();
    if bytes < WORTH_SAYING {
        return None;
    }
    let mut names: Vec<(&[u8], u64)> = ignored.into_iter().collect();
    names.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), *name));
    let listed: Vec<_> = names
        .iter()
        .take(NAMES)
        .map(|(name, _)| String::from_utf8_lossy(name))
        .collect();
    let more = if names.len() > NAMES { " …" } else { "" };
    Some(format!(
        "{} MB of the context are files that git ignores: a .dockerignore that names them ({}{more}) makes builds faster and images smaller",
        bytes / 1_000_000,
        listed.join(", ")
    ))
}

/// The bytes that git ignores, by the first part of the path.
fn ignored<'a>(gitignore: &Gitignore, tree: &'a Tree) -> BTreeMap<&'a [u8], u64> {
    let mut ignored: BTreeMap<&[u8], u64> = BTreeMap::new();
    for entry in tree.entries().iter().filter(|entry| entry.is_file()) {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        if gitignore
            .matched_path_or_any_parents(path, false)
            .is_ignore()
        {
            let top = entry.path.split(|&byte| byte == b'/').next();
            *ignored.entry(top.unwrap_or_default()).or_default() += entry.size();
        }
    }
    ignored
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_cache::context::{Decision, ScanOptions, scan};
    use std::fs;

    fn advise(folder: &Path) -> Option<String> {
        let keep = |_: &[u8], _: bool| Decision::Keep;
        let options = ScanOptions {
            store: None,
            now: std::time::SystemTime::now(),
        };
        advice(folder, &scan(folder, &keep, &options).unwrap().tree)
    }

    #[test]
    fn build_output_in_the_context_is_worth_a_word() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        fs::write(folder.path().join("target/app"), vec![0; 11 << 20]).unwrap();
        fs::write(folder.path().join("main.rs"), "fn main() {}").unwrap();
        assert_eq!(advise(folder.path()), None, "nothing is known about git");
        fs::write(folder.path().join(".gitignore"), "/target\n").unwrap();
        let said = advise(folder.path()).unwrap();
        assert!(
            said.starts_with("11 MB") && said.contains("(target)"),
            "{said}"
        );
        fs::write(folder.path().join(".dockerignore"), "").unwrap();
        assert_eq!(advise(folder.path()), None, "somebody has thought about it");
    }
}
