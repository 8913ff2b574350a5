//! `--progress rawjson`: progress as BuildKit's client prints it, for programs that read that of `docker buildx build`. Steps are vertices, and
//! so are the parts of kiln's own work, under the names that BuildKit gives them. Unaware of the shapes' spelling.

mod status;

use super::logs::{Logs, Output, ended_step};
use super::machine::Machine;
use super::steps::Steps;
use super::transfers::Transfer;
use super::{Sink, json};
use jiff::{SignedDuration, Timestamp};
use kiln_engine::event::{Event, EventKind, Outcome, StepInfo};
use kiln_oci::Digest;
use kiln_parser::lint::Rule;
use status::{Position, Range, SolveStatus, Vertex, VertexLog, VertexStatus, VertexWarning};
use std::collections::{BTreeMap, BTreeSet};

/// Where BuildKit tells what is wrong with a Dockerfile.
const DEFINITION: &str = "[internal] load build definition from Dockerfile";
/// Where it tells what comes of a build.
const EXPORT: &str = "exporting to image";

/// Prints what is new as a `SolveStatus`.
#[derive(Debug)]
pub struct RawJson {
    sink: Sink,
    /// What builds beside others are called, before the names of kiln's own work.
    target: Option<String>,
    steps: Steps,
    /// All that was told, by step or by name.
    vertices: BTreeMap<Id, Vertex>,
    /// Blobs on their way, by the vertex that they belong to.
    transfers: BTreeMap<Id, BTreeSet<String>>,
    /// When the first event happened.
    began: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    Step(usize),
    Work(String),
}

impl RawJson {
    /// To this place.
    pub fn new(sink: Sink) -> Self {
        RawJson {
            sink,
            target: None,
            steps: Steps::default(),
            vertices: BTreeMap::new(),
            transfers: BTreeMap::new(),
            began: None,
        }
    }

    /// To this place, for one build of several: steps bring the target's name with them.
    pub fn of_target(sink: Sink, target: &str) -> Self {
        RawJson {
            target: Some(target.to_owned()),
            ..RawJson::new(sink)
        }
    }

    /// All steps, before any of them begins.
    fn planned(&mut self, build: &str, steps: &[StepInfo]) {
        let mut before: Option<(&StepInfo, String)> = None;
        let mut vertexes = Vec::new();
        for info in steps {
            let digest = digest(build, &info.step.to_string());
            let of_stage = before.take().filter(|(last, _)| last.stage == info.stage);
            let vertex = Vertex {
                digest: digest.clone(),
                inputs: of_stage.into_iter().map(|(_, digest)| digest).collect(),
                name: format!("{} {}", self.steps.prefix(info.step), info.title),
                ..Vertex::default()
            };
            self.vertices.insert(Id::Step(info.step), vertex.clone());
            vertexes.push(vertex);
            before = Some((info, digest));
        }
        self.print(&vertexes.into());
    }

    /// Changes a vertex, and tells it; its digest.
    fn vertex(&mut self, event: &Event, id: Id, change: impl FnOnce(&mut Vertex)) -> String {
        let target = self.target.as_deref();
        let vertex = self.vertices.entry(id.clone()).or_insert_with(|| {
            let name = match id {
                Id::Step(step) => format!("[{step}]"),
                Id::Work(name) => of_target(target, name),
            };
            let digest = digest(&event.build, &name);
            Vertex {
                digest,
                name,
                ..Vertex::default()
            }
        });
        change(vertex);
        let vertex = vertex.clone();
        let digest = vertex.digest.clone();
        self.print(&vec![vertex].into());
        digest
    }

    /// A part of kiln's own work that has ended; its digest.
    fn done(&mut self, event: &Event, name: String, took_us: u64) -> String {
        let took = SignedDuration::from_micros(i64::try_from(took_us).unwrap_or_default());
        self.vertex(event, Id::Work(name), |vertex| {
            vertex.started = Some(event.time - took);
            vertex.completed = Some(event.time);
        })
    }

    /// A step's command has ended.
    fn ended(&mut self, event: &Event, step: usize) {
        self.vertex(event, Id::Step(step), |vertex| {
            vertex.started.get_or_insert(event.time);
            vertex.completed = Some(event.time);
            match &event.kind {
                EventKind::Finished { outcome, .. } => vertex.cached = *outcome == Outcome::Cached,
                EventKind::Failed { message, .. } => vertex.error.clone_from(message),
                _ => {}
            }
        });
    }

    /// A blob, as a part of all that goes to or comes from a repository.
    fn transfer(&mut self, event: &Event, transfer: &Transfer<'_>) {
        let id = Id::Work(transfer.work());
        let open = self.transfers.entry(id.clone()).or_default();
        if transfer.ended {
            open.remove(transfer.what);
        } else {
            open.insert(transfer.what.to_owned());
        }
        let is_done = open.is_empty();
        let digest = self.vertex(event, id, |vertex| {
            vertex.started.get_or_insert(event.time);
            vertex.completed = is_done.then_some(event.time);
        });
        let took = SignedDuration::from_micros(i64::try_from(transfer.took_us).unwrap_or_default());
        let status = VertexStatus {
            total: transfer.total,
            current: [transfer.done, transfer.total][usize::from(transfer.ended)],
            started: Some(event.time - took),
            completed: transfer.ended.then_some(event.time),
            ..part(event.time, digest, transfer.what.to_owned())
        };
        self.print(&status.into());
    }

    /// A part of a vertex that has ended.
    fn part(&mut self, event: &Event, vertex: String, id: String, current: u64) {
        let status = VertexStatus {
            current,
            completed: Some(event.time),
            ..part(event.time, vertex, id)
        };
        self.print(&status.into());
    }

    fn image(&mut self, event: &Event, id: &str, tags: &[String]) {
        let digest = self.done(event, EXPORT.to_owned(), 0);
        self.part(event, digest.clone(), format!("writing image {id}"), 0);
        for tag in tags {
            self.part(event, digest.clone(), format!("naming to {tag}"), 0);
        }
    }

    fn warned(&mut self, event: &Event, short: String, rule: &str, line: u32) {
        let known = self.vertices.get(&Id::Work(DEFINITION.to_owned()));
        let vertex = match known {
            Some(vertex) => vertex.digest.clone(),
            None => self.done(event, DEFINITION.to_owned(), 0),
        };
        let line = Some(Position { line }).filter(|position| position.line > 0);
        let range = line.map(|line| Range {
            start: line,
            end: line,
        });
        let warning = VertexWarning {
            vertex,
            level: 1,
            short: short.into_bytes(),
            url: Rule::find(rule).map_or(String::new(), Rule::url),
            range: range.into_iter().collect(),
        };
        self.print(&warning.into());
    }

    /// What an event means beside what steps do.
    fn work(&mut self, event: &Event) {
        if let Some((name, took_us)) = name_of_work(&event.kind) {
            let digest = self.done(event, name, took_us);
            if let EventKind::Source { title, bytes, .. } = &event.kind {
                self.part(event, digest, format!("transferring {title}:"), *bytes);
            }
        }
        match &event.kind {
            EventKind::Warning { message } | EventKind::Note { message } => {
                self.warned(event, message.clone(), "", 0);
            }
            EventKind::Finding {
                rule,
                message,
                line,
            } => self.warned(
                event,
                format!("{rule}: {message} (line {line})"),
                rule,
                *line,
            ),
            EventKind::Image { id, tags, .. } => self.image(event, id, tags),
            _ => {}
        }
    }

    fn print(&self, status: &SolveStatus) {
        print(&self.sink, status);
    }
}

impl Machine for RawJson {
    fn tell(&mut self, event: &Event) {
        self.began.get_or_insert(event.time);
        self.steps.note(event);
        if let Some(step) = ended_step(&event.kind) {
            self.ended(event, step);
        }
        match &event.kind {
            EventKind::Planned { steps } => self.planned(&event.build, steps),
            EventKind::Started { step, .. } => {
                let start = |vertex: &mut Vertex| vertex.started = Some(event.time);
                self.vertex(event, Id::Step(*step), start);
            }
            _ => self.work(event),
        }
        if let Some(transfer) = Transfer::of(&event.kind) {
            self.transfer(event, &transfer);
        }
    }

    fn end(&mut self, why: &str) {
        let began = self.began.unwrap_or_default();
        self.sink.line(&failure(began, why, ""));
    }

    fn output(&mut self) -> (Sink, &mut Logs, impl FnMut(Output<'_>)) {
        let RawJson {
            sink,
            steps,
            vertices,
            ..
        } = self;
        let to = &*sink;
        let show = |piece: Output<'_>| {
            let Some(vertex) = vertices.get(&Id::Step(piece.step)) else {
                return;
            };
            let log = VertexLog {
                vertex: vertex.digest.clone(),
                stream: 1,
                data: piece.bytes.to_owned(),
                timestamp: Some(Timestamp::now()),
            };
            print(to, &log.into());
        };
        (sink.clone(), steps.logs(), show)
    }
}

/// A name as buildx has it where several targets are built: `[app internal] load …`.
fn of_target(target: Option<&str>, name: String) -> String {
    match (target, name.strip_prefix('[')) {
        (None, _) => name,
        (Some(target), Some(rest)) => format!("[{target} {rest}"),
        (Some(target), None) => format!("[{target}] {name}"),
    }
}

/// A part of kiln's own work, in BuildKit's words, and how long it took.
fn name_of_work(kind: &EventKind) -> Option<(String, u64)> {
    let (name, took_us) = match kind {
        EventKind::Begun { .. } => (DEFINITION.to_owned(), &0),
        EventKind::Source { title, took_us, .. } if title == "context" => {
            ("[internal] load build context".to_owned(), took_us)
        }
        EventKind::Source { title, took_us, .. } => (format!("[internal] load {title}"), took_us),
        EventKind::Resolved {
            reference, took_us, ..
        } => (format!("[internal] load metadata for {reference}"), took_us),
        other => return name_of_exchange(other),
    };
    Some((name, *took_us))
}

/// The same of what shared caches have to do with it.
fn name_of_exchange(kind: &EventKind) -> Option<(String, u64)> {
    let (does, place, took_us) = match kind {
        EventKind::CacheRead { place, took_us, .. } => {
            ("importing cache manifest from", place, took_us)
        }
        EventKind::CacheWritten { place, took_us, .. } => ("exporting cache to", place, took_us),
        EventKind::MountRead { place, took_us, .. } => {
            ("importing cache mount from", place, took_us)
        }
        EventKind::MountWritten { place, took_us, .. } => {
            ("exporting cache mount to", place, took_us)
        }
        _ => return None,
    };
    Some((format!("{does} {place}"), *took_us))
}

/// What a failure is in this stream: a vertex of its own, whose output says more.
pub fn failure(began: Timestamp, message: &str, more: &str) -> String {
    let now = Timestamp::now().max(began);
    let digest = digest("", message);
    let vertex = Vertex {
        digest: digest.clone(),
        name: "[internal] kiln".to_owned(),
        started: Some(began),
        completed: Some(now),
        error: message.to_owned(),
        ..Vertex::default()
    };
    let log = VertexLog {
        vertex: digest,
        stream: 2,
        data: more.as_bytes().to_vec(),
        timestamp: Some(now),
    };
    let status = SolveStatus {
        vertexes: vec![vertex],
        logs: vec![log].into_iter().filter(|_| !more.is_empty()).collect(),
        ..SolveStatus::default()
    };
    json::harmless(&serde_json::to_string(&status).unwrap_or_default())
}

fn print(sink: &Sink, status: &SolveStatus) {
    if let Ok(line) = serde_json::to_string(status) {
        sink.line(&json::harmless(&line));
    }
}

fn part(time: Timestamp, vertex: String, id: String) -> VertexStatus {
    VertexStatus {
        id,
        vertex,
        total: 0,
        current: 0,
        timestamp: Some(time),
        started: Some(time),
        completed: None,
    }
}

/// Names a vertex: the same in no other build.
fn digest(build: &str, name: &str) -> String {
    Digest::of(format!("{build}\0{name}").as_bytes()).to_string()
}
