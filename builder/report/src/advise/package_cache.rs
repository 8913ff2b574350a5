//! What package managers keep for the next time is of no use in an image: give it to a cache mount, where the next build finds it.

use super::subject::{Subject, Written};
use super::{Edit, Finding};
use crate::classify::Class;
use crate::units::bytes;
use std::collections::BTreeMap;

const LEAST: u64 = 10_000;

/// A package manager.
pub(super) struct Manager {
    /// The programs that use the folders.
    programs: &'static [&'static str],
    /// The folders, from the root; one that begins with `~` is in any home.
    folders: &'static [&'static str],
    /// Whether only one build at a time may use them.
    is_locked: bool,
}

/// Known package managers. To add one: a line.
static MANAGERS: [Manager; 11] = [
    manager(
        &["apt-get", "apt", "aptitude"],
        &["var/lib/apt/lists", "var/cache/apt"],
        true,
    ),
    manager(&["apk"], &["var/cache/apk", "etc/apk/cache"], true),
    manager(
        &["dnf", "microdnf"],
        &["var/cache/dnf", "var/cache/libdnf5"],
        true,
    ),
    manager(&["yum"], &["var/cache/yum"], true),
    manager(&["zypper"], &["var/cache/zypp"], true),
    manager(
        &["pip", "pip3", "uv"],
        &["~/.cache/pip", "~/.cache/uv"],
        false,
    ),
    manager(&["npm", "npx"], &["~/.npm"], false),
    manager(
        &["yarn"],
        &["usr/local/share/.cache/yarn", "~/.cache/yarn"],
        false,
    ),
    manager(&["pnpm"], &["~/.local/share/pnpm/store"], false),
    manager(&["go"], &["~/.cache/go-build", "go/pkg/mod"], false),
    manager(&["mvn", "mvnw"], &["~/.m2/repository"], false),
];

const fn manager(
    programs: &'static [&'static str],
    folders: &'static [&'static str],
    is_locked: bool,
) -> Manager {
    Manager {
        programs,
        folders,
        is_locked,
    }
}

/// The position of the package manager whose cache a path is in, and the cache's folder.
pub(super) fn of_path(path: &str) -> Option<(usize, String)> {
    MANAGERS.iter().enumerate().find_map(|(at, manager)| {
        let mut folders = manager.folders.iter();
        folders.find_map(|folder| Some((at, within(path, folder)?)))
    })
}

/// The folder of a path that this pattern means, if the path is below it.
fn within(path: &str, folder: &str) -> Option<String> {
    let (home, rest) = match folder.strip_prefix("~/") {
        None => ("", folder),
        Some(rest) => (home(path)?, rest),
    };
    let below = path.get(home.len()..)?.strip_prefix(rest)?;
    below.starts_with('/').then(|| format!("{home}{rest}"))
}

/// The home that a path is in, with the slash.
fn home(path: &str) -> Option<&str> {
    const HOMES: &str = "home/";
    if path.starts_with("root/") {
        return path.get(.."root/".len());
    }
    let user = path.strip_prefix(HOMES)?.find('/')?;
    path.get(..=HOMES.len() + user)
}

/// The cache of one package manager in the image.
struct Cache {
    manager: &'static Manager,
    folders: Vec<String>,
    /// The first layer that has some of it.
    layer: usize,
    bytes: u64,
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let written = subject.written();
    let mut caches: BTreeMap<usize, Cache> = BTreeMap::new();
    for layer in subject.own() {
        for file in subject.files(layer) {
            let Some((manager, folder)) = of_path(&file.path()) else {
                continue;
            };
            let cache = caches.entry(manager).or_insert_with(|| Cache {
                manager: &MANAGERS[manager],
                folders: Vec::new(),
                layer,
                bytes: 0,
            });
            cache.bytes += file.fate.bytes;
            if !cache.folders.contains(&folder) {
                cache.folders.push(folder);
            }
        }
    }
    let large = caches.into_values().filter(|cache| cache.bytes >= LEAST);
    large
        .map(|cache| finding(subject, &written, cache))
        .collect()
}

fn finding(subject: &Subject<'_>, written: &[Written<'_>], cache: Cache) -> Finding {
    let manager = cache.manager;
    let flags = mounts(manager, &cache.folders);
    let users = || {
        let steps = written.iter();
        steps.filter(|step| step.mentions(manager.programs))
    };
    let has_none = |step: &Written<'_>| step.run().is_some_and(|run| run.mounts.is_empty());
    let edits = users().map(|step| Edit::insert(step.name.end, flags.clone()));
    let edits = match users().all(has_none) {
        true => edits.collect(),
        false => Vec::new(),
    };
    let name = manager.programs.first().copied().unwrap_or_default();
    let size = bytes(cache.bytes);
    let what = format!("the cache of {name} is in the image: {size}");
    let line = subject.line_of(cache.layer);
    Finding::of_bytes(line, Class::Live, cache.bytes, what)
        .advised(format!("RUN{flags}"))
        .edited(edits, cache.folders)
}

/// The flags of RUN that mount all folders of a package manager: one may need what another holds.
fn mounts(manager: &Manager, found: &[String]) -> String {
    let fixed = manager
        .folders
        .iter()
        .filter(|folder| !folder.starts_with('~'));
    let mut folders: Vec<&str> = found.iter().map(String::as_str).collect();
    folders.extend(fixed.filter(|_| manager.is_locked));
    folders.sort_unstable();
    folders.dedup();
    let sharing = if manager.is_locked {
        ",sharing=locked"
    } else {
        ""
    };
    let flags = folders
        .iter()
        .map(|folder| format!(" --mount=type=cache,target=/{folder}{sharing}"));
    flags.collect()
}

#[cfg(test)]
mod tests {
    use super::of_path;

    #[test]
    fn caches_are_known_by_their_folders() {
        let folder = |path: &str| of_path(path).map(|(_, folder)| folder);
        let is = |path: &str, expected: &str| assert_eq!(folder(path).as_deref(), Some(expected));
        is("var/lib/apt/lists/x", "var/lib/apt/lists");
        is("root/.npm/_cacache/y", "root/.npm");
        is("home/me/.cache/pip/z", "home/me/.cache/pip");
        for other in [
            "var/lib/apt/listsx/a",
            "srv/.npm/a",
            "home/.npm",
            "root/.npm",
        ] {
            assert_eq!(folder(other), None, "{other}");
        }
    }
}
