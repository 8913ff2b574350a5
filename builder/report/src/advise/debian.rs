//! Debian's package database in an image: which packages are there only because another one recommends them. Unaware of Dockerfiles.
//!
//! A package is needed if the base has it, if somebody asked for it (`extended_states` does not say that it was installed
//! automatically), or if a needed one depends on it; all installed alternatives of a dependency count as needed.

use super::subject::Subject;
use std::collections::{BTreeMap, BTreeSet};

const STATUS: &str = "var/lib/dpkg/status";
const STATES: &str = "var/lib/apt/extended_states";
const LISTS: &str = "var/lib/dpkg/info";
/// Databases of more bytes are not read.
const MOST: u64 = 64 << 20;

/// A package that nothing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    /// As it says itself.
    pub(super) bytes: u64,
    /// Its files and its own entries in the database.
    pub(super) paths: Vec<String>,
}

/// What the database says of an installed package.
#[derive(Debug, Default)]
struct Installed {
    bytes: u64,
    is_essential: bool,
    /// Names, each of which is enough for one dependency; flattened, since all installed ones count.
    depends: Vec<String>,
    provides: Vec<String>,
}

/// Packages that only a recommendation brought, by name.
pub(super) fn recommended(subject: &Subject<'_>) -> Vec<Package> {
    let layers = subject.image.layers.len();
    let text = |path, layers| read(subject, path, layers).unwrap_or_default();
    let installed = packages(&text(STATUS, layers));
    let of_base = packages(&text(STATUS, subject.image.base));
    let automatic = automatic(&text(STATES, layers));
    let is_root = |(name, package): &(&String, &Installed)| {
        package.is_essential || of_base.contains_key(*name) || !automatic.contains(*name)
    };
    let roots = installed.iter().filter(is_root);
    let needed = needed(&installed, roots.map(|(name, _)| name.clone()));
    let extra = installed.iter().filter(|(name, _)| !needed.contains(*name));
    extra
        .map(|(name, package)| Package {
            name: name.clone(),
            bytes: package.bytes,
            paths: paths(subject, name),
        })
        .collect()
}

/// The content of a file as the lowest layers show it.
fn read(subject: &Subject<'_>, path: &str, layers: usize) -> Option<String> {
    let layers = subject.image.layers.iter().enumerate().take(layers);
    let found = layers.rev().find_map(|(at, layer)| {
        let entries = layer.entries();
        let place = entries.binary_search_by(|entry| (*entry.path).cmp(path.as_bytes()));
        Some((at, entries.get(place.ok()?)?))
    });
    let (at, entry) = found.filter(|(_, entry)| entry.is_file() && entry.size() <= MOST)?;
    let bytes = (subject.read)(at, entry, usize::try_from(entry.size()).ok()?)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The paragraphs of a database, their fields by name, continued lines joined.
fn paragraphs(text: &str) -> impl Iterator<Item = BTreeMap<&str, &str>> {
    text.split("\n\n").map(|paragraph| {
        let fields = paragraph.lines().filter(|line| !line.starts_with(' '));
        fields.filter_map(|line| line.split_once(": ")).collect()
    })
}

fn packages(text: &str) -> BTreeMap<String, Installed> {
    let is_there = |fields: &BTreeMap<&str, &str>| {
        let status = fields.get("Status");
        status.is_some_and(|status| status.ends_with(" installed"))
    };
    let package = |fields: BTreeMap<&str, &str>| {
        let names_in = |field| names(fields.get(field).copied().unwrap_or_default());
        let kibibytes: u64 = fields
            .get("Installed-Size")
            .and_then(|size| size.parse().ok())?;
        let installed = Installed {
            bytes: kibibytes.saturating_mul(1024),
            is_essential: fields.get("Essential") == Some(&"yes"),
            depends: [names_in("Depends"), names_in("Pre-Depends")].concat(),
            provides: names_in("Provides"),
        };
        Some(((*fields.get("Package")?).to_owned(), installed))
    };
    paragraphs(text)
        .filter(is_there)
        .filter_map(package)
        .collect()
}

/// `a (>= 1) | b:any, c` names a, b and c.
fn names(list: &str) -> Vec<String> {
    let parts = list.split([',', '|']).map(|part| {
        let end = part.trim().split([' ', '(', ':', '[']).next();
        end.unwrap_or_default().to_owned()
    });
    parts.filter(|name| !name.is_empty()).collect()
}

fn automatic(text: &str) -> BTreeSet<String> {
    let is_automatic = |fields: &BTreeMap<&str, &str>| fields.get("Auto-Installed") == Some(&"1");
    let named = paragraphs(text).filter(is_automatic);
    named
        .filter_map(|fields| fields.get("Package").map(|name| (*name).to_owned()))
        .collect()
}

/// All that these packages depend on, themselves included.
fn needed(
    installed: &BTreeMap<String, Installed>,
    roots: impl Iterator<Item = String>,
) -> BTreeSet<String> {
    let providers = providers(installed);
    let mut needed = BTreeSet::new();
    let mut todo: Vec<String> = roots.collect();
    while let Some(name) = todo.pop() {
        let depends = installed.get(&name).map(|package| &package.depends);
        if !needed.insert(name) {
            continue;
        }
        for dependency in depends.into_iter().flatten() {
            let provided = providers.get(dependency.as_str()).into_iter().flatten();
            let all = provided.copied().chain([dependency]);
            let new = all.filter(|name| installed.contains_key(*name) && !needed.contains(*name));
            todo.extend(new.cloned());
        }
    }
    needed
}

/// Who provides a name besides the package that is called so.
fn providers(installed: &BTreeMap<String, Installed>) -> BTreeMap<&str, Vec<&String>> {
    let mut providers: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for (name, package) in installed {
        for provided in &package.provides {
            providers.entry(provided).or_default().push(name);
        }
    }
    providers
}

/// The files of a package, and what the database keeps of it.
fn paths(subject: &Subject<'_>, package: &str) -> Vec<String> {
    let architecture = &subject.platform.architecture;
    let names = [package.to_owned(), format!("{package}:{architecture}")];
    let mut paths = Vec::new();
    for name in names {
        let list = format!("{LISTS}/{name}.list");
        let Some(text) = read(subject, &list, subject.image.layers.len()) else {
            continue;
        };
        let files = text.lines().map(|path| path.trim_start_matches('/'));
        paths.extend(files.filter(|path| path.len() > 1).map(str::to_owned));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: app\nStatus: install ok installed\nInstalled-Size: 1\nDepends: lib (>= 1) | other, mail:any\n\n\
        Package: lib\nStatus: install ok installed\nInstalled-Size: 1\nRecommends: docs\n\n\
        Package: exim\nStatus: install ok installed\nInstalled-Size: 1\nProvides: mail (= 1)\n\n\
        Package: docs\nStatus: install ok installed\nInstalled-Size: 4\n\n\
        Package: gone\nStatus: deinstall ok config-files\nInstalled-Size: 9\n";

    #[test]
    fn what_is_only_recommended_is_not_needed() {
        let installed = packages(STATUS);
        assert_eq!(installed.len(), 4);
        let needed = needed(&installed, ["app".to_owned()].into_iter());
        let expected: BTreeSet<String> = ["app", "lib", "exim"].map(str::to_owned).into();
        assert_eq!(needed, expected);
        assert_eq!(installed["docs"].bytes, 4096);
        let states = "Package: lib\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: app\nAuto-Installed: 0\n";
        assert_eq!(automatic(states), ["lib".to_owned()].into());
    }
}
