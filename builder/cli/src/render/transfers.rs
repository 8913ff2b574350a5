//! Bytes on their way: from registries and shared caches, to them, and through the store's own work, as all renderers show them. Unaware of
//! terminals.

use crate::units;
use kiln_engine::event::{Direction, EventKind, Work};

/// Characters of a digest's hexadecimal part that are shown.
const SHORT: usize = 12;

/// What is done with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To or from a registry.
    Registry(Direction),
    /// In the store.
    Store(Work),
}

impl Way {
    /// While it goes on.
    pub fn doing(self) -> &'static str {
        self.words().0
    }

    /// Afterwards.
    pub fn done(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Way::Registry(Direction::Download) => ("pulling", "pulled"),
            Way::Registry(Direction::Upload) => ("pushing", "pushed"),
            Way::Store(Work::Unpack) => ("unpacking", "unpacked"),
            Way::Store(Work::Compress) => ("compressing", "compressed"),
            Way::Store(Work::Save) => ("saving", "saved"),
            Way::Store(Work::Load) => ("loading", "loaded"),
        }
    }
}

/// One transfer, as the event tells it.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Which way.
    pub way: Way,
    /// Registry and repository; none where the bytes stay here.
    pub repository: Option<&'a str>,
    /// The digest of a blob or layer, or names of images.
    pub what: &'a str,
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
    #[rustfmt::skip] // the fields are those of the events
    pub fn of(kind: &'a EventKind) -> Option<Self> {
        Some(match kind {
            EventKind::Transfer { direction, repository, blob, done, total, ended, took_us } => {
                Transfer {
                    way: Way::Registry(*direction),
                    repository: Some(repository),
                    what: blob,
                    done: *done, total: *total, ended: *ended, took_us: *took_us,
                }
            }
            EventKind::Work { work, what, done, total, ended, took_us } => Transfer {
                way: Way::Store(*work),
                repository: None,
                what,
                done: *done, total: *total, ended: *ended, took_us: *took_us,
            },
            _ => return None,
        })
    }

    /// All that goes the same way, as BuildKit calls it.
    pub fn work(&self) -> String {
        match (self.way, self.repository.unwrap_or_default()) {
            (Way::Registry(Direction::Download), place) => format!("pulling from {place}"),
            (Way::Registry(Direction::Upload), place) => format!("pushing layers for {place}"),
            (Way::Store(work), _) => format!("[internal] {}", Way::Store(work).doing()),
        }
    }

    /// While it goes on, with how far it is: `pulling 0123456789ab of …: 3.1MB of 7.2MB`.
    pub fn state(&self) -> String {
        let (done, total) = (units::bytes(self.done), units::bytes(self.total));
        format!("{} {}: {done} of {total}", self.way.doing(), self.title())
    }

    /// When all of it is there: `pulled 0123456789ab of docker.io/library/app: 3.1MB in 0.4s`.
    pub fn line(&self) -> String {
        let (size, time) = (units::bytes(self.total), units::duration(self.took_us));
        format!("{} {}: {size} in {time}", self.way.done(), self.title())
    }

    fn title(&self) -> String {
        let of = self.repository.map(|place| format!(" of {place}"));
        format!("{}{}", self.short(), of.unwrap_or_default())
    }

    /// What people tell it apart by.
    pub fn short(&self) -> &'a str {
        short(self.what)
    }
}

/// The beginning of a digest; anything else as it is.
pub fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:");
    hex.map_or(digest, |hex| hex.get(..SHORT).unwrap_or(hex))
}

/// One line about what a registry or a shared cache said; none for other events. `digest` says how one is written.
pub fn line(kind: &EventKind, digest_as: fn(&str) -> &str) -> Option<String> {
    let results = |records: &usize| units::counted(*records, "result");
    let (text, took_us) = match kind {
        EventKind::Resolved {
            reference,
            digest,
            took_us,
        } => (format!("{reference} is {}", digest_as(digest)), took_us),
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
            let holds = format!("cache {place} holds {}, {sent}", results(records));
            (holds, took_us)
        }
        EventKind::MountRead {
            place,
            mount,
            bytes,
            fetched,
            took_us,
        } => {
            let sizes = [*bytes, *fetched].map(units::bytes);
            let has = format!("cache mount {mount} of {place} has {}", sizes[0]);
            (format!("{has}, {} fetched", sizes[1]), took_us)
        }
        EventKind::MountWritten {
            place,
            mount,
            bytes,
            sent,
            took_us,
        } => {
            let none = "nothing new".to_owned();
            let sent = sent.map_or(none, |sent| format!("{} sent", units::bytes(sent)));
            let size = units::bytes(*bytes);
            let has = format!("cache mount {mount} in {place} has {size}, {sent}");
            (has, took_us)
        }
        _ => return None,
    };
    Some(format!("{text} ({})", units::duration(*took_us)))
}
