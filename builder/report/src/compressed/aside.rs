//! Samples that are compressed by another thread while the tar passes by: who reads it waits for nobody. A tar with one sample is
//! compressed in place, and so are all where no thread can be started. Unaware of what is sampled.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Compressed, SAMPLE, Samples, following};

/// Samples that wait.
const IN_FLIGHT: usize = 8;

/// Collects samples of what passes by.
pub(super) struct Aside {
    /// The beginning of the next sample.
    begun: Vec<u8>,
    /// Where it begins.
    next: u64,
    way: Way,
}

enum Way {
    Here(Samples),
    Thread(SyncSender<Vec<u8>>, JoinHandle<Samples>),
}

impl Aside {
    /// Has seen nothing yet.
    pub(super) fn new() -> Self {
        Self {
            begun: Vec::new(),
            next: 0,
            way: Way::Here(Samples::default()),
        }
    }

    /// Uses some of `piece`, which stands at `from`; how many bytes.
    pub(super) fn see(&mut self, from: u64, piece: &[u8]) -> usize {
        if self.begun.is_empty() && from < self.next {
            return piece.len().min((self.next - from) as usize);
        }
        let count = piece.len().min(SAMPLE - self.begun.len());
        self.begun.extend_from_slice(&piece[..count]);
        if self.begun.len() == SAMPLE {
            self.take();
        }
        count
    }

    /// What all of `total` bytes would be.
    pub(super) fn finish(mut self, total: u64) -> Compressed {
        if !self.begun.is_empty() {
            self.take();
        }
        match self.way {
            Way::Here(samples) => samples.finish(total),
            Way::Thread(full, thread) => {
                drop(full);
                let samples = thread.join();
                samples.map_or_else(|_| Compressed::default(), |samples| samples.finish(total))
            }
        }
    }

    fn take(&mut self) {
        let sample = std::mem::take(&mut self.begun);
        if self.next > 0 {
            self.way.start_thread();
        }
        self.next = following(self.next);
        match &mut self.way {
            Way::Here(samples) => samples.take(&sample),
            // a thread that is gone is met at the end
            Way::Thread(full, _) => _ = full.send(sample),
        }
    }
}

impl Way {
    /// Moves to a thread, unless it is there; where none can be started it stays here.
    fn start_thread(&mut self) {
        let Self::Here(samples) = self else {
            return;
        };
        let mut samples = samples.so_far();
        let (full, incoming) = sync_channel::<Vec<u8>>(IN_FLIGHT);
        let sampling = move || {
            while let Ok(sample) = incoming.recv() {
                samples.take(&sample);
            }
            samples
        };
        let builder = Builder::new().name("samples".to_owned());
        if let Ok(thread) = builder.spawn(sampling) {
            *self = Self::Thread(full, thread);
        }
    }
}
