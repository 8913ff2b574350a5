//! Signals on their way to a process that is attended. Unaware of its streams.

use super::own_size;
use crate::signals::{self, Handed};
use kiln_oci::locked;
use kiln_sandbox::KillHandle;
use rustix::termios::tcsetwinsize;
use signal_hook::consts::{SIGINT, SIGTERM, SIGWINCH};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

/// So many requests to stop are not put off: as docker counts.
const PATIENCE: usize = 3;

/// Takes kiln's signals for the process. They are kiln's again when this is dropped.
#[derive(Debug)]
pub struct Signals {
    relay: Arc<Mutex<Relay>>,
    handed: Mutex<Option<Handed>>,
}

/// Those that come while it is being started wait for it.
#[derive(Debug)]
struct Relay {
    /// What the process gets for SIGTERM: how its image says it is stopped.
    stop_signal: i32,
    process: Option<KillHandle>,
    terminal: Option<OwnedFd>,
    waiting: Vec<i32>,
    stops: usize,
}

impl Signals {
    /// Nothing runs yet.
    pub fn new(stop_signal: i32) -> Self {
        let relay = Relay {
            stop_signal,
            process: None,
            terminal: None,
            waiting: Vec::new(),
            stops: 0,
        };
        Signals {
            relay: Arc::new(Mutex::new(relay)),
            handed: Mutex::default(),
        }
    }

    /// From now on signals are the process's.
    pub fn take(&self) -> io::Result<()> {
        let mut taken = locked(&self.handed);
        if taken.is_some() {
            return Ok(());
        }
        let relay = self.relay.clone();
        let handed = signals::hand(move |signal| locked(&relay).take(signal));
        let handed = handed.map_err(|failure| io::Error::other(failure.text(false)))?;
        *taken = Some(handed);
        Ok(())
    }

    /// The process runs, and perhaps has a terminal, which is as large as this one.
    pub fn begin(&self, process: KillHandle, terminal: Option<OwnedFd>) {
        locked(&self.relay).begin(process, terminal);
    }

    /// They are kiln's again.
    pub fn give_back(&self) {
        *locked(&self.handed) = None;
    }
}

impl Relay {
    fn begin(&mut self, process: KillHandle, terminal: Option<OwnedFd>) {
        (self.process, self.terminal) = (Some(process), terminal);
        for signal in std::mem::take(&mut self.waiting) {
            self.take(signal);
        }
    }

    /// Hands a signal on: a new size of this terminal to that of the process, everything else to the process itself.
    fn take(&mut self, signal: i32) {
        let Some(process) = &self.process else {
            return self.waiting.push(signal);
        };
        self.stops += usize::from(matches!(signal, SIGINT | SIGTERM));
        match (signal, &self.terminal) {
            _ if self.stops >= PATIENCE => process.kill(),
            (SIGWINCH, Some(terminal)) => {
                // it may be about to end
                let _ = tcsetwinsize(terminal, own_size());
            }
            (SIGWINCH, None) => {}
            (SIGTERM, _) => process.signal(self.stop_signal),
            (signal, _) => process.signal(signal),
        }
    }
}
