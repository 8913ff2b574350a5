//! Reads a saved OCI archive into a file system and a config, checking every digest and size on the way. Unaware of kiln's
//! own code but for the digest function: an archive that only kiln can read would be found here.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use kiln_oci::Digest;
use serde_json::Value;

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with its content.
    File(Vec<u8>),
    /// A folder.
    Folder,
    /// A symbolic link with its target.
    Symlink(String),
    /// A named pipe.
    Fifo,
    /// A device.
    Device,
}

/// One path of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// The first path of the same file, for its further names.
    pub same_as: Option<String>,
}

/// A saved image.
#[derive(Debug)]
pub struct Image {
    /// The config document.
    pub config: Value,
    /// The manifest document.
    pub manifest: Value,
    /// All paths, without leading slash, whiteouts applied.
    pub files: BTreeMap<String, Entry>,
    /// For each layer the paths in its tar, in order.
    pub layers: Vec<Vec<String>>,
}

type Blobs = BTreeMap<String, Vec<u8>>;

impl Image {
    /// Reads an archive that holds one image.
    pub fn read(path: &Path) -> Self {
        let blobs = members(&std::fs::read(path).unwrap());
        let layout = document(&blobs["oci-layout"]);
        assert_eq!(layout["imageLayoutVersion"], "1.0.0");
        let index = document(&blobs["index.json"]);
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
        let manifest = document(blob(&blobs, &index["manifests"][0]));
        let config = document(blob(&blobs, &manifest["config"]));
        let mut image = Image {
            config,
            manifest,
            files: BTreeMap::new(),
            layers: Vec::new(),
        };
        image.stack(&blobs);
        image.check_history();
        image
    }

    fn stack(&mut self, blobs: &Blobs) {
        let layers = self.manifest["layers"].as_array().unwrap().clone();
        let diff_ids = self.config["rootfs"]["diff_ids"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(layers.len(), diff_ids.len());
        for (layer, diff_id) in layers.iter().zip(&diff_ids) {
            let tar = blob(blobs, layer);
            assert_eq!(
                diff_id.as_str().unwrap(),
                Digest::of(tar).to_string(),
                "a layer has another diff ID"
            );
            self.apply(tar);
        }
    }

    fn check_history(&self) {
        // Left out by --omit-history; ONBUILD alone, for one, leaves no entry either.
        let Some(history) = self.config["history"].as_array() else {
            return;
        };
        let full = history
            .iter()
            .filter(|entry| entry["empty_layer"] != true)
            .count();
        assert_eq!(
            full,
            self.layers.len(),
            "the history does not account for each layer: {history:?}"
        );
    }

    /// Whiteouts hide what lower layers hold, whatever their place in the tar; so they go first.
    fn apply(&mut self, tar: &[u8]) {
        let mut names = Vec::new();
        let mut added = Vec::new();
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry_name(&entry.path().unwrap());
            names.push(name.clone());
            let (folder, last) = name.rsplit_once('/').unwrap_or(("", &name));
            match last.strip_prefix(".wh.") {
                Some(".wh..opq") => self.files.retain(|path, _| !is_below(path, folder)),
                Some(hidden) => {
                    let hidden = format!("{folder}/{hidden}");
                    self.remove(hidden.trim_start_matches('/'));
                }
                None => added.push((name, read_entry(&mut entry))),
            }
        }
        for (name, (entry, link)) in added {
            self.add(name, entry, link);
        }
        self.layers.push(names);
    }

    fn remove(&mut self, path: &str) {
        self.files
            .retain(|other, _| other != path && !is_below(other, path));
    }

    fn add(&mut self, name: String, entry: Entry, link: Option<String>) {
        let entry = match link {
            Some(target) => {
                let first = &self.files[&target];
                let same_as = first.same_as.clone().unwrap_or(target);
                Entry {
                    same_as: Some(same_as),
                    ..first.clone()
                }
            }
            None => entry,
        };
        if entry.kind != Kind::Folder {
            self.remove(&name);
        }
        self.files.insert(name, entry);
    }

    /// A path of the image that has to be there.
    #[track_caller]
    pub fn entry(&self, path: &str) -> &Entry {
        match self.files.get(path) {
            Some(entry) => entry,
            None => panic!(
                "{path} is not in the image, which holds {:?}",
                self.files.keys()
            ),
        }
    }

    /// The text of a file.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        match &self.entry(path).kind {
            Kind::File(content) => String::from_utf8(content.clone()).unwrap(),
            other => panic!("{path} is {other:?}"),
        }
    }

    /// Whether a path is in the image.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The paths below a folder of the image.
    pub fn below(&self, folder: &str) -> Vec<&str> {
        self.files
            .keys()
            .map(String::as_str)
            .filter(|path| is_below(path, folder))
            .collect()
    }

    /// All paths with all that is known of them but times.
    pub fn without_times(&self) -> BTreeMap<String, Entry> {
        let timeless = |entry: &Entry| Entry {
            mtime: 0,
            ..entry.clone()
        };
        self.files
            .iter()
            .map(|(path, entry)| (path.clone(), timeless(entry)))
            .collect()
    }

    /// A field of the runtime config.
    pub fn setting(&self, name: &str) -> &Value {
        &self.config["config"][name]
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn entry_name(path: &Path) -> String {
    let text = path.to_str().unwrap();
    text.trim_start_matches("./")
        .trim_end_matches('/')
        .to_owned()
}

/// The entry, and for a hard link the name that it repeats.
fn read_entry<R: Read>(entry: &mut tar::Entry<'_, R>) -> (Entry, Option<String>) {
    let target = |entry: &tar::Entry<'_, R>| {
        entry
            .link_name()
            .unwrap()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (mut link, mut content) = (None, Vec::new());
    let kind = match entry.header().entry_type() {
        tar::EntryType::Directory => Kind::Folder,
        tar::EntryType::Symlink => Kind::Symlink(target(entry)),
        tar::EntryType::Fifo => Kind::Fifo,
        tar::EntryType::Char | tar::EntryType::Block => Kind::Device,
        tar::EntryType::Link => {
            link = Some(target(entry));
            Kind::File(Vec::new())
        }
        tar::EntryType::Regular => {
            entry.read_to_end(&mut content).unwrap();
            Kind::File(content)
        }
        other => panic!("an entry of type {other:?}"),
    };
    let header = entry.header();
    let found = Entry {
        kind,
        mode: header.mode().unwrap(),
        uid: header.uid().unwrap(),
        gid: header.gid().unwrap(),
        mtime: header.mtime().unwrap(),
        same_as: None,
    };
    (found, link)
}

/// The files of an archive.
pub fn members(archive: &[u8]) -> Blobs {
    let mut blobs = Blobs::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() == tar::EntryType::Regular {
            let name = entry_name(&entry.path().unwrap());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            blobs.insert(name, content);
        }
    }
    blobs
}

fn blob<'a>(blobs: &'a Blobs, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let content = &blobs[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(
        digest,
        Digest::of(content).to_string(),
        "a blob is not what its name says"
    );
    assert_eq!(descriptor["size"], content.len(), "{digest}");
    content
}

fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}
