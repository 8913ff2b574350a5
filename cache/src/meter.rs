//! How far work on many bytes is, told at its start, a few times a second, and at its end. Unaware of who listens, and of what is done with
//! the bytes.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Store;

/// How often it is told.
const EVERY: Duration = Duration::from_millis(100);
/// Work of a store on fewer bytes is over at once, and is not told.
const LEAST: u64 = 4 << 20;

/// What a store does with many bytes.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// A layer becomes a directory.
    Unpack,
    /// A layer is compressed.
    Compress,
    /// Images are written to an archive.
    Save,
    /// Images are read from one.
    Load,
}

/// How far work is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes that are done, never more than `total`.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Since it began.
    pub took: Duration,
    /// Nothing is left to do.
    pub ended: bool,
}

/// Counts the bytes of one piece of work, from several threads if need be.
pub struct Meter {
    tell: Box<dyn Fn(Progress) + Send + Sync>,
    total: u64,
    begun: Instant,
    done: AtomicU64,
    told: Mutex<Instant>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.total).finish()
    }
}

impl Meter {
    /// Of work on `total` bytes, which begins now.
    pub fn start(total: u64, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        let begun = Instant::now();
        let meter = Self {
            tell: Box::new(tell),
            total,
            begun,
            done: AtomicU64::new(0),
            told: Mutex::new(begun),
        };
        meter.tell(false);
        meter
    }

    /// So many bytes are done.
    pub fn at(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
        self.tell_in_time();
    }

    /// So many more bytes are done.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        self.tell_in_time();
    }

    /// All is done.
    pub fn end(&self) {
        self.done.store(self.total, Ordering::Relaxed);
        self.tell(true);
    }

    /// A reader whose bytes count.
    pub fn of<R: Read>(&self, reader: R) -> Metered<'_, R> {
        Metered {
            reader,
            meter: self,
        }
    }

    fn tell_in_time(&self) {
        let Ok(mut told) = self.told.try_lock() else {
            return;
        };
        if told.elapsed() >= EVERY {
            *told = Instant::now();
            self.tell(false);
        }
    }

    fn tell(&self, ended: bool) {
        (self.tell)(Progress {
            done: self.done.load(Ordering::Relaxed).min(self.total),
            total: self.total,
            took: self.begun.elapsed(),
            ended,
        });
    }
}

/// A reader that counts.
#[derive(Debug)]
pub struct Metered<'a, R> {
    reader: R,
    meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.meter.add(count as u64);
        Ok(count)
    }
}

impl Store {
    /// Counts the bytes of a piece of work on `what`, and tells the [`Waiter`](crate::Waiter) of the store.
    pub fn meter(&self, work: Work, what: String, total: u64) -> Meter {
        let inner = self.inner.clone();
        Meter::start(total, move |progress: Progress| {
            if total >= LEAST {
                inner.options.waiter.works(work, &what, progress);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn beginning_and_end_are_told_and_not_every_byte_between() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let all = told.clone();
        let meter = Meter::start(1000, move |progress| {
            all.lock().unwrap().push((progress.done, progress.ended))
        });
        for _ in 0..2000 {
            meter.add(1);
        }
        io::copy(&mut meter.of(&b"more"[..]), &mut io::sink()).unwrap();
        meter.end();
        let told = told.lock().unwrap();
        assert_eq!(told[0], (0, false));
        assert_eq!(told[told.len() - 1], (1000, true));
        assert!(told.len() < 2000 && told.iter().all(|(done, _)| *done <= 1000));
    }
}
