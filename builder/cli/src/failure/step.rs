//! What is said of a step that failed: its last output, its place in the Dockerfile, what to do. Unaware of other failures.

use super::{Failure, Kind, stored};
use crate::diagnostics::{Place, Source};
use crate::units;
use kiln_cache::{CommitError, LayerError, StoreError, damage_in};
use kiln_engine::event::LogFile;
use kiln_engine::{CopyError, StepError, StepFailure, chain_of_causes};
use kiln_parser::almost_json;
use kiln_sandbox::SpawnError;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of a failed step's output that are shown again with the error, at most.
const TAIL: u64 = 1 << 20;
/// Lines of it, as in BuildKit.
const TAIL_LINES: usize = 200;

/// What a build failed with, if a step is to blame.
pub fn failure(source: Source<'_>, failure: &StepFailure, color: bool) -> Failure {
    let name = failure.title.split_whitespace().next().unwrap_or("step");
    let message = format!("{name} failed: {}", chain_of_causes(&failure.error));
    let mut details = match &failure.error {
        StepError::Command { log, .. } => tail(log),
        _ => String::new(),
    };
    let emulation = failure.emulation.iter().cloned();
    details += &match failure.span {
        Some(span) => Place {
            source,
            span,
            label: &format!("stage {}", failure.place),
            help: &emulation
                .chain(help(&failure.title, &failure.error))
                .collect::<Vec<_>>(),
        }
        .point(&message, color),
        None => message.clone(),
    };
    of_kind("the build failed", &failure.error)
        .details(details)
        .causes([(message, failure.line)])
}

/// What a container failed with that could not be started.
pub fn container(error: &StepError) -> Failure {
    let message = format!(
        "the container cannot be started: {}",
        chain_of_causes(error)
    );
    of_kind(message, error).hints(help("", error))
}

/// A failure that says who can do something about it.
fn of_kind(message: impl Into<String>, error: &StepError) -> Failure {
    let is_refused = match error {
        StepError::NoNamespaces(_) | StepError::NotSupervised { .. } | StepError::Mount(_) => true,
        StepError::Spawn(error) => !error.is_of_request(),
        _ => false,
    };
    let is_missing = matches!(error, StepError::NoNetworkStack(_));
    let kind = match is_refused || is_missing || is_of_store(error) {
        true => Kind::Environment,
        false => Kind::Build,
    };
    let doctor = "`kiln doctor` shows what is missing on this machine";
    Failure::new(kind, message)
        .hints(is_refused.then_some(doctor))
        .hints(store_error(error).and_then(stored::hint))
}

/// Whether the store, or the disk under it, is to blame.
fn is_of_store(error: &StepError) -> bool {
    let is_of_disk = |error: &LayerError| matches!(error, LayerError::Write { .. });
    let of_disk = match error {
        StepError::Copy(CopyError::Layer(error)) | StepError::Commit(CommitError::Layer(error)) => {
            is_of_disk(error)
        }
        _ => false,
    };
    of_disk || store_error(error).is_some() || damage_in(error).is_some()
}

fn store_error(error: &StepError) -> Option<&StoreError> {
    match error {
        StepError::Store(error)
        | StepError::Copy(CopyError::Store(error))
        | StepError::Commit(CommitError::Store(error)) => Some(error),
        _ => None,
    }
}

/// What can be done about it.
fn help(title: &str, error: &StepError) -> Vec<String> {
    let mut help = Vec::new();
    match error {
        StepError::Command {
            code,
            exceeded,
            hints,
            ..
        } => help.extend(of_command(*code, exceeded.is_some(), hints)),
        StepError::NoNamespaces(refused) => {
            help.extend(refused.hints().into_iter().map(str::to_owned));
        }
        StepError::NotSupervised { namespaces, .. } => {
            help.push(SUPERVISED.to_owned());
            let hints = namespaces.iter().flat_map(|refused| refused.hints());
            help.extend(hints.map(str::to_owned));
        }
        StepError::NoNetworkStack(_) => help.extend(NO_STACK.map(str::to_owned)),
        StepError::Fetch(error) => help.extend(error.hint()),
        StepError::Spawn(SpawnError::Port { source, .. }) => help.push(of_port(source)),
        StepError::Copy(CopyError::BadPattern(_)) => help.extend(list(title)),
        _ => {}
    }
    help
}

/// What can be done about a port that cannot be taken.
fn of_port(error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => "choose another port, or stop what listens at this one",
        io::ErrorKind::PermissionDenied => {
            "a port below 1024 is root's: choose a higher one (sysctl net.ipv4.ip_unprivileged_port_start says where they begin)"
        }
        _ => "is the address one of this machine's?",
    };
    what.to_owned()
}

/// What is wrong with the list of a `COPY`, if it is almost a JSON array.
fn list(title: &str) -> Option<String> {
    let (before, _) = title.split_once('[')?;
    let slip = almost_json::find(&title[before.len()..])?;
    Some(format!(
        "the list is no JSON array: {}; write {before}{}",
        slip.what, slip.meant
    ))
}

/// What can be done about a command that failed. What is said of its output is clearer than its exit code.
fn of_command(code: Option<i32>, has_exceeded: bool, hints: &[String]) -> Vec<String> {
    let missing = "exit code 127 means that the shell or program was not found: is it in the image, and in PATH?";
    let memory = "raise the limit with --memory, or let the step do less at the same time";
    let is_unclear = code == Some(127) && hints.is_empty();
    let mut help = hints.to_vec();
    help.extend(is_unclear.then(|| missing.to_owned()));
    help.extend(has_exceeded.then(|| memory.to_owned()));
    help
}

/// What gives a RUN a network of its own.
const NO_STACK: [&str; 2] = [
    "install pasta (the package passt) or slirp4netns (the package of that name)",
    "or build with --network default, where RUN has the network of this machine",
];

/// What a supervised RUN needs, in the words of those who start containers.
const SUPERVISED: &str = "to be supervised it takes root with docker's default capabilities: docker without -u and --cap-drop; Kubernetes: runAsUser: 0 \
                          without capabilities: {drop: [ALL]}";

/// The last lines of a step's output.
fn tail(log: &LogFile) -> String {
    let Some((bytes, is_whole)) = end(log).filter(|(bytes, _)| !bytes.is_empty()) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let mut tail = if is_whole && shown.len() == lines.len() {
        "last output:\n".to_owned()
    } else {
        format!("last output ({}):\n", units::counted(shown.len(), "line"))
    };
    for line in shown {
        // what is written again and again (a bar of progress) is seen as it was at last
        let last = line.rsplit('\r').find(|part| !part.is_empty());
        tail += &format!("  {}\n", last.unwrap_or_default());
    }
    tail + "\n"
}

/// The last bytes of a file, and whether they are all of it; none if it cannot be read.
fn end(log: &LogFile) -> Option<(Vec<u8>, bool)> {
    let mut file = log.open().ok()?;
    let length = file.metadata().map_or(0, |meta| meta.len());
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    file.read_to_end(&mut bytes).ok()?;
    Some((bytes, length <= TAIL))
}
