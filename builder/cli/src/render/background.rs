//! A renderer on a thread of its own, so that nothing waits for its reader: only at the end kiln waits until all is read, as other
//! programs do, and no longer once a signal says stop. Unaware of what is shown.

use super::{Renderer, Sink};
use crate::failure::Failure;
use crate::signals;
use kiln_engine::event::{Cancel, Stream};
use kiln_oci::locked;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a silent reader is waited for again.
const TICK: Duration = Duration::from_millis(50);

/// When kiln ends at once, nothing is said after what the renderer said of that.
fn ends_at_once() {
    while signals::stop() == Some(signals::Stop::AtOnce) {
        std::thread::park();
    }
}

/// A renderer with what it shows, before its thread is started.
struct Idle {
    renderer: Box<dyn Renderer>,
    events: Stream,
    /// Its end is heard by who waits.
    end: Sender<()>,
}

impl Idle {
    fn show(mut self) {
        super::drive(&mut *self.renderer, &self.events);
        // Nobody waits any more when a signal came.
        let _ = self.end.send(());
    }

    fn start(self) -> Result<(), Failure> {
        let show = move || {
            let _shown = signals::Shown::begin();
            self.show();
        };
        let thread = std::thread::Builder::new().name("renderer".to_owned());
        thread.spawn(show).map(drop).map_err(Failure::thread)
    }
}

/// A renderer at work.
pub struct Background {
    ended: Receiver<()>,
    sink: Sink,
    idle: Arc<Mutex<Option<Idle>>>,
    /// Why what takes a while cannot be shown, or signals not be heard.
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Background {
    /// Starts to show `events` by `renderer`, which writes to `sink`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(renderer: Box<dyn Renderer>, events: Stream, sink: Sink) -> Result<Self, Failure> {
        let shown = Self::idle(renderer, events, sink);
        let idle = locked(&shown.idle).take();
        idle.map_or(Ok(()), Idle::start)?;
        Ok(shown)
    }

    /// The same once the work of `cancel` takes a while, and signals stop it from then on. What takes none is shown when it has ended.
    pub fn put_off(
        renderer: Box<dyn Renderer>,
        events: Stream,
        sink: Sink,
        cancel: &Cancel,
    ) -> Self {
        let shown = Self::idle(renderer, events, sink);
        let (idle, failure, stopped) = (shown.idle.clone(), shown.failure.clone(), cancel.clone());
        cancel.put_off(move || {
            let idle = locked(&idle).take();
            let begun = signals::heed().and_then(|()| idle.map_or(Ok(()), Idle::start));
            if let Err(error) = begun {
                *locked(&failure) = Some(error);
                stopped.request();
            }
        });
        shown
    }

    fn idle(renderer: Box<dyn Renderer>, events: Stream, sink: Sink) -> Self {
        let (end, ended) = channel();
        let idle = Idle {
            renderer,
            events,
            end,
        };
        Background {
            ended,
            sink,
            idle: Arc::new(Mutex::new(Some(idle))),
            failure: Arc::default(),
        }
    }

    /// Whether what was put off has begun well, as far as it has.
    ///
    /// # Errors
    /// A thread could not be started, for which the work was stopped.
    pub fn check(&self) -> Result<(), Failure> {
        locked(&self.failure).take().map_or(Ok(()), Err)
    }

    /// Waits until all events are shown, which ends with the last sender of them.
    ///
    /// # Errors
    /// A signal came, and the reader takes nothing.
    pub fn finish(self) -> Result<(), Failure> {
        match locked(&self.idle).take() {
            Some(idle) => idle.show(),
            None => self.wait()?,
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), Failure> {
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
