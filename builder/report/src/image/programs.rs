//! What the files of a layer say besides its index: the databases of package managers, which are kept, and what programs say of themselves. It
//! is learnt while a layer passes by, or from its tar in the store. Unaware of what is made of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use kiln_cache::path::name;
use kiln_cache::{Entry, EntryKind, Keeper, Kept, LayerIndex, Store, Watch, parallel};

use super::{Image, ImageLayer};
use crate::elf::{Outline, Passing, Program};
use crate::manager::Manager;

/// The programs of a layer, by path.
pub type Programs = BTreeMap<Box<[u8]>, Program>;

/// Endings of what is text, a picture or compressed: it is not read to learn that it is no program.
const OTHERS: [&[u8]; 28] = [
    b"py", b"pyc", b"pyi", b"js", b"mjs", b"cjs", b"ts", b"map", b"json", b"h", b"hpp", b"c",
    b"txt", b"md", b"rst", b"html", b"css", b"xml", b"yaml", b"yml", b"mo", b"gz", b"png", b"svg",
    b"jar", b"pem", b"list", b"md5sums",
];

/// Whether a file may be a program, a library or an object.
fn may_be_program(path: &[u8]) -> bool {
    let name = name(path);
    let dot = name.iter().rposition(|byte| *byte == b'.');
    dot.is_none_or(|dot| !OTHERS.contains(&&name[dot + 1..]))
}

/// Whether the content of a file is needed to know the packages of an image.
fn is_database(path: &[u8]) -> bool {
    Manager::of(path).is_some_and(Manager::needs_content)
}

/// Looks at the files of a layer that passes by.
pub(super) struct Onlooker {
    keeper: Keeper,
    is_kept: bool,
    passing: Option<(Box<[u8]>, Passing)>,
    programs: Programs,
}

impl Onlooker {
    pub(super) fn new() -> Self {
        Onlooker {
            keeper: Keeper::new(is_database),
            is_kept: false,
            passing: None,
            programs: Programs::new(),
        }
    }

    /// The programs, by all of their names.
    pub(super) fn programs(&mut self, index: &LayerIndex) -> Programs {
        let mut found = std::mem::take(&mut self.programs);
        let linked = || index.tree.entries().iter().filter(|entry| entry.links != 0);
        let groups = linked().filter_map(|entry| Some((entry.links, *found.get(&entry.path)?)));
        let groups: BTreeMap<u32, Program> = groups.collect();
        for entry in linked() {
            if let Some(program) = groups.get(&entry.links) {
                found.insert(entry.path.clone(), *program);
            }
        }
        found
    }

    /// The contents that were kept.
    pub(super) fn finish(self) -> Kept {
        self.keeper.finish()
    }
}

impl Watch for Onlooker {
    fn begin(&mut self, path: &[u8], size: u64) -> bool {
        self.programs.remove(path);
        self.is_kept = self.keeper.begin(path, size);
        let is_seen = may_be_program(path);
        self.passing = is_seen.then(|| (path.into(), Passing::new(size)));
        self.is_kept || is_seen
    }

    fn see(&mut self, bytes: &[u8]) {
        if self.is_kept {
            self.keeper.see(bytes);
        }
        if let Some((_, passing)) = &mut self.passing {
            passing.see(bytes);
        }
    }

    fn end(&mut self) {
        if self.is_kept {
            self.keeper.end();
        }
        if let Some((path, passing)) = self.passing.take() {
            let program = passing.program();
            self.programs.extend(program.map(|program| (path, program)));
        }
    }
}

/// Reads what the programs of an image say of themselves whose layers are in the store.
pub fn find_programs(image: &mut Image, store: &Store) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = parallel(&image.layers, cores, |layer| {
        // what came from elsewhere was looked at when it came
        let tar = File::open(store.blobs().path(&layer.index.diff_id)).ok()?;
        layer.measured.is_none().then(|| in_tar(layer, &tar))
    });
    for (layer, programs) in image.layers.iter_mut().zip(found) {
        layer.programs = programs.unwrap_or_else(|| std::mem::take(&mut layer.programs));
    }
}

fn in_tar(layer: &ImageLayer, tar: &File) -> Programs {
    let files = layer.entries().iter();
    let files = files.filter(|entry| may_be_program(&entry.path));
    let found = files.filter_map(|entry| Some((entry.path.clone(), of_file(entry, tar)?)));
    found.collect()
}

/// Reads the few pieces of a file that matter.
fn of_file(entry: &Entry, tar: &File) -> Option<Program> {
    let EntryKind::File { size, offset, .. } = entry.kind else {
        return None;
    };
    let mut outline = Outline::new(size);
    while let Some(range) = outline.wanted() {
        let length = usize::try_from(range.end - range.start).ok()?;
        let mut bytes = vec![0; length];
        tar.read_exact_at(&mut bytes, offset + range.start).ok()?;
        outline.add(range.start, bytes);
    }
    outline.program()
}
