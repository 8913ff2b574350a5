//! What random campaigns share: a sequence that a seed repeats, the seed that is told, how many rounds. Unaware of what is tried.

use std::io::Write;

use super::Space;

/// xorshift64*: a sequence that a seed repeats, without a dependency.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    /// An index of a slice of this length, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// One of them.
    pub fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.index(all.len())]
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// The seed, told to whoever runs the tests: past the harness's capture, so that a run that hangs or is killed shows it as well.
pub fn seed(campaign: &str, space: &Space) -> u64 {
    let seed = given_or_new();
    tell(&format!("{campaign} [{:?}]: KILN_SEED={seed}", space.mode));
    seed
}

/// Tells how far a campaign is, or what came of it.
pub fn tell(line: &str) {
    // Nobody may read it; that is no failure of the campaign.
    drop(std::io::stderr().write_all(format!("{line}\n").as_bytes()));
}

fn given_or_new() -> u64 {
    let given = std::env::var("KILN_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::from(since.unwrap().subsec_nanos()) | 1
    })
}

/// Whether long campaigns are wanted.
pub fn is_nightly() -> bool {
    std::env::var_os("KILN_NIGHTLY").is_some()
}

/// So many rounds where all modes are tried, twenty times as many at night, else a quarter.
pub fn often(rounds: u64) -> u64 {
    match is_nightly() {
        true => rounds * 20,
        false if cfg!(kiln_modes_all) => rounds,
        false => rounds.div_ceil(4),
    }
}
