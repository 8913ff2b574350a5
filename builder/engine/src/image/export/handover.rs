//! Bytes for a reader outside that may stop reading: a thread of its own writes them, and a build that waits for it can be stopped.
//! Unaware of what is written.

use crate::event::cancel::Cancel;
use kiln_cache::StoreError;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often a build that waits checks whether it is to stop.
const TICK: Duration = Duration::from_millis(20);

/// Hands each piece that is written to the thread; at most one is on its way.
#[derive(Debug)]
pub(super) struct Handover<'c> {
    pieces: Sender<Vec<u8>>,
    written: Receiver<io::Result<()>>,
    is_busy: bool,
    cancel: &'c Cancel,
}

impl<'c> Handover<'c> {
    /// Into what `open` opens, which may take its time too.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn new<W: Write>(
        cancel: &'c Cancel,
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
    ) -> io::Result<Self> {
        let (pieces, taken) = channel::<Vec<u8>>();
        let (report, written) = channel();
        // Nobody listens to the reports any more when the build was stopped.
        let work = move || match open() {
            Ok(mut out) => {
                let _ = report.send(Ok(()));
                for piece in taken {
                    let _ = report.send(out.write_all(&piece));
                }
            }
            Err(error) => drop(report.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("output".to_owned());
        let failed = |error| io::Error::other(StoreError::Thread(error));
        thread.spawn(work).map_err(failed)?;
        Ok(Handover {
            pieces,
            written,
            is_busy: true,
            cancel,
        })
    }
}

impl Write for Handover<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        // A thread that is gone has said why.
        let _ = self.pieces.send(bytes.to_vec());
        self.is_busy = true;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.is_busy {
            match self.written.recv_timeout(TICK) {
                Ok(written) => {
                    self.is_busy = false;
                    written?;
                }
                Err(RecvTimeoutError::Timeout) if !self.cancel.requested() => {}
                Err(_) => return Err(io::Error::other("stopped")),
            }
        }
        Ok(())
    }
}
