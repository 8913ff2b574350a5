//! Which part of a context a build can see: what COPY, ADD and mounts name. Unaware of .dockerignore and of disks.
//!
//! The walk of a context is pruned by this, so that a `COPY src src` in a folder of a million files looks at `src` alone.

use kiln_cache::Decision;
use kiln_parser::glob;
use kiln_parser::graph::{CopySource, NodeId, Op, RunMount, StageGraph};

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
                Op::Copy(copy) => {
                    for source in &copy.sources {
                        if let CopySource::Files { from, paths } = source
                            && *from == context
                        {
                            for path in paths {
                                reach.add(&format!("{}/{}", path.pivot, path.pattern));
                                reach.pivots.push(components(&path.pivot));
                            }
                        }
                    }
                }
                Op::Run(run) => {
                    for mount in &run.mounts {
                        match mount {
                            RunMount::Bind { from, source, .. }
                            | RunMount::Cache {
                                from: Some(from),
                                source,
                                ..
                            } if *from == context => reach.add(source),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        reach
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
        let mut components = components(pattern);
        // What `**` may match is everything from there on.
        let fixed = components.iter().take_while(|c| *c != "**").count();
        components.truncate(fixed);
        if !self.patterns.contains(&components) {
            self.patterns.push(components);
        }
    }

    /// The decision for a path of the context.
    #[must_use]
    pub fn decide(&self, path: &[u8], is_directory: bool) -> Decision {
        let path = String::from_utf8_lossy(path);
        let components: Vec<&str> = path.split('/').filter(|c| !c.is_empty()).collect();
        let is_pivot = |pivot: &Vec<String>| {
            let mut pairs = pivot.iter().zip(&components);
            pivot.len() == components.len() && pairs.all(|(pattern, name)| matches(pattern, name))
        };
        if self.pivots.iter().any(is_pivot) {
            return Decision::Keep;
        }
        let mut decision = Decision::Prune;
        for pattern in &self.patterns {
            if !pattern
                .iter()
                .zip(&components)
                .all(|(pattern, name)| matches(pattern, name))
            {
                continue;
            }
            // A file or link on the way is kept: a link there leads to more than this walk sees.
            if components.len() >= pattern.len() || !is_directory {
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
        let components: Vec<&str> = path.split('/').filter(|c| !c.is_empty()).collect();
        self.patterns.iter().any(|pattern| {
            components.len() <= pattern.len()
                && pattern
                    .iter()
                    .zip(&components)
                    .all(|(pattern, name)| matches(pattern, name))
        })
    }
}

fn components(path: &str) -> Vec<String> {
    let components = path.split('/').filter(|c| !c.is_empty());
    components.map(str::to_owned).collect()
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
        reach.pivots.push(components("d*"));
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
