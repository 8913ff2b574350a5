//! Advice on how an image becomes smaller, faster to build, or right: each kind is one file in `advise/` and one line in [`RULES`]. A
//! finding says where, how much, and which edit helps; only edits that need no judgement are mechanical. Unaware of how images are built
//! and of who shows the findings.

mod build_platform;
mod changed_owner;
mod clause;
mod compilers;
mod debian;
mod deleted_later;
mod duplicates;
mod edit;
mod foreign_machine;
mod ignored_files;
mod layer_cache;
mod package_cache;
mod platform_default;
mod recommends;
mod smaller_base;
mod stale_lists;
mod subject;
pub mod verify;

pub use edit::{Edit, EditError, applied};
pub use subject::{Base, Context, Source, Subject, Written};

use crate::classify::Class;
use serde::Serialize;

/// A kind of advice.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in words that a command line takes.
    pub name: &'static str,
    /// Finds what there is to say.
    pub find: fn(&Subject<'_>) -> Vec<Finding>,
}

/// All kinds of advice. To add one: a file and a line here.
pub const RULES: [Rule; 13] = [
    rule("deleted-later", deleted_later::find),
    rule("changed-owner", changed_owner::find),
    rule("package-cache", package_cache::find),
    rule("stale-lists", stale_lists::find),
    rule("ignored-files", ignored_files::find),
    rule("recommends", recommends::find),
    rule("layer-cache", layer_cache::find),
    rule("duplicates", duplicates::find),
    rule("compilers", compilers::find),
    rule("smaller-base", smaller_base::find),
    rule("platform-default", platform_default::find),
    rule("build-platform", build_platform::find),
    rule("foreign-machine", foreign_machine::find),
];

const fn rule(name: &'static str, find: fn(&Subject<'_>) -> Vec<Finding>) -> Rule {
    Rule { name, find }
}

/// One thing that could be better.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Finding {
    /// The name of its rule.
    pub rule: &'static str,
    /// 1-based line of the instruction that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The class of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// Uncompressed bytes that would go; an estimate until it is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The same, compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<u64>,
    /// Seconds that a rebuild would take less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do, in one sentence.
    pub advice: String,
    /// The edits that do it, where nobody has to judge.
    pub edits: Vec<Edit>,
    /// Paths of the image that the edits change, without a leading slash; what is below them too.
    pub paths: Vec<String>,
}

impl Finding {
    /// Bytes of a class that this line is the cause of.
    fn of_bytes(line: Option<u32>, class: Class, bytes: u64, what: String) -> Self {
        Finding {
            line,
            class: Some(class.name()),
            bytes: Some(bytes),
            what,
            ..Finding::default()
        }
    }

    fn advised(self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        Finding { advice, ..self }
    }

    /// With the edits, and the paths that they change.
    fn edited(self, edits: Vec<Edit>, paths: Vec<String>) -> Self {
        Finding {
            edits,
            paths,
            ..self
        }
    }
}

/// All findings, by the order of the lines, those of the image as a whole last.
#[must_use]
pub fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let find = |rule: &Rule| {
        let found = (rule.find)(subject).into_iter();
        let named = found.map(|finding| Finding {
            rule: rule.name,
            ..finding
        });
        named.collect::<Vec<_>>()
    };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(find).collect();
    findings.sort_by_key(|finding| finding.line.unwrap_or(u32::MAX));
    findings
}
