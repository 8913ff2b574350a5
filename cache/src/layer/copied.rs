//! A copied tree that a RUN has changed becomes a layer: what differs from the chain that it was copied from, and what is gone. The
//! differences are written as those of uppers are ([`commit`](crate::layer::commit)).

use std::collections::{HashMap, HashSet};

use crate::layer::commit::{Commit, link_groups};
use crate::layer::upper::{UpperDir, UpperEntry, UpperKind};
use crate::path::parent;
use crate::view::copy::CopiedTree;
use crate::{Chain, CommitError, CommitOptions, CommittedUpper, Found, Layers};

impl Layers<'_> {
    /// Makes a layer of what changed in a copy of `below`.
    ///
    /// # Errors
    /// As [`Layers::commit_upper`].
    pub fn commit_copy(
        &self,
        copy: &CopiedTree,
        below: &Chain,
        options: &CommitOptions,
    ) -> Result<CommittedUpper, CommitError> {
        let mut directory = UpperDir::open(&copy.path)?;
        let mut entries = directory.walk()?;
        let groups = changed_groups(&entries, below);
        entries.extend(removed(&entries, copy, below));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let commit = Commit::new(below, options, groups.changed).with_intact(groups.intact);
        let committed = self.commit_entries(&mut directory, &entries, commit)?;
        Ok(CommittedUpper {
            excess: None,
            ..committed
        })
    }
}

/// Device and inode.
type Inode = (u64, u64);
/// A group of hard links of a chain.
type Group = (usize, u32);

/// Inodes with several names, by what became of them.
#[derive(Debug)]
struct Groups {
    /// Their names are others than below.
    changed: HashSet<Inode>,
    /// They have the names that one inode has below.
    intact: HashSet<Inode>,
}

fn changed_groups(entries: &[UpperEntry], below: &Chain) -> Groups {
    let mut sizes: HashMap<Group, usize> = HashMap::new();
    let all_below = below.walk(b"");
    for group in all_below.iter().filter_map(Found::link_group) {
        *sizes.entry(group).or_default() += 1;
    }
    let linked = link_groups(entries);
    let mut names: HashMap<Inode, Vec<Option<Group>>> = HashMap::new();
    for entry in entries.iter().filter(|entry| linked.contains(&entry.inode)) {
        let found = below.lookup(&entry.path);
        let group = found.and_then(|found| found.link_group());
        names.entry(entry.inode).or_default().push(group);
    }
    let is_intact = |names: &[Option<Group>]| match names {
        [Some(group), others @ ..] => {
            others.iter().all(|other| *other == Some(*group))
                && sizes.get(group) == Some(&names.len())
        }
        _ => false,
    };
    let (intact, changed): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|(_, names)| is_intact(names));
    let inodes = |groups: Vec<(Inode, _)>| groups.into_iter().map(|(inode, _)| inode).collect();
    Groups {
        changed: inodes(changed),
        intact: inodes(intact),
    }
}

/// Whiteouts of what is below and not in the tree, the topmost of each.
fn removed(entries: &[UpperEntry], copy: &CopiedTree, below: &Chain) -> Vec<UpperEntry> {
    let there: HashMap<&[u8], bool> = entries
        .iter()
        .map(|entry| {
            let is_directory = matches!(entry.kind, UpperKind::Directory { .. });
            (&*entry.path, is_directory)
        })
        .collect();
    let is_gone = |path: &[u8]| {
        !there.contains_key(path)
            && !copy.absent.contains(path)
            && parent(path).and_then(|parent| there.get(parent)) == Some(&true)
    };
    let below = below.walk(b"");
    let gone = below.iter().map(|found| &found.entry.path);
    gone.filter(|path| is_gone(path))
        .map(|path| UpperEntry::whiteout(path))
        .collect()
}
