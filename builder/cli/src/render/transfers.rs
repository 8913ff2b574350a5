//! What comes from registries and shared caches or goes to them, as all renderers show it. Unaware of terminals.

use crate::units;
use kiln_engine::event::{Direction, EventKind};

/// Characters of a digest's hexadecimal part that are shown.
const SHORT: usize = 12;

/// One transfer, as the event tells it.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Which way.
    pub direction: Direction,
    /// Registry and repository.
    pub repository: &'a str,
    /// The blob's digest.
    pub blob: &'a str,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// All of it is there.
    pub ended: bool,
    /// Microseconds since it began.
    pub took_us: u64,
}

impl<'a> Transfer<'a> {
    /// The transfer of an event that tells of one.
    pub fn of(kind: &'a EventKind) -> Option<Self> {
        let EventKind::Transfer {
            direction,
            repository,
            blob,
            done,
            total,
            ended,
            took_us,
        } = kind
        else {
            return None;
        };
        Some(Transfer {
            direction: *direction,
            repository,
            blob,
            done: *done,
            total: *total,
            ended: *ended,
            took_us: *took_us,
        })
    }

    /// While it goes on: `pulling 0123456789ab`.
    pub fn title(&self) -> String {
        let verb = match self.direction {
            Direction::Download => "pulling",
            Direction::Upload => "pushing",
        };
        format!("{verb} {} of {}", self.short(), self.repository)
    }

    /// All that goes the same way, as BuildKit calls it.
    pub fn work(&self) -> String {
        let verb = match self.direction {
            Direction::Download => "pulling from",
            Direction::Upload => "pushing layers for",
        };
        format!("{verb} {}", self.repository)
    }

    /// The same with how far it is: `pulling 0123456789ab of …: 3.1 MB of 7.2 MB`.
    pub fn state(&self) -> String {
        let (done, total) = (units::bytes(self.done), units::bytes(self.total));
        format!("{}: {done} of {total}", self.title())
    }

    /// When all of it is there: `pulled 0123456789ab of docker.io/library/app: 3.1 MB in 0.4 s`.
    pub fn line(&self) -> String {
        let verb = match self.direction {
            Direction::Download => "pulled",
            Direction::Upload => "pushed",
        };
        format!(
            "{verb} {} of {}: {} in {}",
            self.short(),
            self.repository,
            units::bytes(self.total),
            units::duration(self.took_us)
        )
    }

    fn short(&self) -> &str {
        let hex = self.blob.split_once(':').map_or(self.blob, |(_, hex)| hex);
        hex.get(..SHORT).unwrap_or(hex)
    }
}

/// One line about what a registry or a shared cache said; none for other events.
pub fn line(kind: &EventKind) -> Option<String> {
    let results = |records: &usize| units::counted(*records, "result");
    let (text, took_us) = match kind {
        EventKind::Resolved {
            reference,
            digest,
            took_us,
        } => (format!("{reference} is {digest}"), took_us),
        EventKind::CacheRead {
            place,
            records,
            took_us,
        } => {
            let none = format!("cache {place} does not exist yet");
            let some = |records| format!("cache {place} has {}", results(records));
            (records.as_ref().map_or(none, some), took_us)
        }
        EventKind::CacheWritten {
            place,
            records,
            sent,
            took_us,
        } => {
            let none = "nothing new".to_owned();
            let sent = sent.map_or(none, |sent| format!("{} sent", units::bytes(sent)));
            (
                format!("cache {place} holds {}, {sent}", results(records)),
                took_us,
            )
        }
        _ => return None,
    };
    Some(format!("{text} ({})", units::duration(*took_us)))
}
