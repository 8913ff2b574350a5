//! `COPY` and `ADD`: the key covers what the sources hold (never their times), the result is one layer.

mod owner;

use super::renamed;
use crate::execute::copy::place::{Changes, Overwritten, Placement};
use crate::execute::copy::select::{Picked, select};
use crate::execute::copy::write::write;
use crate::execute::copy::{archive, join, shown};
use crate::execute::results::TIME_OF;
use crate::execute::users::Owner;
use crate::execute::{Execution, Key, finish};
use crate::failure::{CopyError, StepError};
use crate::plan::output::{Done, Stack};
use crate::source::fetch::Remote;
use crate::source::fetch::address::redacted;
use kiln_cache::{Chain, Layer, OutsideLink, tree_digest};
use kiln_parser::code;
use kiln_parser::diagnostic::{Diagnostic, Phase};
use kiln_parser::graph::{CopyOp, CopySource, Node, SourcePath, Unpack};
use std::collections::BTreeMap;
use std::path::Path;

/// Looks the step up or executes it.
///
/// # Errors
/// When a source is missing, something stands in the way, or the store fails.
pub fn execute(execution: &Execution<'_>, node: &Node, copy: &CopyOp) -> Result<Done, StepError> {
    let base = execution.done(copy.base)?;
    let sources = open(execution, copy)?;
    let picked = pick(copy, &sources).map_err(|error| explain(execution, copy, error))?;
    let inputs = Inputs {
        base: &base.stack,
        sources: &sources,
        picked: &picked,
        owner: owner::for_key(execution, copy, &base.stack)?,
    };
    let key = key(execution, node, copy, &inputs);
    execution.look_up_or_make(node, &base.stack, &key, |now| {
        make(execution, node, copy, inputs, now)
    })
}

/// What the key covers, and what the layer is made of.
struct Inputs<'a> {
    base: &'a Stack,
    sources: &'a [Chain],
    picked: &'a [Vec<Picked<'a>>],
    /// Where [`owner::for_key`] tells.
    owner: Option<Owner>,
}

/// The files of each source; heredocs have none.
fn open(execution: &Execution<'_>, copy: &CopyOp) -> Result<Vec<Chain>, StepError> {
    let files = |source: &CopySource| match source {
        CopySource::Files { from, .. } => execution.files(*from),
        CopySource::Inline { .. } | CopySource::Url { .. } | CopySource::Git(_) => {
            let layer = match Remote::of(source) {
                Some(remote) => execution.fetched(&remote)?.layer,
                None => None,
            };
            Ok(execution.session.store.layers().chain(layer.as_slice())?)
        }
    };
    copy.sources.iter().map(files).collect()
}

fn pick<'a>(copy: &CopyOp, sources: &'a [Chain]) -> Result<Vec<Vec<Picked<'a>>>, CopyError> {
    let pick = |(source, chain): (&CopySource, &'a Chain)| match source {
        CopySource::Files { paths, .. } => select(chain, paths, copy.parents, &copy.exclude),
        CopySource::Url { .. } => Ok(only_file(chain)),
        CopySource::Git(_) => select(chain, &[root()], false, &copy.exclude),
        CopySource::Inline { .. } => Ok(Vec::new()),
    };
    copy.sources.iter().zip(sources).map(pick).collect()
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

/// A file that is in the folder but not in the context was left out by .dockerignore: worth saying.
fn explain(execution: &Execution<'_>, copy: &CopyOp, error: CopyError) -> CopyError {
    let CopyError::NotFound { path, hint: None } = error else {
        return error;
    };
    let folder = |source: &CopySource| match source {
        CopySource::Files { from, .. } => execution.plan.context_folder(execution.build, *from),
        _ => None,
    };
    let relative = path.trim_start_matches('/');
    // Only a hint is made of the answer, so a plain look is enough; `..` was clamped by the parser.
    let seen = copy
        .sources
        .iter()
        .filter_map(folder)
        .find_map(|folder| folder.join(relative).symlink_metadata().ok());
    let hint = seen.map(|seen| {
        if seen.is_symlink() {
            "it is a link, and what it leads to is not there or left out by .dockerignore"
        } else {
            "it is in the context's folder, but .dockerignore leaves it out"
        }
    });
    CopyError::NotFound {
        path,
        hint: hint.map(str::to_owned),
    }
}

/// Everything that decides about the layer. With `--link` the files below do not, but for the owner whom they know by name.
fn key(execution: &Execution<'_>, node: &Node, copy: &CopyOp, inputs: &Inputs<'_>) -> Key {
    let mut key = execution.key("copy", node);
    for (source, picked) in copy.sources.iter().zip(inputs.picked) {
        let mut entries = Vec::new();
        for (number, picked) in picked.iter().enumerate() {
            let root = join(number.to_string().as_bytes(), &picked.name);
            entries.push(renamed(picked.root.entry, &root, picked.root.layer));
            entries.extend(
                picked
                    .content
                    .iter()
                    .map(|(path, found)| renamed(found.entry, &join(&root, path), found.layer)),
            );
            if let Some((relative, parents)) = &picked.below_pivot {
                entries.extend(
                    parents
                        .iter()
                        .map(|found| renamed(found.entry, &join(&root, relative), found.layer)),
                );
            }
        }
        key = key.input(&source_name(source), tree_digest(&entries));
        if let (CopySource::Url { .. }, [file, ..]) = (source, &picked[..]) {
            let name = format!("{TIME_OF}{}", source_name(source));
            key = key.bytes(&name, &file.root.entry.mtime.to_le_bytes());
        }
    }
    if let Some(owner) = &inputs.owner {
        key = key.bytes("owner", format!("{}:{}", owner.uid, owner.gid).as_bytes());
    }
    if !copy.link {
        key = key.input("files below", inputs.base.content);
    }
    finish(key)
}

fn source_name(source: &CopySource) -> String {
    match source {
        CopySource::Files { paths, .. } => {
            let paths: Vec<&str> = paths
                .iter()
                .map(|path| {
                    if path.pattern.is_empty() {
                        "."
                    } else {
                        path.pattern.as_str()
                    }
                })
                .collect();
            paths.join(" ")
        }
        CopySource::Inline { name, .. } => format!("<<{name}"),
        CopySource::Url { url, .. } => redacted(url),
        CopySource::Git(git) => redacted(&git.remote),
    }
}

fn make(
    execution: &Execution<'_>,
    node: &Node,
    copy: &CopyOp,
    inputs: Inputs<'_>,
    now: i64,
) -> Result<Option<Layer>, StepError> {
    let store = &execution.session.store;
    let (base, picked) = (inputs.base, inputs.picked);
    // the base is looked into only where that decides something: its layers may still be in a registry
    let below = if copy.link {
        Chain::new(Vec::new())
    } else {
        store.layers().chain(&base.layers)?
    };
    let owner = owner::told(execution, node, copy, inputs.owner, base)?;
    let changes = Changes {
        owner,
        chmod: copy.chmod.as_ref(),
        now,
        latest: execution.plan.graph.source_date_epoch,
    };
    let scratch = if copy.unpack == Unpack::No {
        None
    } else {
        Some(store.scratch().dir("add")?)
    };
    let Unpacked {
        sources,
        places,
        links,
    } = unpack(copy, inputs.sources, picked, scratch.as_deref())?;
    let mut placement = Placement::new(&below, changes);
    for (number, source) in copy.sources.iter().enumerate() {
        if let CopySource::Inline { name, content } = source {
            placement.put_inline(name, content.as_bytes(), &copy.destination)?;
        }
        for (at, picked) in picked[number].iter().enumerate() {
            match places[number][at] {
                Some(archive) => {
                    let target = placement.unpack_directory(&copy.destination)?;
                    put_links(&mut placement, &picked.name, &links[&archive], &target)?;
                    put_archive(&mut placement, archive, &sources[archive], &target)?;
                }
                None => placement.put(number, picked, &copy.destination)?,
            }
        }
    }
    for (path, overwritten) in placement.overwritten() {
        tell(execution, node, copy, path, overwritten);
    }
    let layer = write(
        store.layers().writer(&below)?,
        &placement.finish(),
        &sources,
        &below,
    )?;
    if let Some(scratch) = scratch {
        store.scratch().discard(&scratch)?;
    }
    Ok(layer)
}

/// Warns of files that went where a later one of the same instruction went: allowed, and rarely meant.
fn tell(
    execution: &Execution<'_>,
    node: &Node,
    copy: &CopyOp,
    path: &[u8],
    Overwritten { lost, first }: &Overwritten,
) {
    let files = if *lost == 1 { "file is" } else { "files are" };
    let warning = Diagnostic::warning(
        code::OVERWRITTEN,
        node.span.unwrap_or_default(),
        format!(
            "{lost} {files} overwritten by another one of the same instruction: {first} at {}",
            shown(path)
        ),
    );
    execution.session.found_by_step(&Diagnostic {
        line: node.line,
        phase: Phase::Execute,
        help: (!copy.destination.ends_with('/')).then(|| {
            format!(
                "for a folder that takes all of them write {}/",
                copy.destination
            )
        }),
        ..warning
    });
}

/// The sources with the archives among the picked files.
struct Unpacked {
    /// All sources; an archive is one of its own.
    sources: Vec<Chain>,
    /// Which of them holds the content of each picked archive.
    places: Vec<Vec<Option<usize>>>,
    /// What each archive says of files that it does not hold.
    links: BTreeMap<usize, Vec<OutsideLink>>,
}

fn unpack(
    copy: &CopyOp,
    sources: &[Chain],
    picked: &[Vec<Picked<'_>>],
    scratch: Option<&Path>,
) -> Result<Unpacked, StepError> {
    let mut unpacked = Unpacked {
        sources: sources.to_vec(),
        places: Vec::new(),
        links: BTreeMap::new(),
    };
    for ((chain, picked), source) in sources.iter().zip(picked).zip(&copy.sources) {
        let mut places = Vec::new();
        // What was fetched is unpacked only where the Dockerfile says so.
        let unpacks = copy.unpack == Unpack::Yes || matches!(source, CopySource::Files { .. });
        for picked in picked {
            let archive = match scratch.filter(|_| unpacks) {
                Some(scratch) => archive::unpack(chain, &picked.root, scratch)?,
                None => None,
            };
            places.push(archive.map(|archive| {
                let number = unpacked.sources.len();
                unpacked.sources.push(archive.files);
                unpacked.links.insert(number, archive.links);
                number
            }));
        }
        unpacked.places.push(places);
    }
    Ok(unpacked)
}

/// Hard links to what was there before come first: what the archive holds under the same names counts from then on.
fn put_links(
    placement: &mut Placement<'_>,
    name: &[u8],
    links: &[OutsideLink],
    target: &[u8],
) -> Result<(), StepError> {
    for link in links {
        if !placement.unpack_link(target, link)? {
            return Err(archive::dangling(&shown(name), link).into());
        }
    }
    Ok(())
}

/// Puts the entries of an archive below the directory `target`.
fn put_archive<'a>(
    placement: &mut Placement<'a>,
    number: usize,
    archive: &'a Chain,
    target: &[u8],
) -> Result<(), StepError> {
    for (tree, _) in archive.layers() {
        for entry in tree.entries().iter().filter(|entry| !entry.path.is_empty()) {
            placement.unpack_entry(number, Some(0), entry, &join(target, &entry.path))?;
        }
    }
    Ok(())
}
