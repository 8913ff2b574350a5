//! What is known to be of no use in an image, by its path: caches of package managers, documentation, what only builds need; and debug
//! info, by the content of programs. Unaware of classes: a file may be live and of no use.

use kiln_cache::Entry;
use kiln_cache::path::name;

use crate::classify::{Class, Classified};
use crate::image::{Image, ImageLayer};

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

/// What only debuggers read: files of their own, and the sections of programs that `strip` takes away.
const DEBUG_INFO: &str = "debug info";

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
    (DEBUG_INFO, Start, &["usr/lib/debug"]),
    (DEBUG_INFO, End, &[".debug", ".dwo", ".dwp", ".dSYM"]),
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
    Folder::default().kind(path)
}

/// What the folder of a file says of it. Files of one folder follow one another, so that it is asked once.
#[derive(Default)]
struct Folder<'a> {
    /// With the slash behind it.
    path: &'a [u8],
    /// The first rule that fits everything in it, by position.
    rule: Option<usize>,
}

impl<'a> Folder<'a> {
    fn kind(&mut self, path: &'a [u8]) -> Option<&'static str> {
        let name = name(path);
        let folder = &path[..path.len() - name.len()];
        if folder != self.path {
            let rule = first(|place, pattern| place.has(folder, pattern));
            *self = Folder { path: folder, rule };
        }
        let by_name = first(|place, pattern| place.ends(name, pattern));
        let rules = [self.rule, by_name].into_iter().flatten();
        rules.min().map(|rule| RULES[rule].0)
    }
}

/// The first rule with a pattern that fits.
fn first(fits: impl Fn(Place, &[u8]) -> bool) -> Option<usize> {
    RULES.iter().position(|(_, place, patterns)| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| fits(*place, pattern.as_bytes()))
    })
}

impl Place {
    /// Whether everything in a folder, which ends with a slash, is meant.
    fn has(self, folder: &[u8], pattern: &[u8]) -> bool {
        match self {
            Start => is_below(folder, pattern),
            Inside => starts_of_names(folder).any(|rest| is_below(rest, pattern)),
            Tests => is_test(folder, pattern),
            End => false,
        }
    }

    /// Whether a file of this name is meant.
    fn ends(self, name: &[u8], pattern: &[u8]) -> bool {
        matches!(self, End) && name.len() > pattern.len() && name.ends_with(pattern)
    }
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
    let (mut found, mut folder) = (Vec::new(), Folder::default());
    for (at, (layer, classified)) in image.layers.iter().zip(&classified.layers).enumerate() {
        for (entry, fate) in layer.entries().iter().zip(&classified.fates) {
            if fate.bytes == 0 {
                continue;
            }
            let by_path = folder.kind(&entry.path).map(|kind| (kind, fate.bytes));
            let Some((kind, bytes)) = by_path.or_else(|| debug_info(layer, entry)) else {
                continue;
            };
            let bytes = bytes.min(fate.bytes);
            let waste = of_kind(&mut found, kind);
            waste.add(bytes, fate.class);
            waste.own += if image.is_of_base(at) { 0 } else { bytes };
            if waste.layers.last() != Some(&at) {
                waste.layers.push(at);
            }
        }
    }
    found.sort_by_key(|waste| (std::cmp::Reverse(waste.bytes), waste.name));
    found
}

impl Waste {
    /// Counts a file.
    fn add(&mut self, bytes: u64, class: Class) {
        let is_live = matches!(class, Class::Live | Class::Duplicate);
        self.bytes += bytes;
        self.files += 1;
        self.live += if is_live { bytes } else { 0 };
    }
}

/// The kind of waste that a file of a layer is, or has in it.
#[must_use]
pub fn of_file(layer: &ImageLayer, entry: &Entry) -> Option<&'static str> {
    kind(&entry.path).or_else(|| debug_info(layer, entry).map(|(kind, _)| kind))
}

/// What a program has in it, and how many bytes that are.
fn debug_info(layer: &ImageLayer, entry: &Entry) -> Option<(&'static str, u64)> {
    let debug_info = layer.programs.get(&entry.path)?.debug_info;
    (debug_info > 0).then_some((DEBUG_INFO, debug_info))
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
