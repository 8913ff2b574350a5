//! What transfers from and to registries look like, for all renderers. Unaware of terminals.

use crate::units;
use kiln_engine::event::Direction;

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
    /// Bytes in all.
    pub total: u64,
    /// Microseconds since it began.
    pub took_us: u64,
}

impl Transfer<'_> {
    /// While it goes on: `pulling 0123456789ab`.
    pub fn title(&self) -> String {
        let verb = match self.direction {
            Direction::Download => "pulling",
            Direction::Upload => "pushing",
        };
        format!("{verb} {} of {}", self.short(), self.repository)
    }

    /// The same with how far it is: `pulling 0123456789ab of …: 3.1 MB of 7.2 MB`.
    pub fn state(&self, done: u64) -> String {
        let (done, total) = (units::bytes(done), units::bytes(self.total));
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

/// What a name means: `app:v1 is sha256:…`.
pub fn resolved(reference: &str, digest: &str, took_us: u64) -> String {
    format!("{reference} is {digest} ({})", units::duration(took_us))
}
