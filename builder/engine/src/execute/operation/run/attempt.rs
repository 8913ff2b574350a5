//! One RUN where its changes can go: into the store, else into memory, else into a copy of its tree. What works here is found out by
//! the first step that needs it and told once; a step that fills the memory runs again on a copy. Unaware of what a command does.

use super::process;
use crate::execute::Execution;
use crate::execute::rootfs::{self, Changes, Space};
use crate::execute::users::Identity;
use crate::failure::StepError;
use crate::plan::output::Live;
use crate::session::Session;
use kiln_parser::graph::{Node, RunOp};
use kiln_sandbox::{ChangesIn, MemoryGauge, MountError, is_on_overlay, memory_for_changes};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the memory is looked at.
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a failed step's output in which the reason is looked for.
const TAIL: u64 = 64 << 10;
/// What programs print for ENOSPC.
const FULL: &[u8] = b"No space left on device";
const ADVICE: &str = "A volume for the store is faster and larger";

/// What a command left, and the space that holds it.
#[derive(Debug)]
pub struct Left {
    /// The changes.
    pub changes: Changes,
    /// Where they are.
    pub space: Space,
}

/// Runs the command to its end.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    identity: &Identity,
    below: &Live,
) -> Result<Left, StepError> {
    let session = execution.session;
    let attempt = |place| attempt(execution, node, run, identity, below, place);
    loop {
        let place = session.changes.now();
        match attempt(place) {
            Err(error) if place != ChangesIn::Copy && is_refusal(&error) => {
                tracing::debug!(
                    "changes in {place:?}: {}",
                    crate::failure::chain_of_causes(&error)
                );
                session.changes.give_up(place);
            }
            Ok(Some(left)) => return Ok(left),
            Ok(None) => {
                tell_of_filled(session, node);
                let copied = committed(execution, run)?;
                let again =
                    self::attempt(execution, node, run, identity, &copied, ChangesIn::Copy)?;
                return again.ok_or(StepError::Stopped);
            }
            Err(error) => return Err(error),
        }
    }
}

/// A copy is made of layers: of what is below, when all of it is written.
fn committed(execution: &Execution<'_>, run: &RunOp) -> Result<Live, StepError> {
    Ok(Live {
        base: execution.done(run.base)?.stack.clone(),
        uppers: Vec::new(),
    })
}

/// None: the memory was full.
fn attempt(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
    identity: &Identity,
    below: &Live,
    place: ChangesIn,
) -> Result<Option<Left>, StepError> {
    let session = execution.session;
    let live;
    let below = if place == ChangesIn::Copy && !below.uppers.is_empty() {
        live = committed(execution, run)?;
        &live
    } else {
        below
    };
    let space = Space::open(session, place)?;
    let root = rootfs::writable(session, below, &space)?;
    tell(session, place);
    let watch = space.gauge().map(Watch::start);
    let ended = process::run(execution, node, run, identity, root.mount, &space);
    let was_full = watch.is_some_and(|watch| watch.was_full() || ran_out(&ended));
    if was_full && !session.cancel.requested() {
        return Ok(None);
    }
    ended?;
    Ok(Some(Left {
        changes: root.changes,
        space,
    }))
}

/// Whether the kernel or the file system refuses such a place. Nothing was run then.
fn is_refusal(error: &StepError) -> bool {
    matches!(
        error,
        StepError::Mount(MountError::Step { .. })
            | StepError::Io {
                action: "mount memory on",
                ..
            }
    )
}

fn ran_out(ended: &Result<(), StepError>) -> bool {
    match ended {
        Err(StepError::Command { log, .. }) => says_full(log).unwrap_or(false),
        _ => false,
    }
}

fn says_full(log: &Path) -> std::io::Result<bool> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    file.read_to_end(&mut text)?;
    Ok(text.windows(FULL.len()).any(|part| part == FULL))
}

fn tell(session: &Session, place: ChangesIn) {
    let store = if is_on_overlay(session.store.root()) {
        "the store is on overlayfs"
    } else {
        "the store cannot hold the changes of RUN"
    };
    match place {
        ChangesIn::Store => {}
        ChangesIn::Memory => session.events.note(format!(
            "{store}; RUN writes to memory (at most {} MiB). {ADVICE}",
            memory_for_changes() >> 20
        )),
        ChangesIn::Copy => session.events.note(format!(
            "{store}; RUN works on a copy of its tree, which is slow. {ADVICE}"
        )),
    }
}

fn tell_of_filled(session: &Session, node: &Node) {
    let limit = memory_for_changes() >> 20;
    session.events.note(format!(
        "{} filled the memory for its changes ({limit} MiB): it runs again, on a copy of its tree. {ADVICE}",
        node.title
    ));
}

/// Looks at the memory while a command runs: what filled it may be gone when it ends.
struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watch {
    fn start(gauge: MemoryGauge) -> Self {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            loop {
                if gauge.is_full() {
                    return true;
                }
                if stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected) {
                    return gauge.is_full();
                }
            }
        });
        Watch { stop, thread }
    }

    fn was_full(self) -> bool {
        drop(self.stop);
        self.thread.join().unwrap_or(false)
    }
}
