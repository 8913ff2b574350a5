//! The shapes of BuildKit's progress, `SolveStatus` of its `client/graph.go`, as Go writes them: bytes in base64, what is empty left out. Unaware
//! of what happens.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// What is new: a line of the stream.
#[derive(Debug, Default, Serialize)]
pub struct SolveStatus {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vertexes: Vec<Vertex>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<VertexStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<VertexLog>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<VertexWarning>,
}

/// A line about one thing.
macro_rules! line_of {
    ($($part:ty, $field:ident, $of:expr;)*) => {
        $(impl From<$part> for SolveStatus {
            fn from(part: $part) -> Self {
                let of: fn($part) -> Vec<_> = $of;
                SolveStatus {
                    $field: of(part),
                    ..SolveStatus::default()
                }
            }
        })*
    };
}

line_of! {
    Vec<Vertex>, vertexes, |all| all;
    VertexStatus, statuses, |one| vec![one];
    VertexLog, logs, |one| vec![one];
    VertexWarning, warnings, |one| vec![one];
}

/// Something that is done: a step, or a part of kiln's own work.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Vertex {
    /// Names it, as `sha256:…`.
    pub digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    pub name: String,
    #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// How far a part of a vertex is.
#[derive(Debug, Serialize)]
pub struct VertexStatus {
    pub id: String,
    pub vertex: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    pub current: u64,
    #[serde(serialize_with = "time")]
    pub timestamp: Option<Timestamp>,
    #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
}

/// Output of a vertex.
#[derive(Debug, Serialize)]
pub struct VertexLog {
    pub vertex: String,
    /// 1 for standard output, 2 for standard error.
    pub stream: u8,
    #[serde(serialize_with = "bytes")]
    pub data: Vec<u8>,
    #[serde(serialize_with = "time")]
    pub timestamp: Option<Timestamp>,
}

/// Something that the user should know.
#[derive(Debug, Serialize)]
pub struct VertexWarning {
    pub vertex: String,
    pub level: u8,
    #[serde(serialize_with = "bytes")]
    pub short: Vec<u8>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<Range>,
}

/// Lines of the Dockerfile.
#[derive(Debug, Serialize)]
pub struct Range {
    pub start: Position,
    pub end: Position,
}

/// A line, from 1.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Position {
    pub line: u32,
}

#[allow(clippy::ref_option)] // serde's way to call it
fn time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.unwrap_or_default())
}

fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's way to call it
fn is_zero(count: &u64) -> bool {
    *count == 0
}
