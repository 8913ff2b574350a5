//! Reasons: why a step was executed although an earlier build of the project had a result of it. Data that is remembered and told, with the words
//! in which people read it. Unaware of how a reason is found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that differs from the last build, or that keeps a known result from being used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// Files that it reads.
    Files {
        /// The context that they are in, unless it is the main one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// The first of them.
        files: Vec<FileChange>,
        /// How many there are in all.
        count: usize,
    },
    /// A variable that a command sees.
    Variable {
        /// Its name.
        name: String,
        /// Whether an `ARG` declares it.
        is_argument: bool,
        /// The value before; absent where there was none, or it is not to be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        /// The value now, likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<String>,
    },
    /// The instruction.
    Text {
        /// Words that are gone and words that are new, as git shows them: `RUN make [-all-]{+install+}`.
        words: String,
    },
    /// The image that it is based on or reads from.
    Base {
        /// What the Dockerfile calls it.
        name: String,
        /// The image before: its ID, and its name where that was another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        /// The ID of the image now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<String>,
    },
    /// A flag of the instruction or of the build, or what stands like one for all later instructions (`USER`).
    Flag {
        /// Its name.
        name: String,
        /// The value before, where it can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        /// The value now, likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<String>,
    },
    /// Something else that went into its key.
    Input {
        /// What it is.
        name: String,
    },
    /// What it is made on, or made from, is not what it was, because of other steps.
    Steps {
        /// The steps with which it began: `[build 2/4] COPY . .`.
        steps: Vec<String>,
    },
    /// A step before it is there no more.
    Removed {
        /// The instructions.
        steps: Vec<String>,
    },
    /// The steps before it have another order.
    Moved,
    /// The last build had no such step.
    New,
    /// It failed in the last build.
    Failed,
    /// A flag says that no result is to be used.
    NoCache {
        /// Which one.
        flag: String,
    },
    /// The result is older than `--cache-ttl` allows.
    Expired,
    /// The store has the result no more.
    Evicted,
    /// A build elsewhere had the result, and the shared cache does not have it.
    NotShared,
    /// The result rests on a cache that this build does not name, or on a weaker isolation than it demands.
    Refused,
}

/// What has become of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path in the context.
    pub path: String,
    /// What differs.
    pub changes: Vec<Change>,
}

/// What differs in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    Added,
    /// It is there no more.
    Removed,
    /// Its type, content, target or attributes.
    Content,
    /// Its mode, before and now.
    Mode(String, String),
    /// Its owner, before and now.
    Owner(String, String),
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { of, files, count } => list(out, of.as_deref(), files, *count),
            Self::Variable {
                name,
                is_argument,
                old,
                new,
            } => {
                let kind = if *is_argument { "ARG" } else { "ENV" };
                values(out, &format!("{kind} {name}"), old, new)
            }
            Self::Text { words } => write!(out, "text: {words}"),
            Self::Base { name, old, new } => values(out, &format!("image {name}"), old, new),
            Self::Flag { name, old, new } => values(out, name, old, new),
            Self::Input { name } => write!(out, "{name} changed"),
            Self::Steps { steps } => write!(out, "started by {}", steps.join(", ")),
            Self::Removed { steps } => write!(out, "no longer after {}", steps.join(", ")),
            Self::NoCache { flag } => out.write_str(flag),
            _ => out.write_str(self.plain()),
        }
    }
}

impl Reason {
    /// The words of one that says nothing more.
    fn plain(&self) -> &'static str {
        match self {
            Self::Moved => "the steps before it have another order",
            Self::New => "a new step",
            Self::Failed => "it failed in the last build",
            Self::Expired => "its result is older than --cache-ttl",
            Self::Evicted => "its result is no longer in the store",
            Self::NotShared => "the shared cache does not have its result",
            _ => "its result is from a cache or an isolation that is not asked for",
        }
    }
}

fn list(
    out: &mut fmt::Formatter<'_>,
    of: Option<&str>,
    files: &[FileChange],
    count: usize,
) -> fmt::Result {
    if let Some(of) = of {
        write!(out, "{of}: ")?;
    }
    for (at, file) in files.iter().enumerate() {
        let between = if at > 0 { ", " } else { "" };
        write!(out, "{between}{} ", file.path)?;
        for (at, change) in file.changes.iter().enumerate() {
            let between = if at > 0 { " and " } else { "" };
            write!(out, "{between}{change}")?;
        }
    }
    match count.saturating_sub(files.len()) {
        0 => Ok(()),
        more => write!(out, " and {more} more"),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => out.write_str("added"),
            Self::Removed => out.write_str("removed"),
            Self::Content => out.write_str("changed"),
            Self::Mode(old, new) => write!(out, "mode {old} → {new}"),
            Self::Owner(old, new) => write!(out, "owner {old} → {new}"),
        }
    }
}

fn values(
    out: &mut fmt::Formatter<'_>,
    name: &str,
    old: &Option<String>,
    new: &Option<String>,
) -> fmt::Result {
    match (old, new) {
        (None, None) => write!(out, "{name} changed"),
        (Some(old), Some(new)) => write!(out, "{name}: {} → {}", shown(old), shown(new)),
        (None, Some(new)) => write!(out, "{name}: {} is new", shown(new)),
        (Some(old), None) => write!(out, "{name}: {} is gone", shown(old)),
    }
}

/// A value whose ends would not be seen stands in quotes.
fn shown(value: &str) -> String {
    match value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => format!("{value:?}"),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, changes: &[Change]) -> FileChange {
        FileChange {
            path: path.to_owned(),
            changes: changes.to_vec(),
        }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn reasons_are_short_sentences() {
        let mode = Change::Mode("644".to_owned(), "755".to_owned());
        let files = vec![
            file("a", &[Change::Content, mode]),
            file("b", &[Change::Added]),
        ];
        let variable = |old: Option<String>, new: Option<String>| Reason::Variable {
            name: "K".to_owned(),
            is_argument: true,
            old,
            new,
        };
        let several = Reason::Files {
            of: text("extra"),
            files,
            count: 5,
        };
        let told = "extra: a changed and mode 644 → 755, b added and 3 more";
        assert_eq!(several.to_string(), told);
        let cases = [
            (variable(text("a"), text("")), "ARG K: a → \"\""),
            (variable(None, text("a b")), "ARG K: \"a b\" is new"),
            (variable(text("a"), None), "ARG K: a is gone"),
            (variable(None, None), "ARG K changed"),
        ];
        for (reason, told) in cases {
            assert_eq!(reason.to_string(), told);
        }
    }

    #[test]
    fn reasons_are_remembered_as_they_are() {
        let owner = Change::Owner("0:0".to_owned(), "1:2".to_owned());
        let reasons = [
            Reason::Files {
                of: None,
                files: vec![file("a", &[Change::Removed, owner])],
                count: 1,
            },
            Reason::Moved,
        ];
        let json = serde_json::to_string(&reasons).unwrap();
        let expected = r#"[{"kind":"files","files":[{"path":"a","changes":["removed",{"owner":["0:0","1:2"]}]}],"count":1},{"kind":"moved"}]"#;
        assert_eq!(json, expected);
        let read: Vec<Reason> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, reasons);
    }
}
