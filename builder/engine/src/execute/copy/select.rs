//! Which entries of a chain the source paths of a COPY mean. Unaware of destinations and of what the chain stands for.
//!
//! Rules (BuildKit's): wildcards match within one path component; a literal path must exist, a wildcard may match nothing;
//! links in a named path are followed inside the root, links below it are kept; a directory means its contents.

mod descend;

use super::{base_name, join, parent, shown};
use crate::failure::CopyError;
use descend::descend;
use kiln_cache::{Chain, Found};
use kiln_parser::graph::SourcePath;
use kiln_parser::{glob, ignore};
use std::collections::HashSet;

/// One thing that a source path means, with all that is below it.
#[derive(Debug)]
pub struct Picked<'a> {
    /// Its name in its directory: what a file is called when it is put into a directory.
    pub name: Vec<u8>,
    /// With `--parents`: its path below the pivot, and the directories on the way there, outermost first.
    pub below_pivot: Option<(Vec<u8>, Vec<Found<'a>>)>,
    /// The thing itself.
    pub root: Found<'a>,
    /// What is copied together: hard links of files of one group stay, as BuildKit's copier knows none from an earlier start.
    pub group: usize,
    /// What is below, sorted, by path relative to it; nothing when it is no directory.
    pub content: Vec<(Vec<u8>, Found<'a>)>,
}

/// Selects what `paths` mean in `chain`, in the order written.
///
/// # Errors
/// When a literal path is not there, links go in circles or a pattern is malformed.
pub fn select<'a>(
    chain: &'a Chain,
    paths: &[SourcePath],
    parents: bool,
    exclude: &[String],
) -> Result<Vec<Picked<'a>>, CopyError> {
    let excluded = Excluded::new(exclude)?;
    let mut picked: Vec<Picked<'a>> = Vec::new();
    for path in paths {
        if parents {
            select_with_parents(chain, path, &excluded, &mut picked)?;
            continue;
        }
        let mut named = expand(chain, &path.pattern)?;
        named.retain(|(name, root)| !excluded.file(name, root));
        let groups = next_group(&picked)..;
        let named = named.into_iter().zip(groups);
        picked.extend(named.map(|((name, root), group)| Picked {
            name,
            below_pivot: None,
            content: contents(chain, &root, &excluded, b""),
            root: root.1,
            group,
        }));
    }
    Ok(picked)
}

fn next_group(picked: &[Picked<'_>]) -> usize {
    picked.last().map_or(0, |last| last.group + 1)
}

type Named<'a> = (Vec<u8>, Found<'a>);

/// The places that a pattern means: name and (resolved path, entry). Links are followed before the first wildcard and at the
/// end, where one that leads nowhere is missing; what wildcards walk through are folders, never links to folders.
fn expand<'a>(chain: &'a Chain, pattern: &str) -> Result<Vec<(Vec<u8>, Named<'a>)>, CopyError> {
    let components = components(pattern);
    let is_fixed = |component: &&&str| !glob::has_wildcards(component);
    let fixed = components.iter().take_while(is_fixed).count();
    let (fixed, wild) = components.split_at(fixed);
    let mut places = vec![fixed.join("/").into_bytes()];
    if !wild.is_empty() {
        places = vec![follow(chain, &places[0])?.0];
    }
    for component in wild {
        let mut next = Vec::new();
        for folder in &places {
            next.extend(step(chain, folder, component)?);
        }
        places = next;
    }
    let named = |place: Vec<u8>| Ok((base_name(&place).to_vec(), follow(chain, &place)?));
    places.into_iter().map(named).collect()
}

fn components(pattern: &str) -> Vec<&str> {
    let components = pattern.split('/');
    components
        .filter(|component| !component.is_empty())
        .collect()
}

/// What stands at a path, links followed.
fn follow<'a>(chain: &'a Chain, path: &[u8]) -> Result<Named<'a>, CopyError> {
    let resolved = chain.resolve(path, true)?;
    match resolved.found {
        Some(found) => Ok((resolved.path, found)),
        None => Err(CopyError::NotFound {
            path: format!("/{}", shown(path)),
            hint: None,
        }),
    }
}

/// The entries of a folder that a component of a pattern means. A link is no folder here.
fn step(chain: &Chain, folder: &[u8], component: &str) -> Result<Vec<Vec<u8>>, CopyError> {
    let found = chain.lookup(folder);
    if !found.is_some_and(|found| found.entry.is_directory()) {
        return Ok(Vec::new());
    }
    if glob::has_wildcards(component) {
        let names = matching(chain, folder, component)?;
        return Ok(names.iter().map(|name| join(folder, name)).collect());
    }
    let path = join(folder, component.as_bytes());
    Ok(chain.lookup(&path).map(|_| path).into_iter().collect())
}

/// Names in `folder` (links followed) that match one component of a pattern, sorted.
fn matching(chain: &Chain, folder: &[u8], pattern: &str) -> Result<Vec<Vec<u8>>, CopyError> {
    let resolved = chain.resolve(folder, true)?;
    if !resolved
        .found
        .is_some_and(|found| found.entry.is_directory())
    {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for (name, _) in chain.children(&resolved.path) {
        if glob::match_component(pattern, &shown(name))
            .map_err(|_| CopyError::BadPattern(pattern.to_owned()))?
        {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// What is below a directory, by relative path, without what is excluded. The patterns are matched with `prefix` before it.
fn contents<'a>(
    chain: &'a Chain,
    root: &Named<'a>,
    excluded: &Excluded,
    prefix: &[u8],
) -> Vec<(Vec<u8>, Found<'a>)> {
    if !root.1.entry.is_directory() {
        return Vec::new();
    }
    let skip = if root.0.is_empty() {
        0
    } else {
        root.0.len() + 1
    };
    let below = chain
        .walk(&root.0)
        .into_iter()
        .filter(|found| found.entry.path.len() > root.0.len());
    let relative = below.map(|found| (found.entry.path[skip..].to_vec(), found));
    if excluded.is_empty() {
        return relative.collect();
    }
    excluded.retain(relative.collect(), prefix)
}

/// `--parents`: the pivot is resolved, and what matches below it keeps its path.
fn select_with_parents<'a>(
    chain: &'a Chain,
    path: &SourcePath,
    excluded: &Excluded,
    picked: &mut Vec<Picked<'a>>,
) -> Result<(), CopyError> {
    let components = components(&path.pattern);
    let is_wild = |component: &&str| glob::has_wildcards(component);
    let mut is_found = components.iter().any(is_wild) || glob::has_wildcards(&path.pivot);
    for pivot in pivots(chain, &path.pivot)? {
        let group = next_group(picked);
        let mut matches = descend(chain, &pivot, &components)?;
        matches.sort();
        matches.dedup();
        is_found |= !matches.is_empty();
        let before = picked.len();
        for relative in matches {
            picked.extend(pick_with_parents(chain, &pivot, relative, excluded, group)?);
        }
        if picked.len() == before {
            picked.extend(empty_pivot(chain, &pivot, group));
        }
    }
    let missing = || CopyError::NotFound {
        path: format!("/{}", path.pattern),
        hint: None,
    };
    is_found.then_some(()).ok_or_else(missing)
}

fn pivots(chain: &Chain, pattern: &str) -> Result<Vec<Vec<u8>>, CopyError> {
    if pattern.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    let places = expand(chain, pattern)?.into_iter();
    Ok(places.map(|(_, (path, _))| path).collect())
}

/// What is copied with `--parents` is the pivot, reduced to what matches: without any match still a directory.
fn empty_pivot<'a>(chain: &'a Chain, pivot: &[u8], group: usize) -> Option<Picked<'a>> {
    let root = chain.lookup(pivot)?;
    root.entry.is_directory().then(|| Picked {
        name: Vec::new(),
        below_pivot: Some((Vec::new(), Vec::new())),
        root,
        group,
        content: Vec::new(),
    })
}

fn pick_with_parents<'a>(
    chain: &'a Chain,
    pivot: &[u8],
    relative: Vec<u8>,
    excluded: &Excluded,
    group: usize,
) -> Result<Option<Picked<'a>>, CopyError> {
    let resolved = chain.resolve(&join(pivot, &relative), false)?;
    let Some(root) = resolved.found else {
        return Ok(None);
    };
    let place = (resolved.path, root);
    if excluded.file(&relative, &place) {
        return Ok(None);
    }
    let mut parents = Vec::new();
    for at in (0..relative.len()).filter(|at| relative[*at] == b'/') {
        parents.extend(chain.resolve(&join(pivot, &relative[..at]), true)?.found);
    }
    Ok(Some(Picked {
        name: base_name(&relative).to_vec(),
        content: contents(chain, &place, excluded, &relative),
        below_pivot: Some((relative, parents)),
        root,
        group,
    }))
}

/// `--exclude`, in the syntax of .dockerignore, relative to each source.
struct Excluded(Option<ignore::Matcher>);

impl Excluded {
    fn new(patterns: &[String]) -> Result<Self, CopyError> {
        if patterns.is_empty() {
            return Ok(Excluded(None));
        }
        let bad = |error: &dyn std::fmt::Display| CopyError::BadExclude {
            pattern: patterns.join(","),
            message: error.to_string(),
        };
        ignore::Matcher::new(patterns)
            .map(|matcher| Excluded(Some(matcher)))
            .map_err(|error| bad(&error))
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a source that is no directory is excluded by its own name.
    fn file(&self, name: &[u8], place: &Named<'_>) -> bool {
        !place.1.entry.is_directory()
            && self
                .0
                .as_ref()
                .is_some_and(|matcher| ignored(matcher, name))
    }

    /// Drops what is excluded; a directory stays when something below it does.
    fn retain<'a>(
        &self,
        entries: Vec<(Vec<u8>, Found<'a>)>,
        prefix: &[u8],
    ) -> Vec<(Vec<u8>, Found<'a>)> {
        let Some(matcher) = &self.0 else {
            return entries;
        };
        let is_kept = |path: &[u8]| !ignored(matcher, &join(prefix, path));
        let mut keep: Vec<bool> = entries.iter().map(|(path, _)| is_kept(path)).collect();
        let kept = entries.iter().zip(&keep).filter(|(_, keep)| **keep);
        let holding = folders_above(kept.map(|((path, _), _)| path.as_slice()));
        for ((path, found), keep) in entries.iter().zip(&mut keep) {
            *keep |= found.entry.is_directory() && holding.contains(path.as_slice());
        }
        let entries = entries.into_iter().zip(keep);
        entries
            .filter(|(_, keep)| *keep)
            .map(|(entry, _)| entry)
            .collect()
    }
}

fn folders_above<'p>(paths: impl Iterator<Item = &'p [u8]>) -> HashSet<&'p [u8]> {
    let mut folders = HashSet::new();
    for path in paths {
        let mut folder = parent(path);
        while !folder.is_empty() && folders.insert(folder) {
            folder = parent(folder);
        }
    }
    folders
}

/// A pattern that turns out to be broken only now excludes nothing; the matcher has checked all of them before.
fn ignored(matcher: &ignore::Matcher, path: &[u8]) -> bool {
    matcher.ignored(&shown(path)).unwrap_or(false)
}
