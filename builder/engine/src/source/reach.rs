//! Which part of a context a build can see: what COPY, ADD and mounts name. Unaware of .dockerignore and of disks.
//!
//! The walk of a context is pruned by this, so that a `COPY src src` in a folder of a million files looks at `src` alone.

use kiln_cache::Decision;
use kiln_parser::glob;
use kiln_parser::graph::{CopyOp, CopySource, NodeId, Op, RunMount, StageGraph};

/// The paths of one context that may be used, as patterns split into components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    patterns: Vec<Vec<String>>,
    /// Folders that are looked at themselves, whatever in them is named: where `--parents` begins.
    pivots: Vec<Vec<String>>,
}

impl Reach {
    /// All that the wanted nodes of `graph` take from the node `context`.
    #[must_use]
    pub fn of(graph: &StageGraph, wanted: &[bool], context: NodeId) -> Self {
        let mut reach = Reach::default();
        for node in graph.nodes.iter().filter(|node| wanted[node.id.0]) {
            match &node.op {
                Op::Copy(copy) => reach.add_copy(copy, context),
                Op::Run(run) => run
                    .mounts
                    .iter()
                    .for_each(|mount| reach.add_mount(mount, context)),
                _ => {}
            }
        }
        reach
    }

    fn add_copy(&mut self, copy: &CopyOp, context: NodeId) {
        for source in &copy.sources {
            if let CopySource::Files { from, paths } = source
                && *from == context
            {
                for path in paths {
                    self.add(&format!("{}/{}", path.pivot, path.pattern));
                    self.pivots.push(owned(&path.pivot));
                }
            }
        }
    }

    fn add_mount(&mut self, mount: &RunMount, context: NodeId) {
        let files = mount.files().filter(|(from, ..)| *from == context);
        files.iter().for_each(|(_, source, _)| self.add(source));
    }

    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Reach {
            patterns: vec![Vec::new()],
            pivots: Vec::new(),
        }
    }

    fn add(&mut self, pattern: &str) {
        let mut components = owned(pattern);
        // What `**` may match is everything from there on.
        let fixed = components.iter().take_while(|c| !c.contains("**")).count();
        components.truncate(fixed);
        if !self.patterns.contains(&components) {
            self.patterns.push(components);
        }
    }

    /// The decision for a path of the context.
    #[must_use]
    pub fn decide(&self, path: &[u8], is_directory: bool) -> Decision {
        let path = String::from_utf8_lossy(path);
        let path = components(&path);
        if self
            .pivots
            .iter()
            .any(|pivot| pivot.len() == path.len() && agree(pivot, &path))
        {
            return Decision::Keep;
        }
        let mut decision = Decision::Prune;
        for pattern in self.patterns.iter().filter(|pattern| agree(pattern, &path)) {
            // A file or link on the way is kept: a link there leads to more than this walk sees.
            if path.len() >= pattern.len() || !is_directory {
                return Decision::Keep;
            }
            decision = Decision::Skip;
        }
        decision
    }

    /// Whether the link at `path` stands in the way of a pattern, so that what it leads to is needed as well.
    #[must_use]
    pub fn needs_target_of(&self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path);
        let path = components(&path);
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| path.len() <= pattern.len() && agree(pattern, &path))
    }
}

/// Whether pattern and path are the same as far as the shorter one goes.
fn agree(pattern: &[String], path: &[&str]) -> bool {
    let mut pairs = pattern.iter().zip(path);
    pairs.all(|(pattern, name)| matches(pattern, name))
}

fn components(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn owned(path: &str) -> Vec<String> {
    components(path).into_iter().map(str::to_owned).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    // A malformed pattern is reported by the COPY; here it only must not hide anything.
    pattern == name || glob::match_component(pattern, name).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(patterns: &[&str]) -> Reach {
        let mut reach = Reach::default();
        patterns.iter().for_each(|pattern| reach.add(pattern));
        reach
    }

    #[test]
    fn only_named_parts_are_walked() {
        let reach = reach(&["src/*.rs", "data/set"]);
        assert_eq!(reach.decide(b"src", true), Decision::Skip);
        assert_eq!(reach.decide(b"src/main.rs", false), Decision::Keep);
        assert_eq!(reach.decide(b"src/notes.md", false), Decision::Prune);
        assert_eq!(reach.decide(b"target", true), Decision::Prune);
        assert_eq!(reach.decide(b"data/set/a/b", false), Decision::Keep);
        assert_eq!(reach.decide(b"data/other", true), Decision::Prune);
    }

    #[test]
    fn the_root_and_double_stars_reach_everything_below() {
        assert_eq!(reach(&[""]).decide(b"x/y", false), Decision::Keep);
        let reach = reach(&["a/**/c.txt"]);
        assert_eq!(
            (
                reach.decide(b"a", true),
                reach.decide(b"a/b/d", false),
                reach.decide(b"b", true)
            ),
            (Decision::Keep, Decision::Keep, Decision::Prune)
        );
    }

    #[test]
    fn a_pivot_is_looked_at_itself() {
        let mut reach = reach(&["d*/no*/x"]);
        reach.pivots.push(owned("d*"));
        assert_eq!(reach.decide(b"dir", true), Decision::Keep);
        assert_eq!(reach.decide(b"dir/yes", true), Decision::Prune);
        assert_eq!(reach.decide(b"dir/no", true), Decision::Skip);
        assert_eq!(reach.decide(b"other", true), Decision::Prune);
    }

    #[test]
    fn links_on_the_way_need_their_targets() {
        let reach = reach(&["lib/current/app"]);
        assert_eq!(reach.decide(b"lib/current", false), Decision::Keep);
        assert!(reach.needs_target_of(b"lib/current") && reach.needs_target_of(b"lib/current/app"));
        assert!(
            !reach.needs_target_of(b"lib/other")
                && !reach.needs_target_of(b"lib/current/app/inner")
        );
    }
}
