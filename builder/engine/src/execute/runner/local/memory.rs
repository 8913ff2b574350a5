//! Whether a command filled the memory for its changes. Unaware of what the command is.

use crate::event::LogFile;
use crate::failure::StepError;
use kiln_sandbox::MemoryGauge;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often the memory is looked at.
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a failed command's output in which the reason is looked for.
const TAIL: u64 = 64 << 10;
/// What programs print for ENOSPC.
const FULL: &[u8] = b"No space left on device";

/// Looks at the memory while a command runs: what filled it may be gone when the command ends.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watch {
    /// Begins to look.
    pub fn start(gauge: MemoryGauge) -> Result<Self, StepError> {
        let (stop, stopped) = channel::<()>();
        let look = move || {
            loop {
                if gauge.is_full() {
                    return true;
                }
                if stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected) {
                    return gauge.is_full();
                }
            }
        };
        let thread = Builder::new().spawn(look).map_err(StepError::Thread)?;
        Ok(Watch { stop, thread })
    }

    /// Whether it was full at any look.
    pub fn was_full(self) -> bool {
        drop(self.stop);
        self.thread.join().unwrap_or(false)
    }
}

/// The same of what may have failed.
pub fn ran_out(ended: &Result<(), StepError>) -> bool {
    ended.as_ref().err().is_some_and(complains_of_room)
}

/// Whether a command that failed complained of a full disk.
pub fn complains_of_room(error: &StepError) -> bool {
    match error {
        StepError::Command { log, .. } => says_full(log).unwrap_or(false),
        _ => false,
    }
}

fn says_full(log: &LogFile) -> io::Result<bool> {
    let mut file = log.open()?;
    let length = file.metadata()?.len();
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    file.read_to_end(&mut text)?;
    Ok(text.windows(FULL.len()).any(|part| part == FULL))
}
