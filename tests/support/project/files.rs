//! The files of a random project, and how they come onto the disk: what has changed only, or all anew. Unaware of Dockerfiles.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::random::Random;
use crate::support::tar::Tar;

/// Files by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files(BTreeMap<&'static str, Item>);

#[derive(Clone, Debug, PartialEq)]
enum Item {
    File(Vec<u8>, u32),
    Folder(u32),
    Symlink(&'static str),
    /// Another name of the file `a`.
    Hard,
}

const PATHS: [&str; 11] = [
    "a",
    "b",
    "c.txt",
    "one.txt",
    "d/x",
    "d/y",
    "d/s/t",
    "e/z",
    "ln",
    "pack.tar",
    ".dockerignore",
];
const IGNORED: [&str; 6] = [
    "",
    "b\n",
    "d/*\n!d/x\n",
    "**/x\n",
    "*.txt\n!one.txt\n",
    "e\nd/s\n",
];
const TEXTS: [&str; 5] = ["one\n", "two\n", "", "longer than the others\n", "six\n"];

impl Files {
    /// All paths, as files.
    pub fn new(random: &mut Random) -> Self {
        let paths = PATHS.into_iter().filter(|path| *path != ".dockerignore");
        Self(paths.map(|path| (path, file(path, random))).collect())
    }

    /// One path gets other content, another mode, becomes something else, or goes.
    pub fn edit(&mut self, random: &mut Random) {
        let path = random.of(&PATHS);
        let item = match (random.below(10), self.0.get(path)) {
            (0, Some(_)) => None,
            (1, _) if is_plain(path) => {
                Some(Item::Symlink(random.of(&["a", "d", "d/s", "/d/x", "none"])))
            }
            (2, _) if is_plain(path) => {
                // the user that builds has to see what is in it
                Some(Item::Folder(0o755 + 0o22 * random.index(2) as u32))
            }
            (3, _) if is_plain(path) && self.has_a() => Some(Item::Hard),
            (4 | 5, Some(Item::File(text, mode))) => Some(Item::File(text.clone(), mode ^ 0o111)),
            _ => Some(file(path, random)),
        };
        match item {
            Some(item) => drop(self.0.insert(path, item)),
            None => drop(self.0.remove(path)),
        }
        if !self.has_a() {
            self.0.retain(|_, item| *item != Item::Hard);
        }
    }

    fn has_a(&self) -> bool {
        matches!(self.0.get("a"), Some(Item::File(..)))
    }

    /// Writes all of them into a folder that is there anew.
    pub fn write(&self, folder: &Path) {
        drop(fs::remove_dir_all(folder));
        self.write_after(&Files::default(), folder);
    }

    /// Writes what has changed since.
    pub fn write_after(&self, before: &Files, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (path, item) in &before.0 {
            if self.0.get(path) != Some(item) && !self.is_quiet(path, item) {
                remove(&folder.join(path));
            }
        }
        for emptied in ["d/s", "d", "e"] {
            // it may hold something still
            drop(fs::remove_dir(folder.join(emptied)));
        }
        for (path, item) in &self.0 {
            let before = before.0.get(path);
            if before != Some(item) || *item == Item::Hard {
                let quietly = before.is_some_and(|before| self.is_quiet(path, before));
                write(item, folder, path, quietly);
            }
        }
    }

    /// Whether nothing but the content differs, and that not in its length: then neither size nor mtime tell.
    fn is_quiet(&self, path: &str, before: &Item) -> bool {
        match (before, self.0.get(path)) {
            (Item::File(old, mode), Some(Item::File(new, other))) => {
                old.len() == new.len() && mode == other
            }
            _ => false,
        }
    }
}

/// What may become anything.
fn is_plain(path: &str) -> bool {
    ["b", "c.txt", "d/y", "e/z", "ln"].contains(&path)
}

fn file(path: &str, random: &mut Random) -> Item {
    let text = random.of(&TEXTS);
    let content = match path {
        ".dockerignore" => random.of(&IGNORED).into(),
        "pack.tar" => Tar::default().file("packed", text).file("d/x", text).end(),
        _ => text.into(),
    };
    Item::File(content, 0o644)
}

fn remove(path: &Path) {
    let is_folder = fs::symlink_metadata(path).unwrap().is_dir();
    let removed = match is_folder {
        true => fs::remove_dir(path),
        false => fs::remove_file(path),
    };
    removed.unwrap();
}

fn write(item: &Item, folder: &Path, path: &str, quietly: bool) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let allow = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    match item {
        Item::File(content, mode) => {
            let before = quietly.then(|| fs::metadata(&path).unwrap().modified().unwrap());
            fs::write(&path, content).unwrap();
            allow(*mode);
            if let Some(time) = before {
                let times = FileTimes::new().set_modified(time);
                let opened = File::options().write(true).open(&path).unwrap();
                opened.set_times(times).unwrap();
            }
        }
        Item::Folder(mode) => {
            fs::create_dir(&path).unwrap();
            allow(*mode);
        }
        Item::Symlink(target) => symlink(target, &path).unwrap(),
        Item::Hard => {
            drop(fs::remove_file(&path));
            fs::hard_link(folder.join("a"), &path).unwrap();
        }
    }
}
