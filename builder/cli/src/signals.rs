//! SIGINT and SIGTERM as requests to stop: the first one stops steps and lets commits drain, the second one kills.

use crate::failure::Kind;
use kiln_engine::cancel::{Cancel, Urgency};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Signals are watched while this lives.
#[derive(Debug)]
pub struct Watch {
    handle: Option<Handle>,
    last: Arc<AtomicI32>,
}

impl Watch {
    /// Starts watching, on a thread of its own.
    pub fn start(cancel: &Cancel) -> Self {
        let last = Arc::new(AtomicI32::new(0));
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
            return Watch { handle: None, last };
        };
        let handle = Some(signals.handle());
        let (cancel, seen) = (cancel.clone(), last.clone());
        std::thread::spawn(move || {
            for signal in signals.forever() {
                seen.store(signal, Ordering::SeqCst);
                cancel.request();
                if cancel.urgency() == Urgency::Kill {
                    std::process::exit(kind(signal) as i32);
                }
            }
        });
        Watch { handle, last }
    }

    /// What ended the build.
    pub fn kind(&self) -> Kind {
        kind(self.last.load(Ordering::SeqCst))
    }
}

fn kind(signal: i32) -> Kind {
    if signal == SIGTERM {
        Kind::Terminated
    } else {
        Kind::Interrupted
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.close();
        }
    }
}
