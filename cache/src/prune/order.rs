//! In which order things go that may go. Unaware of what may, and of budgets.
//!
//! 1. What can be made again of what stays, in about the time that it takes to read it: views, compressed forms. What several
//!    processes have used goes later.
//! 2. Results, and what a scan found out: worth = rebuild time / (bytes × time since the last use), so what was cheap and what
//!    is old goes first.
//! 3. Cache mounts, whose content nothing else in the store knows; the one that was not used for longest goes first.

use std::cmp::Ordering;

use super::Victim;

/// Milliseconds that it takes to unpack a MiB: mostly making files.
pub(super) const UNPACK_MS: f64 = 5.0;
/// Milliseconds of all cores that it takes to compress to a MiB.
pub(super) const COMPRESS_MS: f64 = 15.0;
/// Milliseconds that it takes to get a MiB of what kiln did not make.
pub(super) const FETCH_MS: f64 = 20.0;
const MIB: f64 = 1_048_576.0;

/// Something that may go.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) victim: Victim,
    pub(super) bytes: u64,
    worth: f64,
}

/// What it is about: bytes, and seconds since the last use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) bytes: u64,
    pub(super) age: i64,
}

impl Candidate {
    /// Something that takes `cost_ms` to make again.
    pub(super) fn new(victim: Victim, cost_ms: f64, held: Held) -> Self {
        let worth = cost_ms / held.small_or_mib() / held.hours();
        let bytes = held.bytes;
        Self {
            victim,
            bytes,
            worth,
        }
    }

    /// The same, with the milliseconds that a MiB of it takes.
    pub(super) fn by_size(victim: Victim, ms_per_mib: f64, held: Held) -> Self {
        Self::new(victim, ms_per_mib * held.mib(), held)
    }

    /// The same where only the age counts.
    pub(super) fn by_age(victim: Victim, held: Held) -> Self {
        let (bytes, worth) = (held.bytes, -(held.age as f64));
        Self {
            victim,
            bytes,
            worth,
        }
    }
}

impl Held {
    fn mib(self) -> f64 {
        self.bytes as f64 / MIB
    }

    /// A sixteenth of a MiB is what anything costs at least.
    fn small_or_mib(self) -> f64 {
        self.mib() + 1.0 / 16.0
    }

    /// Within some minutes nothing is older than another.
    fn hours(self) -> f64 {
        self.age.max(0) as f64 / 3600.0 + 0.1
    }
}

/// Which of the three it is.
fn class(victim: &Victim) -> u8 {
    match victim {
        Victim::View(..) | Victim::Form(_) => 1,
        Victim::Layer(_) | Victim::Context(_) => 2,
        Victim::CacheMount(_) => 3,
    }
}

/// Sorts, the first to go first; equal ones in the order of their names.
pub(super) fn sort(candidates: &mut [Candidate]) {
    let key = |one: &Candidate, other: &Candidate| -> Ordering {
        class(&one.victim)
            .cmp(&class(&other.victim))
            .then_with(|| one.worth.total_cmp(&other.worth))
            .then_with(|| one.victim.cmp(&other.victim))
    };
    candidates.sort_by(key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_oci::Digest;
    use proptest::prelude::*;
    use std::path::PathBuf;

    /// Kind, cost, bytes, age.
    type Thing = (u8, u32, u32, u32);

    fn candidate(number: usize, (kind, cost, bytes, age): Thing) -> Candidate {
        let digest = Digest::of(&number.to_be_bytes());
        let (bytes, age) = (u64::from(bytes), i64::from(age));
        let held = Held { bytes, age };
        match kind {
            0 => Candidate::by_size(Victim::View(String::new(), digest), UNPACK_MS, held),
            1 => Candidate::by_size(Victim::Form(digest), COMPRESS_MS, held),
            2 => Candidate::new(Victim::Layer(digest), f64::from(cost), held),
            _ => {
                let path = PathBuf::from(number.to_string());
                Candidate::by_age(Victim::CacheMount(path), held)
            }
        }
    }

    proptest! {
        #[test]
        fn classes_come_in_order_and_in_each_what_is_worth_least(
            things in prop::collection::vec((0..4_u8, 0..1000_u32, 1..1000_u32, 0..100_000_u32), 0..40),
        ) {
            let numbered = things.iter().enumerate();
            let mut sorted: Vec<_> = numbered.map(|(number, thing)| candidate(number, *thing)).collect();
            sort(&mut sorted);
            for pair in sorted.windows(2) {
                let [one, other] = pair else { unreachable!() };
                let classes = (class(&one.victim), class(&other.victim));
                prop_assert!(classes.0 < classes.1 || classes.0 == classes.1 && one.worth <= other.worth);
            }
        }
    }

    fn first_of(one: Thing, other: Thing) -> usize {
        let mut both = [candidate(0, one), candidate(1, other)];
        let is_first = both[0].victim.clone();
        sort(&mut both);
        usize::from(both[0].victim != is_first)
    }

    #[test]
    fn what_is_cheap_large_or_old_goes_first() {
        const HOUR: u32 = 3600;
        // cost
        assert_eq!(first_of((2, 10, 5 << 20, 0), (2, 9, 5 << 20, 0)), 1);
        // size
        assert_eq!(first_of((2, 10, 9 << 20, 0), (2, 10, 5 << 20, 0)), 0);
        // age
        assert_eq!(first_of((2, 10, 5 << 20, 0), (2, 10, 5 << 20, HOUR)), 1);
        // a dear one outlives a cheap one that was used later
        assert_eq!(first_of((2, 900, 5 << 20, HOUR), (2, 10, 5 << 20, 0)), 1);
        // a view goes before any result, a result before any mount
        assert_eq!(first_of((2, 0, 5 << 20, 90 * HOUR), (0, 0, 1, 0)), 1);
        assert_eq!(first_of((3, 0, 1, 90 * HOUR), (2, 900, 1, 0)), 1);
        // of mounts only the age counts
        assert_eq!(first_of((3, 0, 1, 9), (3, 0, 5 << 20, 8)), 0);
    }
}
