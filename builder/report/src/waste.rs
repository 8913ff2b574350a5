//! What is known to be of no use in an image, by its path: caches of package managers, documentation, what only builds need. Unaware
//! of classes: a file may be live and of no use.

use kiln_cache::path::name;

use crate::classify::{Class, Classified};
use crate::image::Image;

/// Files of one kind that an image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waste {
    /// What they are.
    pub name: &'static str,
    /// Bytes of all of them, in all layers.
    pub bytes: u64,
    /// Those that show in the final tree.
    pub live: u64,
    /// Bytes of the image's own layers.
    pub own: u64,
    /// Files with bytes.
    pub files: u64,
    /// The layers that have them, lowest first.
    pub layers: Vec<usize>,
}

/// Where a rule looks.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The path starts with these names.
    Start,
    /// These names stand one after another somewhere above the file.
    Inside,
    /// The file's name ends so.
    End,
    /// A folder of tests below one of these.
    Tests,
}

use Place::{End, Inside, Start, Tests};

/// Names of kinds and what belongs to them. The first rule that fits counts.
const RULES: &[(&str, Place, &[&str])] = &[
    ("apt lists", Start, &["var/lib/apt/lists"]),
    ("apt archives", Start, &["var/cache/apt"]),
    ("apk cache", Start, &["var/cache/apk", "etc/apk/cache"]),
    (
        "dnf cache",
        Start,
        &[
            "var/cache/dnf",
            "var/cache/yum",
            "var/cache/microdnf",
            "var/cache/libdnf5",
            "var/cache/zypp",
        ],
    ),
    (
        "pip cache",
        Inside,
        &[".cache/pip", ".cache/pypoetry", ".cache/uv"],
    ),
    (
        "npm cache",
        Inside,
        &[".npm/_cacache", ".npm/_npx", ".npm/_logs"],
    ),
    (
        "yarn cache",
        Inside,
        &[".cache/yarn", ".yarn/cache", ".yarn/berry/cache"],
    ),
    (
        "pnpm store",
        Inside,
        &[".pnpm-store", ".local/share/pnpm/store", ".cache/pnpm"],
    ),
    (
        "cargo registry",
        Inside,
        &[
            ".cargo/registry",
            ".cargo/git",
            "cargo/registry",
            "cargo/git",
        ],
    ),
    (
        "cargo target",
        Inside,
        &[
            "target/debug",
            "target/release/deps",
            "target/release/build",
            "target/release/incremental",
        ],
    ),
    ("go build cache", Inside, &[".cache/go-build"]),
    ("go modules", Inside, &["go/pkg/mod"]),
    ("maven repository", Inside, &[".m2/repository"]),
    ("gradle cache", Inside, &[".gradle/caches"]),
    ("__pycache__", Inside, &["__pycache__"]),
    (".git", Inside, &[".git"]),
    (
        "docs",
        Start,
        &[
            "usr/share/doc",
            "usr/share/info",
            "usr/share/gtk-doc",
            "usr/local/share/doc",
        ],
    ),
    (
        "man pages",
        Start,
        &["usr/share/man", "usr/local/share/man", "usr/local/man"],
    ),
    (
        "locales",
        Start,
        &["usr/share/locale", "usr/lib/locale", "usr/share/i18n"],
    ),
    ("debug info", Start, &["usr/lib/debug"]),
    ("debug info", End, &[".debug", ".dwo", ".dwp", ".dSYM"]),
    ("static libraries", End, &[".a"]),
    (
        "tests",
        Tests,
        &[
            "node_modules",
            "site-packages",
            "dist-packages",
            "python3",
            "vendor",
            "gems",
        ],
    ),
    ("logs", Start, &["var/log"]),
    ("logs", End, &[".log"]),
    ("temporary files", Start, &["tmp", "var/tmp"]),
];

/// Names of folders with tests.
const TESTS: [&[u8]; 5] = [b"test", b"tests", b"__tests__", b"testing", b"spec"];

/// The kind of waste that a file is by its path, if it is any.
#[must_use]
pub fn kind(path: &[u8]) -> Option<&'static str> {
    let fits = |place: Place, pattern: &[u8]| match place {
        Start => is_below(path, pattern),
        Inside => starts_of_names(path).any(|rest| is_below(rest, pattern)),
        End => name(path).len() > pattern.len() && path.ends_with(pattern),
        Tests => is_test(path, pattern),
    };
    let rule = RULES.iter().find(|(_, place, patterns)| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| fits(*place, pattern.as_bytes()))
    });
    rule.map(|(kind, ..)| *kind)
}

/// Whether something is below a folder, itself not included.
fn is_below(path: &[u8], folder: &[u8]) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The path from each of its names on.
fn starts_of_names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    std::iter::once(path).chain(slashes.map(|(at, _)| &path[at + 1..]))
}

/// Whether a folder of tests is above the file, and a folder whose name starts with `holder` above that.
fn is_test(path: &[u8], holder: &[u8]) -> bool {
    let mut folders = path.split(|byte| *byte == b'/').rev().skip(1);
    let has_tests = folders.by_ref().any(|folder| TESTS.contains(&folder));
    has_tests && folders.any(|folder| folder.starts_with(holder))
}

/// What an image has of each kind, the most first.
#[must_use]
pub fn known(image: &Image, classified: &Classified) -> Vec<Waste> {
    let mut found: Vec<Waste> = Vec::new();
    for (at, (layer, classified)) in image.layers.iter().zip(&classified.layers).enumerate() {
        for (entry, fate) in layer.entries().iter().zip(&classified.fates) {
            if fate.bytes == 0 {
                continue;
            }
            let Some(kind) = kind(&entry.path) else {
                continue;
            };
            let is_live = matches!(fate.class, Class::Live | Class::Duplicate);
            let waste = of_kind(&mut found, kind);
            waste.bytes += fate.bytes;
            waste.files += 1;
            waste.live += if is_live { fate.bytes } else { 0 };
            waste.own += if image.is_of_base(at) { 0 } else { fate.bytes };
            if waste.layers.last() != Some(&at) {
                waste.layers.push(at);
            }
        }
    }
    found.sort_by_key(|waste| (std::cmp::Reverse(waste.bytes), waste.name));
    found
}

fn of_kind<'a>(found: &'a mut Vec<Waste>, name: &'static str) -> &'a mut Waste {
    let known = found.iter().position(|waste| waste.name == name);
    let at = known.unwrap_or_else(|| {
        found.push(Waste {
            name,
            bytes: 0,
            live: 0,
            own: 0,
            files: 0,
            layers: Vec::new(),
        });
        found.len() - 1
    });
    &mut found[at]
}

#[cfg(test)]
mod tests;
