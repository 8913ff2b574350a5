//! A renderer on a thread of its own, so that nothing waits for its reader: only at the end kiln waits until all is read, as other
//! programs do, and no longer once a signal says stop. Unaware of what is shown.

use super::{Renderer, Sink};
use crate::failure::Failure;
use crate::signals;
use kiln_engine::event::Stream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How often a silent reader is waited for again.
const TICK: Duration = Duration::from_millis(50);

/// When kiln ends at once, nothing is said after what the renderer said of that.
fn ends_at_once() {
    while signals::stop() == Some(signals::Stop::AtOnce) {
        std::thread::park();
    }
}

/// A renderer at work.
#[derive(Debug)]
pub struct Background {
    ended: Receiver<()>,
    sink: Sink,
}

impl Background {
    /// Starts to show `events` by `renderer`, which writes to `sink`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        mut renderer: Box<dyn Renderer>,
        events: Stream,
        sink: Sink,
    ) -> Result<Self, Failure> {
        let (end, ended) = channel();
        let show = move || {
            let _shown = signals::Shown::begin();
            super::drive(&mut *renderer, &events);
            // Nobody waits any more when a signal came.
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("renderer".to_owned());
        thread.spawn(show).map_err(Failure::thread)?;
        Ok(Background { ended, sink })
    }

    /// Waits until all events are shown, which ends with the last sender of them.
    ///
    /// # Errors
    /// A signal came, and the reader takes nothing.
    pub fn finish(self) -> Result<(), Failure> {
        let mut patience = signals::PATIENCE;
        loop {
            // A renderer that panicked has ended as well.
            match self.ended.recv_timeout(TICK) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    ends_at_once();
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(kind) = signals::received() {
                if patience.is_zero() {
                    self.sink.close();
                    return Err(Failure::new(
                        kind,
                        "stopped; the reader of the output does not read",
                    ));
                }
                patience = patience.saturating_sub(TICK);
            }
        }
    }
}
