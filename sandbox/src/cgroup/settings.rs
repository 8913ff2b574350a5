//! What each limit writes into which file of a cgroup, in both versions. Unaware of where cgroups are.
//!
//! Version 2 has other units: a weight of 1 to 10000 for shares of 2 to 262144, and swap alone for memory and swap together.

use super::Version;
use super::limits::{Limits, Swap};

/// Microseconds; docker's period and the kernel's.
const PERIOD: u64 = 100_000;

/// One file of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name of the limit.
    pub limit: &'static str,
    /// The controller that the file belongs to.
    pub controller: &'static str,
    /// Its name.
    pub file: &'static str,
    /// What is written.
    pub value: String,
    /// It was not asked for by itself: a kernel without it is fine.
    pub implied: bool,
}

impl Setting {
    fn new(
        limit: &'static str,
        controller: &'static str,
        file: &'static str,
        value: impl ToString,
    ) -> Self {
        Self {
            limit,
            controller,
            file,
            value: value.to_string(),
            implied: false,
        }
    }
}

/// All that the limits need, in the order in which it is written.
pub fn settings(limits: &Limits, version: Version) -> Vec<Setting> {
    let mut all = memory(limits, version);
    all.extend(processors(limits, version));
    let sets = [
        ("cpuset-cpus", "cpuset.cpus", &limits.cpuset_cpus),
        ("cpuset-mems", "cpuset.mems", &limits.cpuset_mems),
    ];
    for (limit, file, list) in sets {
        all.extend(
            list.iter()
                .map(|list| Setting::new(limit, "cpuset", file, list)),
        );
    }
    all
}

fn memory(limits: &Limits, version: Version) -> Vec<Setting> {
    let Some(memory) = limits.memory else {
        return Vec::new();
    };
    let total = match limits.memory_swap {
        Some(Swap::Unlimited) => None,
        Some(Swap::Total(total)) => Some(total),
        None => Some(memory.saturating_mul(2)),
    };
    let (file, swap_file, unlimited) = match version {
        Version::One => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "-1"),
        Version::Two => ("memory.max", "memory.swap.max", "max"),
    };
    let swap = match version {
        Version::One => total,
        Version::Two => total.map(|total| total.saturating_sub(memory)),
    };
    let swap = swap.map_or(unlimited.to_owned(), |swap| swap.to_string());
    let mut swap = Setting::new("memory-swap", "memory", swap_file, swap);
    swap.implied = limits.memory_swap.is_none();
    vec![Setting::new("memory", "memory", file, memory), swap]
}

fn processors(limits: &Limits, version: Version) -> Vec<Setting> {
    let period = limits.cpu_period.unwrap_or(PERIOD);
    let quota = limits.cpu_quota.map(|quota| ("cpu-quota", quota));
    let quota = quota.or(limits.cpus.map(|cpus| ("cpus", cpus * period / 1000)));
    // The name of the limit, its file, and what is written.
    let (shares, alone, quota) = match version {
        Version::One => (
            limits.cpu_shares.map(|shares| ("cpu.shares", shares)),
            limits
                .cpu_period
                .map(|period| ("cpu.cfs_period_us", period.to_string())),
            quota.map(|(limit, quota)| (limit, "cpu.cfs_quota_us", quota.to_string())),
        ),
        Version::Two => (
            limits
                .cpu_shares
                .map(|shares| ("cpu.weight", weight(shares))),
            limits
                .cpu_period
                .map(|period| ("cpu.max", format!("max {period}"))),
            quota.map(|(limit, quota)| (limit, "cpu.max", format!("{quota} {period}"))),
        ),
    };
    let shares = shares.map(|(file, shares)| ("cpu-shares", file, shares.to_string()));
    let alone = alone.map(|(file, period)| ("cpu-period", file, period));
    [shares, alone, quota]
        .into_iter()
        .flatten()
        .map(|(limit, file, value)| Setting::new(limit, "cpu", file, value))
        .collect()
}

/// The curve of the OCI runtimes: least to least, greatest to greatest, and the default of 1024 to the default of 100.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)] // within 1 and 10000
fn weight(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    // A hair of rounding must not lift an exact value to the next one.
    ((10_f64.powf(exponent) - 1e-9).ceil() as u64).clamp(1, 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(limits: &Limits, version: Version) -> Vec<String> {
        settings(limits, version)
            .iter()
            .map(|setting| format!("{}={}", setting.file, setting.value))
            .collect()
    }

    #[test]
    fn weights_follow_the_curve() {
        let weights = [2, 1024, 262_144, 0, 1_000_000, 512, 2048].map(weight);
        assert_eq!(weights, [1, 100, 10_000, 1, 10_000, 59, 174]);
    }

    #[test]
    fn swap_is_counted_with_memory_or_alone() {
        let with = |memory_swap| Limits {
            memory: Some(64 << 20),
            memory_swap,
            ..Limits::default()
        };
        let swap = |limits: &Limits| {
            [Version::One, Version::Two].map(|version| written(limits, version).remove(1))
        };
        assert_eq!(
            swap(&with(None)),
            [
                "memory.memsw.limit_in_bytes=134217728",
                "memory.swap.max=67108864"
            ]
        );
        assert_eq!(
            swap(&with(Some(Swap::Total(64 << 20)))),
            ["memory.memsw.limit_in_bytes=67108864", "memory.swap.max=0"]
        );
        assert_eq!(
            swap(&with(Some(Swap::Unlimited))),
            ["memory.memsw.limit_in_bytes=-1", "memory.swap.max=max"]
        );
        assert!(settings(&with(None), Version::Two)[1].implied);
        assert!(!settings(&with(Some(Swap::Unlimited)), Version::Two)[1].implied);
    }

    #[test]
    fn processors_are_a_quota() {
        let limits = Limits {
            cpus: Some(1500),
            cpu_shares: Some(1024),
            ..Limits::default()
        };
        assert_eq!(
            written(&limits, Version::One),
            ["cpu.shares=1024", "cpu.cfs_quota_us=150000"]
        );
        assert_eq!(
            written(&limits, Version::Two),
            ["cpu.weight=100", "cpu.max=150000 100000"]
        );
        let limits = Limits {
            cpu_quota: Some(20_000),
            cpu_period: Some(50_000),
            ..Limits::default()
        };
        assert_eq!(
            written(&limits, Version::One),
            ["cpu.cfs_period_us=50000", "cpu.cfs_quota_us=20000"]
        );
        assert_eq!(
            written(&limits, Version::Two),
            ["cpu.max=max 50000", "cpu.max=20000 50000"]
        );
    }
}
