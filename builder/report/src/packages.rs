//! The packages that one of two images has, or has in another version: read from the databases of package managers that differ. Unaware of
//! how the files of an image were compared.

mod content;
mod python;
mod rpm;
mod text;
mod version;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kiln_cache::{Store, path};

use crate::diff::{Change, ChangeKind, FileChanges, Side};
use crate::image::Image;

pub use crate::manager::Manager;

/// A package of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Bytes when it is installed, as the database says.
    pub(crate) bytes: Option<u64>,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    /// Who installed it.
    pub manager: Manager,
    /// Its name.
    pub name: String,
    /// The versions that only the first image has, sorted.
    pub old: Vec<String>,
    /// The versions that only the second image has, sorted.
    pub new: Vec<String>,
    /// Bytes that it takes more, where the database tells sizes.
    pub growth: Option<i64>,
}

/// A database that was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it is.
    pub path: Box<[u8]>,
    /// Why not.
    pub why: String,
}

impl Manager {
    /// The packages in a database of its own.
    fn parse(self, path: &[u8], content: &[u8]) -> Result<Vec<Package>, String> {
        let folder = path::parent(path).unwrap_or_default();
        match self {
            Self::Dpkg => Ok(text::dpkg(content)),
            Self::Apk => Ok(text::apk(content)),
            Self::Rpm => rpm::packages(path::name(path), content),
            Self::Pip => Ok(python::package(folder).into_iter().collect()),
            Self::Npm => Ok(text::npm(content).into_iter().collect()),
        }
    }
}

impl PackageChange {
    /// The word of reports.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (self.old.last(), self.new.last()) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) => match version::compare(old, new) {
                Ordering::Greater => "downgraded",
                _ => "upgraded",
            },
        }
    }
}

/// Versions with what they take, by manager and name.
type Installed = BTreeMap<(Manager, String), Vec<(String, Option<u64>)>>;

/// The packages that differ, by manager and name, and the databases that were not read. The stores are those that have the images.
#[must_use]
pub fn packages(
    old: &Image,
    new: &Image,
    files: &FileChanges,
    stores: [Option<&Store>; 2],
) -> (Vec<PackageChange>, Vec<Unread>) {
    let mut unread = Vec::new();
    let mut old_side = content::Contents::new(old, stores[0]);
    let mut new_side = content::Contents::new(new, stores[1]);
    let (mut before, mut after) = (Installed::new(), Installed::new());
    for change in &files.changes {
        if matches!(change.kind, ChangeKind::Metadata(_)) {
            continue;
        }
        let found = read(&mut old_side, old_path(change), change.old, &mut before);
        let found = found.and_then(|()| read(&mut new_side, &change.path, change.new, &mut after));
        unread.extend(found.err().map(|why| Unread {
            path: change.path.clone(),
            why,
        }));
    }
    (joined(before, after), unread)
}

fn old_path(change: &Change) -> &[u8] {
    match &change.kind {
        ChangeKind::Renamed { from } => from,
        _ => &change.path,
    }
}

/// Adds the packages of a file, if it is a database.
fn read(
    contents: &mut content::Contents<'_>,
    path: &[u8],
    side: Option<Side>,
    installed: &mut Installed,
) -> Result<(), String> {
    let (Some(manager), Some(side)) = (Manager::of(path), side) else {
        return Ok(());
    };
    let content = match manager {
        // its path says it all
        Manager::Pip => Vec::new(),
        _ => contents.read(path, side)?,
    };
    for package in manager.parse(path, &content)? {
        let versions = installed.entry((manager, package.name)).or_default();
        versions.push((package.version, package.bytes));
    }
    Ok(())
}

/// What only one side has.
fn joined(mut before: Installed, mut after: Installed) -> Vec<PackageChange> {
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    let changes = names.into_iter().filter_map(|key| {
        let mut old = before.remove(&key).unwrap_or_default();
        let mut new = after.remove(&key).unwrap_or_default();
        old.retain(
            |version| match new.iter().position(|other| other.0 == version.0) {
                Some(same) => {
                    new.swap_remove(same);
                    false
                }
                None => true,
            },
        );
        let is_changed = !old.is_empty() || !new.is_empty();
        is_changed.then(|| changed(key, old, new))
    });
    changes.collect()
}

fn changed(
    (manager, name): (Manager, String),
    old: Vec<(String, Option<u64>)>,
    new: Vec<(String, Option<u64>)>,
) -> PackageChange {
    let sum = |versions: &[(String, Option<u64>)]| -> Option<i64> {
        let bytes = versions.iter().map(|version| version.1);
        bytes.sum::<Option<u64>>()?.try_into().ok()
    };
    let sorted = |versions: Vec<(String, Option<u64>)>| {
        let mut versions: Vec<String> = versions.into_iter().map(|version| version.0).collect();
        versions.sort_by(|a, b| version::compare(a, b).then_with(|| a.cmp(b)));
        versions
    };
    PackageChange {
        manager,
        name,
        growth: sum(&new).zip(sum(&old)).map(|(new, old)| new - old),
        old: sorted(old),
        new: sorted(new),
    }
}

#[cfg(test)]
mod tests;
