//! What a range of layers does to each path: whether it is new, changed or gone, and how many bytes of each class the layers have for it.

use std::collections::BTreeMap;

use super::{Lifetimes, Node, NodeId, Version};
use crate::classify::{Classes, Classified};
use crate::difference::{Field, fields};
use crate::image::ImageLayer;

/// Layers that follow one another; both ends belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The lowest.
    pub from: usize,
    /// The highest.
    pub to: usize,
}

/// What layers do to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is new.
    Added,
    /// It is another, or something in it is.
    Changed,
    /// It is gone: it was below the layers, or only between them.
    Removed,
    /// The layers leave it as it is.
    Unchanged,
}

/// What the layers of a scope have for a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// What they do to it; nothing where it is not there.
    pub state: Option<State>,
    /// Bytes of content that they have for it and for what is in it.
    pub classes: Classes,
    /// Bytes of content of lower layers that they hide.
    pub hidden: u64,
    /// Whether it, or something in it, is admitted.
    pub is_admitted: bool,
}

/// What one layer does to a path and to what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touch {
    /// What it does to the path itself.
    pub state: Option<State>,
    /// In what a changed path differs.
    pub fields: Vec<Field>,
    /// Bytes of content that the layer has.
    pub written: u64,
    /// Bytes of content of lower layers that it hides.
    pub hidden: u64,
    /// What is in it: numbers of new, changed and removed files.
    pub below: [usize; 3],
}

impl Lifetimes {
    /// What the layers of a scope have for each path alone, folders without what is in them.
    #[must_use]
    pub fn measure(&self, classified: &Classified, scope: Scope) -> Vec<Measure> {
        let measure = |node: &Node| Measure {
            state: state(node, scope),
            classes: written(node, classified, scope),
            hidden: hidden(node, classified, scope),
            is_admitted: false,
        };
        self.nodes.iter().map(measure).collect()
    }

    /// The same with what is in folders, as far as it is admitted.
    #[must_use]
    pub fn sum(
        &self,
        alone: &[Measure],
        admits: impl Fn(NodeId, &Measure) -> bool,
    ) -> Vec<Measure> {
        let mut all = alone.to_vec();
        for id in (0..all.len()).rev() {
            let own = &alone[id];
            if own.state.is_some() && admits(id, own) {
                all[id].is_admitted = true;
            } else if self.node(id).children.is_empty() {
                continue;
            }
            let child = all[id];
            let parent = self.node(id).parent;
            if id != parent && child.is_admitted {
                all[parent].take(&child);
            }
        }
        all
    }

    /// What each layer does to a path and to what is in it, for those that do something.
    #[must_use]
    pub fn touches(
        &self,
        layers: &[ImageLayer],
        classified: &Classified,
        id: NodeId,
    ) -> BTreeMap<usize, Touch> {
        let mut touches: BTreeMap<usize, Touch> = BTreeMap::new();
        let mut todo = vec![id];
        while let Some(next) = todo.pop() {
            let node = self.node(next);
            todo.extend(node.children.values());
            for (at, version) in node.versions.iter().enumerate() {
                let before = at.checked_sub(1).map(|before| &node.versions[before]);
                let replaced = before.filter(|before| before.until == Some(version.layer));
                let touch = touches.entry(version.layer).or_default();
                touch.written += bytes(classified, version);
                touch.note(layers, next == id, replaced, version);
                let Some(end) = version.until else { continue };
                let touch = touches.entry(end).or_default();
                touch.hidden += bytes(classified, version);
                let later = node.versions.get(at + 1);
                if later.is_none_or(|later| later.layer != end) {
                    let is_folder = Self::entry(layers, version).is_directory();
                    touch.lose(next == id, is_folder);
                }
            }
        }
        touches
    }
}

impl Measure {
    /// Adds what a folder has in it.
    fn take(&mut self, child: &Measure) {
        self.classes += child.classes;
        self.hidden += child.hidden;
        self.is_admitted = true;
        if self.state == Some(State::Unchanged) && child.state != Some(State::Unchanged) {
            self.state = Some(State::Changed);
        }
    }
}

impl Touch {
    fn note(
        &mut self,
        layers: &[ImageLayer],
        is_itself: bool,
        before: Option<&Version>,
        version: &Version,
    ) {
        let entry = Lifetimes::entry(layers, version);
        if !is_itself {
            let kind = usize::from(before.is_some());
            self.below[kind] += usize::from(!entry.is_directory());
            return;
        }
        self.state = Some(match before {
            None => State::Added,
            Some(before) => {
                self.fields = fields(Lifetimes::entry(layers, before), entry);
                State::Changed
            }
        });
    }

    fn lose(&mut self, is_itself: bool, is_directory: bool) {
        match is_itself {
            true => self.state = Some(State::Removed),
            false => self.below[2] += usize::from(!is_directory),
        }
    }
}

fn bytes(classified: &Classified, version: &Version) -> u64 {
    classified.layers[version.layer].fates[version.entry].bytes
}

/// What showed below a scope.
fn before(node: &Node, scope: Scope) -> Option<&Version> {
    let shows = |version: &&Version| {
        version.layer < scope.from && version.until.is_none_or(|end| end >= scope.from)
    };
    node.versions.iter().find(shows)
}

fn state(node: &Node, scope: Scope) -> Option<State> {
    let shows = |version: &&Version| {
        version.layer <= scope.to && version.until.is_none_or(|end| end > scope.to)
    };
    let after = node.versions.iter().find(shows);
    let of_scope = |version: &Version| (scope.from..=scope.to).contains(&version.layer);
    let count = node.versions.iter().filter(|one| of_scope(one)).count();
    match (before(node, scope), after) {
        (None, None) => (count > 0).then_some(State::Removed),
        (Some(_), None) => Some(State::Removed),
        (None, Some(_)) if count > 1 => Some(State::Changed),
        (None, Some(_)) => Some(State::Added),
        (Some(_), Some(_)) if count > 0 => Some(State::Changed),
        (Some(_), Some(_)) => Some(State::Unchanged),
    }
}

fn written(node: &Node, classified: &Classified, scope: Scope) -> Classes {
    let mut classes = Classes::default();
    for version in &node.versions {
        if (scope.from..=scope.to).contains(&version.layer) {
            let fate = &classified.layers[version.layer].fates[version.entry];
            classes.add(fate.class, fate.bytes);
        }
    }
    classes
}

fn hidden(node: &Node, classified: &Classified, scope: Scope) -> u64 {
    let before = before(node, scope);
    let ended = before.filter(|version| version.until.is_some_and(|end| end <= scope.to));
    ended.map_or(0, |version| bytes(classified, version))
}
