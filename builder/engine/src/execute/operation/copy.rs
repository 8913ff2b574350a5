//! `COPY` and `ADD`: the key covers what the sources hold (never their times), the result is one layer.

pub mod missing;
mod owner;
mod unpack;

use super::{Source, renamed};
use crate::execute::copy::place::{Changes, Overwritten, Placement};
use crate::execute::copy::select::{Picked, select};
use crate::execute::copy::write::write;
use crate::execute::copy::{join, shown};
use crate::execute::key::{BELOW, Key, Seen, source_name};
use crate::execute::past::files::table;
use crate::execute::results::TIME_OF;
use crate::execute::step::Step;
use crate::execute::users::Owner;
use crate::failure::{CopyError, StepError};
use crate::plan::output::Stack;
use kiln_cache::{Chain, Entry, Layer, Store, tree_digest};
use kiln_oci::Digest;
use kiln_parser::code;
use kiln_parser::graph::{CopyOp, CopySource, SourcePath, Unpack};
use unpack::Unpacked;

/// The input that is the owner whom `--chown` names.
const OWNER: &str = "owner";

/// A COPY or ADD and what its inputs became.
#[derive(Debug)]
pub struct Copy<'a> {
    op: &'a CopyOp,
    base: &'a Stack,
    /// For each source of the operation; heredocs have no files.
    sources: &'a [Source],
    /// What each source means.
    picked: Vec<Vec<Picked<'a>>>,
    /// Where [`owner::for_key`] tells.
    owner: Option<Owner>,
}

impl<'a> Copy<'a> {
    /// Finds what is to be copied.
    ///
    /// # Errors
    /// When a source or an owner is missing, or a pattern is wrong.
    pub fn new(
        store: &Store,
        op: &'a CopyOp,
        base: &'a Stack,
        sources: &'a [Source],
    ) -> Result<Self, StepError> {
        let picked = op.sources.iter().zip(sources);
        let picked = picked.map(|(named, source)| pick(op, named, &source.files));
        let picked = picked.collect::<Result<Vec<_>, _>>();
        Ok(Copy {
            op,
            base,
            sources,
            picked: picked?,
            owner: owner::for_key(store, op, base)?,
        })
    }

    /// Everything that decides about the layer. With `--link` the files below do not, but for the owner whom they know by name.
    pub fn key(&self, definition: Digest) -> Key {
        let mut key = Key::begin("copy", definition);
        for (source, picked) in self.op.sources.iter().zip(&self.picked) {
            let name = source_name(source);
            let mut entries = Vec::new();
            for (at, picked) in picked.iter().enumerate() {
                add_entries(&mut entries, at, picked);
            }
            key = key.input(&name, tree_digest(&entries));
            if let (CopySource::Url { .. }, [file, ..]) = (source, &picked[..]) {
                let time = file.root.entry.mtime.to_le_bytes();
                key = key.bytes(&format!("{TIME_OF}{name}"), &time);
            }
        }
        if let Some(owner) = &self.owner {
            key = key.bytes(OWNER, format!("{}:{}", owner.uid, owner.gid).as_bytes());
        }
        if !self.op.link {
            key = key.input(BELOW, self.base.content);
        }
        key.into()
    }

    /// What of that a person understands: files that no step has made, and the owner.
    pub fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        let sources = self.op.sources.iter().zip(&self.picked);
        let sources = sources.zip(self.sources);
        for ((source, picked), _) in sources.filter(|(_, files)| files.layers.is_none()) {
            let entries = picked.iter().flat_map(|picked| {
                let below = picked.content.iter().map(|(_, found)| found.entry);
                std::iter::once(picked.root.entry).chain(below)
            });
            seen.files.insert(source_name(source), table(entries));
        }
        let owner = self.owner.as_ref();
        let owner = owner.map(|owner| format!("{}:{}", owner.uid, owner.gid));
        seen.values
            .extend(owner.map(|owner| (OWNER.to_owned(), owner)));
        seen
    }

    /// Makes the layer; `now` is the time of directories that no source describes.
    ///
    /// # Errors
    /// When something stands in the way, an archive is damaged, or the store fails.
    pub fn make(&self, step: &Step<'_>, now: i64) -> Result<Option<Layer>, StepError> {
        let store = &step.session.store;
        // The base is looked into only where that decides something: its layers may still be in a registry.
        let below = match self.op.link {
            true => Chain::new(Vec::new()),
            false => store.layers().chain(&self.base.layers)?,
        };
        let changes = self.changes(step, now)?;
        let scratch = match self.op.unpack {
            Unpack::No => None,
            Unpack::Auto | Unpack::Yes => Some(store.scratch().dir("add")?),
        };
        let unpacked = Unpacked::of(self, scratch.as_deref())?;
        let mut placement = Placement::new(&below, changes);
        self.place(step, &mut placement, &unpacked)?;
        let (writer, placed) = (store.layers().writer(&below)?, placement.finish());
        let layer = write(step, writer, &placed, (&unpacked.sources, &below))?;
        scratch.map_or(Ok(()), |scratch| store.scratch().discard(&scratch))?;
        Ok(layer)
    }

    fn changes(&self, step: &Step<'_>, now: i64) -> Result<Changes<'a>, StepError> {
        Ok(Changes {
            owner: owner::told(step, self.op, self.owner.as_ref(), self.base)?,
            chmod: self.op.chmod.as_ref(),
            now,
            epoch: step.epoch,
        })
    }

    fn place<'p>(
        &'p self,
        step: &Step<'_>,
        placement: &mut Placement<'p>,
        unpacked: &'p Unpacked,
    ) -> Result<(), StepError> {
        for (number, source) in self.op.sources.iter().enumerate() {
            if let CopySource::Inline { name, content } = source {
                placement.put_inline(name, content.as_bytes(), &self.op.destination)?;
            }
            for (at, picked) in self.picked[number].iter().enumerate() {
                match unpacked.places[number][at] {
                    Some(archive) => unpacked.put(placement, archive, picked, self.op)?,
                    None => placement.put(number, picked, &self.op.destination)?,
                }
            }
        }
        for (path, overwritten) in placement.overwritten() {
            self.tell(step, path, overwritten);
        }
        self.tell_folders(step);
        Ok(())
    }

    /// Warns of folders above the destination: a linked layer knows none below it, and makes them for the owner of the files.
    fn tell_folders(&self, step: &Step<'_>) {
        let Some(owner) = self.op.chown.as_ref().filter(|_| self.op.link) else {
            return;
        };
        let path = self.op.destination.trim_matches('/');
        if let Some((top, _)) = path.split_once('/') {
            let message =
                format!("with --link, /{top} belongs to {owner} too, whatever the base says of it");
            let help =
                format!("leave out --link, or COPY --link without --chown what makes /{top}");
            step.warn(code::LINKED_OWNER, message, Some(help));
        }
    }

    /// Warns of files that went where a later one of the same instruction went: allowed, and rarely meant.
    fn tell(&self, step: &Step<'_>, path: &[u8], Overwritten { lost, first }: &Overwritten) {
        let files = if *lost == 1 { "file is" } else { "files are" };
        let by = "overwritten by another one of the same instruction";
        let message = format!("{lost} {files} {by}: {first} at {}", shown(path));
        let destination = &self.op.destination;
        let help = format!("for a folder that takes all of them write {destination}/");
        let help = (!destination.ends_with('/')).then_some(help);
        step.warn(code::OVERWRITTEN, message, help);
    }
}

fn pick<'a>(
    copy: &CopyOp,
    source: &CopySource,
    files: &'a Chain,
) -> Result<Vec<Picked<'a>>, CopyError> {
    match source {
        CopySource::Files { paths, .. } => select(files, paths, copy.parents, &copy.exclude),
        CopySource::Url { .. } => Ok(only_file(files)),
        CopySource::Git(_) => select(files, &[root()], false, &copy.exclude),
        CopySource::Inline { .. } => Ok(Vec::new()),
    }
}

/// A fetched file, whatever it is called: its name is no pattern.
fn only_file(chain: &Chain) -> Vec<Picked<'_>> {
    let files = chain.children(b"").into_iter();
    let picked = files.map(|(name, root)| Picked {
        name: name.to_vec(),
        below_pivot: None,
        root,
        group: 0,
        content: Vec::new(),
    });
    picked.collect()
}

fn root() -> SourcePath {
    SourcePath {
        pattern: String::new(),
        pivot: String::new(),
    }
}

/// Adds what the key covers of one picked thing, the `at`th of its source.
fn add_entries(entries: &mut Vec<Entry>, at: usize, picked: &Picked<'_>) {
    let root = join(at.to_string().as_bytes(), &picked.name);
    entries.push(renamed(picked.root.entry, &root, picked.root.layer));
    let below = picked.content.iter();
    entries
        .extend(below.map(|(path, found)| renamed(found.entry, &join(&root, path), found.layer)));
    if let Some((relative, parents)) = &picked.below_pivot {
        let path = join(&root, relative);
        let parents = parents.iter();
        entries.extend(parents.map(|found| renamed(found.entry, &path, found.layer)));
    }
}
