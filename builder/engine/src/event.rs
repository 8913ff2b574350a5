//! Everything that happens in a build, as data. Unaware of terminals: renderers read these events, tests assert on them.
//!
//! `--progress json` prints one [`Event`] a line (docs/events.md); the shape is part of kiln's interface and carries [`EVENT_VERSION`].
//! RUN output does not travel through the stream: it goes to a file that comes with [`EventKind::Log`], and renderers follow
//! that file at their own speed, so that a slow terminal never stalls a step. The stream never blocks either, and stays small:
//! [`EventKind::Transfer`] and [`EventKind::Work`], which repeat, are left out while the reader is behind, and all others come once a step.

pub(crate) mod cancel;
pub(crate) mod findings;
mod lasting;
mod log;
mod stream;

pub use cancel::{Cancel, Urgency};
use jiff::Timestamp;
pub use kiln_cache::{Reason, Work};
use kiln_oci::Digest;
pub use log::LogFile;
use serde::{Serialize, Serializer};
pub(crate) use stream::micros;
pub use stream::{Events, Stream};

/// Version of the event stream; raised when a field changes its meaning.
pub const EVENT_VERSION: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The build it belongs to: 12 hex digits, unique in a process.
    pub build: String,
    /// When, by the clock on the wall as it was when the build began: it never goes back. RFC 3339 in JSON.
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
    /// Microseconds since the build began.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// A step as renderers show it.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct StepInfo {
    /// Identifies the step in later events.
    pub step: usize,
    /// The stage's name, else its number.
    pub stage: String,
    /// Position within the stage, from 1.
    pub number: usize,
    /// Steps of the stage.
    pub of: usize,
    /// The instruction, on one line.
    pub title: String,
    /// Its first line in the Dockerfile, from 1; 0 when it has none.
    pub line: u32,
    /// What it is for, where several platforms are built.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// The steps that it is made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<usize>,
}

/// What a command used of the machine, as far as the kernel tells.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
pub struct Used {
    /// Microseconds of processors.
    pub cpu_us: u64,
    /// Bytes of memory at the peak.
    pub memory: u64,
    /// Bytes that were written to disks.
    pub written: u64,
}

/// How a step came to its result.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its record was in the cache.
    Cached,
    /// It was executed and made something new.
    Ran,
    /// It was executed, and made the same as before: what follows stays cached.
    Unchanged,
}

/// Which way a blob goes.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a registry.
    Download,
    /// To one.
    Upload,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The build began.
    Begun {
        /// [`EVENT_VERSION`].
        version: u32,
    },
    /// The steps that this build consists of.
    Planned {
        /// In the order of the Dockerfile.
        steps: Vec<StepInfo>,
    },
    /// A source is being read: context, base image.
    Source {
        /// What it is, for people.
        title: String,
        /// Files or layers seen.
        items: u64,
        /// Bytes that had to be digested.
        bytes: u64,
        /// Microseconds it took.
        took_us: u64,
    },
    /// A registry said what an image's name means.
    Resolved {
        /// The name, as people write it.
        reference: String,
        /// Digest of the manifest or index.
        digest: String,
        /// Microseconds it took.
        took_us: u64,
    },
    /// A blob comes from a registry or goes to one. Sent at its start, at its end, and a few times a second.
    Transfer {
        /// Which way.
        direction: Direction,
        /// Registry and repository.
        repository: String,
        /// The blob's digest.
        blob: String,
        /// Bytes that have arrived.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// Whether all of it has arrived.
        ended: bool,
        /// Microseconds since it began.
        took_us: u64,
    },
    /// The store works on many bytes. Sent as [`EventKind::Transfer`] is; work on a few bytes is not told.
    Work {
        /// What it does.
        work: Work,
        /// With what: the digest of a layer, or names of images.
        what: String,
        /// Bytes that are done.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// Whether all is done.
        ended: bool,
        /// Microseconds since it began.
        took_us: u64,
    },
    /// A cache of `--cache-from` was read.
    CacheRead {
        /// Where it is.
        place: String,
        /// Results in it; absent when there is no cache yet.
        records: Option<usize>,
        /// Microseconds it took.
        took_us: u64,
    },
    /// A cache of `--cache-to` was written.
    CacheWritten {
        /// Where it is.
        place: String,
        /// Results in it.
        records: usize,
        /// Bytes of layers that it lacked; absent when it had everything.
        #[serde(skip_serializing_if = "Option::is_none")]
        sent: Option<u64>,
        /// Microseconds it took.
        took_us: u64,
    },
    /// A cache mount was fetched from a cache of `--cache-from`.
    MountRead {
        /// Where it is.
        place: String,
        /// What the mount is called.
        mount: String,
        /// Bytes of its files.
        bytes: u64,
        /// Bytes that were fetched, as far as this store did not have them.
        fetched: u64,
        /// Microseconds it took.
        took_us: u64,
    },
    /// A cache mount was exported to a cache of `--cache-to`.
    MountWritten {
        /// Where it is.
        place: String,
        /// What the mount is called.
        mount: String,
        /// Bytes of its files.
        bytes: u64,
        /// Bytes that the cache lacked; absent when it had everything.
        #[serde(skip_serializing_if = "Option::is_none")]
        sent: Option<u64>,
        /// Microseconds it took.
        took_us: u64,
    },
    /// The build has waited for a while, for a server or for another process.
    Waiting {
        /// Host and port, or `another step or process`.
        host: String,
        /// What is to come, such as "an answer", or what the other one does.
        what: String,
    },
    /// A step is being executed.
    Started {
        /// The step.
        step: usize,
        /// The reasons in words, if an earlier build of the project had it.
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
        /// Why it is executed; empty in the first build of a project.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
    },
    /// A step's output can be followed in this file.
    Log {
        /// The step.
        step: usize,
        /// Grows until the step finishes.
        path: LogFile,
    },
    /// A step's command has ended; its layer may still be written.
    Finished {
        /// The step.
        step: usize,
        /// How it came to its result.
        outcome: Outcome,
        /// Microseconds of the command or the copy; of the first execution when cached.
        took_us: u64,
        /// Bytes of the layer's tar, 0 for no layer; absent while it is being written.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        /// Key of the result that was found, if the step has one of its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<Digest>,
        /// What a command that ran used.
        #[serde(flatten)]
        used: Option<Used>,
    },
    /// A step's layer is written.
    Committed {
        /// The step.
        step: usize,
        /// Key of the result.
        key: Digest,
        /// Bytes of the layer's tar, 0 when the step changed nothing.
        bytes: u64,
        /// How it came to its result.
        outcome: Outcome,
        /// All reasons why it was executed, where not all were known when it started.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: usize,
        /// Why, on one line.
        message: String,
        /// What its command used, if it had one that came to its end.
        #[serde(flatten)]
        used: Option<Used>,
        /// Key of the result that it would have had, as far as it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<Digest>,
    },
    /// Something the user should know.
    Warning {
        /// The text.
        message: String,
    },
    /// A property of the machine that changes how steps run; said once.
    Note {
        /// The text.
        message: String,
    },
    /// A stage is in the store, as an image without a name.
    StageKept {
        /// The stage's name, else its number.
        stage: String,
        /// Image ID.
        id: String,
        /// Manifest digest.
        digest: String,
    },
    /// Something in the Dockerfile that is probably a mistake. Text renderers do not print it: the command shows it with its lines.
    Finding {
        /// The rule, or a code such as `DF0033`.
        rule: &'static str,
        /// One sentence.
        message: String,
        /// The instruction's line in the Dockerfile, from 1; 0 for none.
        line: u32,
    },
    /// The image is in the store.
    Image {
        /// Image ID: the config digest.
        id: String,
        /// Manifest digest.
        digest: String,
        /// Full references.
        tags: Vec<String>,
        /// Layers in all.
        layers: usize,
        /// Bytes of all layers' tars.
        bytes: u64,
    },
}
