//! How much of the machine a run may use, in docker's words: plain data. Unaware of cgroups and of flags.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Processors and memory nodes have smaller numbers; a larger one is a typing error.
const MOST: u32 = 65_536;

/// The limits of each run. Nothing is limited by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Memory and swap together. Without it there is as much swap as memory.
    pub memory_swap: Option<Swap>,
    /// The weight among those that want the processors, 2 to 262144; the default is 1024.
    pub cpu_shares: Option<u64>,
    /// Microseconds in which the quota is renewed.
    pub cpu_period: Option<u64>,
    /// Microseconds of processor time in a period.
    pub cpu_quota: Option<u64>,
    /// Thousandths of a processor: another way to give a quota.
    pub cpus: Option<u64>,
    /// Processors, as `0-1,3`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, likewise.
    pub cpuset_mems: Option<String>,
    /// The cgroup below which those of runs are made, from the root of each hierarchy. It is made if it is missing, and kept.
    pub cgroup_parent: Option<String>,
}

/// Memory and swap together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Swap {
    /// As much swap as there is.
    Unlimited,
    /// This many bytes.
    Total(u64),
}

impl Limits {
    /// Docker's names of the limits that are given.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            ("memory", self.memory.is_some()),
            ("memory-swap", self.memory_swap.is_some()),
            ("cpu-shares", self.cpu_shares.is_some()),
            ("cpu-period", self.cpu_period.is_some()),
            ("cpu-quota", self.cpu_quota.is_some()),
            ("cpus", self.cpus.is_some()),
            ("cpuset-cpus", self.cpuset_cpus.is_some()),
            ("cpuset-mems", self.cpuset_mems.is_some()),
            ("cgroup-parent", self.cgroup_parent.is_some()),
        ];
        all.iter()
            .filter_map(|(name, given)| given.then_some(*name))
            .collect()
    }
}

/// The numbers of a list such as `0-1,3`; none if it is no such list.
///
/// ```
/// let numbers = kiln_sandbox::numbers("0-2,4").unwrap();
/// assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [0, 1, 2, 4]);
/// ```
#[must_use]
pub fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbers_and_ranges() {
        let read = |list| numbers(list).map(|numbers| numbers.into_iter().collect::<Vec<_>>());
        assert_eq!(read("0-2,4\n"), Some(vec![0, 1, 2, 4]));
        assert_eq!(read("3"), Some(vec![3]));
        for wrong in ["", "a", "2-1", "1-", "-1", "0,,1", "0-4000000000"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_given_has_a_name() {
        let limits = Limits {
            memory: Some(1),
            cpuset_mems: Some("0".to_owned()),
            ..Limits::default()
        };
        assert_eq!(limits.given(), ["memory", "cpuset-mems"]);
        assert!(Limits::default().given().is_empty());
    }
}
