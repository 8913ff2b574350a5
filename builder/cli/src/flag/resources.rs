//! `--memory`, `--cpus` and their family, `--resource`, `--cgroup-parent`: what every RUN may use of the machine. As docker, buildx and
//! podman spell them; unaware of how limits are set, and of whether they can be.

use super::Flag;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::units;
use kiln_engine::Request;
use kiln_sandbox::{Limits, Swap, numbers};

/// Docker's least: with less nothing starts.
const LEAST_MEMORY: u64 = 6 << 20;
/// What `--resource` may name: buildx's.
const KEYS: [&str; 7] = [
    "memory",
    "memory-swap",
    "cpu-shares",
    "cpu-period",
    "cpu-quota",
    "cpuset-cpus",
    "cpuset-mems",
];

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Memory limit of each RUN, such as 512m. kiln warns about this and the following limits if this user cannot set
    /// them on this machine
    #[arg(short, long, value_name = "BYTES", add = Takes::Single)]
    memory: Option<String>,
    /// Limit of memory and swap of each RUN together, -1 for unlimited swap [default: twice the memory]
    #[arg(long, value_name = "BYTES", add = Takes::Single)]
    memory_swap: Option<String>,
    /// CPU weight of each RUN, compared with the usual 1024
    #[arg(short, long, value_name = "NUMBER", add = Takes::Single)]
    cpu_shares: Option<String>,
    /// Microseconds after which the CPU quota is renewed [default: 100000]
    #[arg(long, value_name = "MICROSECONDS", add = Takes::Single)]
    cpu_period: Option<String>,
    /// Microseconds of CPU time for each RUN in a period, -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", add = Takes::Single)]
    cpu_quota: Option<String>,
    /// Number of CPUs that each RUN may use, such as 1.5
    #[arg(long, value_name = "NUMBER", add = Takes::Single)]
    cpus: Option<String>,
    /// CPUs that RUN may use, such as 0-1,3
    #[arg(long, value_name = "LIST", add = Takes::Single)]
    cpuset_cpus: Option<String>,
    /// Memory nodes that RUN may use, such as 0-1
    #[arg(long, value_name = "LIST", add = Takes::Single)]
    cpuset_mems: Option<String>,
    /// The same limits as buildx spells them: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems (may be repeated)
    #[arg(long, value_name = "KEY=VALUE[,...]", add = Takes::StrictList)]
    resource: Vec<String>,
    /// Cgroup in which kiln creates the cgroups of RUNs
    #[arg(long, value_name = "CGROUP", add = Takes::Single)]
    cgroup_parent: Option<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let limits = &mut request.run.limits;
        let flags = [
            ("memory", &self.memory),
            ("memory-swap", &self.memory_swap),
            ("cpu-shares", &self.cpu_shares),
            ("cpu-period", &self.cpu_period),
            ("cpu-quota", &self.cpu_quota),
            ("cpus", &self.cpus),
            ("cpuset-cpus", &self.cpuset_cpus),
            ("cpuset-mems", &self.cpuset_mems),
            ("cgroup-parent", &self.cgroup_parent),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                set(limits, key, value)
                    .map_err(|why| Failure::usage(format!("--{key} {value}: {why}")))?;
            }
        }
        for argument in &self.resource {
            resource(limits, argument)
                .map_err(|why| Failure::usage(format!("--resource {argument}: {why}")))?;
        }
        check(limits).map_err(Failure::usage)
    }
}

/// `memory=1g,cpuset-cpus=0,1`: a part without a key belongs to the list before it.
fn resource(limits: &mut Limits, argument: &str) -> Result<(), String> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for part in argument.split(',') {
        match (part.split_once('='), pairs.last_mut()) {
            (Some((key, value)), _) => pairs.push((key.trim(), value.trim().to_owned())),
            (None, Some((_, list))) => *list = format!("{list},{part}"),
            (None, None) => return Err("expected KEY=VALUE, such as memory=1g".to_owned()),
        }
    }
    for (key, value) in pairs {
        if !KEYS.contains(&key) {
            return Err(format!(
                "there is no resource {key:?}; the resources are {}",
                KEYS.join(", ")
            ));
        }
        set(limits, key, &value)?;
    }
    Ok(())
}

/// Sets one limit. As for docker, 0 and an empty text set none.
fn set(limits: &mut Limits, key: &str, value: &str) -> Result<(), String> {
    match key {
        "memory" => limits.memory = memory(value)?,
        "memory-swap" => limits.memory_swap = swap(value)?,
        "cpu-shares" => limits.cpu_shares = number(value, 0, u64::MAX)?,
        "cpu-period" => limits.cpu_period = number(value, 1000, 1_000_000)?,
        "cpu-quota" if value == "-1" => limits.cpu_quota = None,
        "cpu-quota" => limits.cpu_quota = number(value, 1000, u64::MAX)?,
        "cpus" => limits.cpus = processors(value)?,
        "cpuset-cpus" => limits.cpuset_cpus = list(value)?,
        "cpuset-mems" => limits.cpuset_mems = list(value)?,
        _ => limits.cgroup_parent = parent(value)?,
    }
    Ok(())
}

fn memory(value: &str) -> Result<Option<u64>, String> {
    match units::parse_memory(value)? {
        0 => Ok(None),
        bytes if bytes < LEAST_MEMORY => Err("the minimum is 6m".to_owned()),
        bytes => Ok(Some(bytes)),
    }
}

fn swap(value: &str) -> Result<Option<Swap>, String> {
    if value == "-1" {
        return Ok(Some(Swap::Unlimited));
    }
    let bytes = units::parse_memory(value)?;
    Ok((bytes > 0).then_some(Swap::Total(bytes)))
}

fn number(value: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
    match value.trim().parse() {
        Ok(0) => Ok(None),
        Ok(number) if number < least => Err(format!("the minimum is {least}")),
        Ok(number) if number > most => Err(format!("the maximum is {most}")),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err("expected a number".to_owned()),
    }
}

/// Thousandths of `1.5`. More processors than there are is no limit, and so no mistake.
fn processors(value: &str) -> Result<Option<u64>, String> {
    let wrong = || "expected a number of CPUs, such as 1.5".to_owned();
    let number: f64 = value.trim().parse().map_err(|_| wrong())?;
    if !(0.0..=1e6).contains(&number) {
        return Err(wrong());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the range above
    let thousandths = (number * 1000.0).round() as u64;
    if number > 0.0 && thousandths < 10 {
        return Err("the minimum is 0.01".to_owned());
    }
    Ok((thousandths > 0).then_some(thousandths))
}

fn list(value: &str) -> Result<Option<String>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    numbers(value).ok_or("expected numbers and ranges, such as 0-1,3")?;
    Ok(Some(value.trim().to_owned()))
}

fn parent(value: &str) -> Result<Option<String>, String> {
    if value.split('/').any(|part| part == ".." || part == ".") || value.contains('\0') {
        return Err(
            "expected the path of a cgroup, starting at the root of the hierarchy".to_owned(),
        );
    }
    let is_given = !value.trim_matches('/').is_empty();
    Ok(is_given.then(|| value.to_owned()))
}

/// What does not go together.
fn check(limits: &mut Limits) -> Result<(), String> {
    match (limits.memory, limits.memory_swap) {
        (None, Some(Swap::Unlimited)) => limits.memory_swap = None,
        (None, Some(Swap::Total(_))) => {
            return Err("--memory-swap needs --memory, since it counts both".to_owned());
        }
        (Some(memory), Some(Swap::Total(total))) if total < memory => {
            return Err(
                "--memory-swap counts memory and swap, so it cannot be less than --memory"
                    .to_owned(),
            );
        }
        _ => {}
    }
    if limits.cpus.is_some() && (limits.cpu_quota.is_some() || limits.cpu_period.is_some()) {
        return Err(
            "--cpus is a quota; it cannot be combined with --cpu-quota or --cpu-period".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(given: &[(&str, &str)]) -> Result<Limits, String> {
        let mut limits = Limits::default();
        for (key, value) in given {
            set(&mut limits, key, value)?;
        }
        check(&mut limits).map(|()| limits)
    }

    #[test]
    fn values_are_dockers() {
        let read = limits(&[
            ("memory", "512m"),
            ("memory-swap", "1g"),
            ("cpu-shares", "512"),
            ("cpus", "1.5"),
            ("cpuset-cpus", "0-1,3"),
            ("cgroup-parent", "/builds"),
        ]);
        let expected = Limits {
            memory: Some(512 << 20),
            memory_swap: Some(Swap::Total(1 << 30)),
            cpu_shares: Some(512),
            cpus: Some(1500),
            cpuset_cpus: Some("0-1,3".to_owned()),
            cgroup_parent: Some("/builds".to_owned()),
            ..Limits::default()
        };
        assert_eq!(read, Ok(expected));
        let unlimited = limits(&[("memory", "1g"), ("memory-swap", "-1")]).unwrap();
        assert_eq!(unlimited.memory_swap, Some(Swap::Unlimited));
    }

    #[test]
    fn zero_is_no_limit() {
        let keys = [
            "memory",
            "memory-swap",
            "cpu-shares",
            "cpu-period",
            "cpu-quota",
            "cpus",
        ];
        let none = limits(&keys.map(|key| (key, "0")));
        assert_eq!(none, Ok(Limits::default()));
        let none = limits(&[
            ("cpu-quota", "-1"),
            ("memory-swap", "-1"),
            ("cpuset-cpus", ""),
            ("cgroup-parent", "/"),
        ]);
        assert_eq!(none, Ok(Limits::default()));
    }

    #[test]
    fn wrong_values_are_told() {
        let wrong: [&[(&str, &str)]; 14] = [
            &[("memory", "5m")],
            &[("memory", "-1")],
            &[("memory", "much")],
            &[("memory-swap", "1g")],
            &[("memory", "1g"), ("memory-swap", "512m")],
            &[("cpu-shares", "-2")],
            &[("cpu-period", "999")],
            &[("cpu-period", "1000001")],
            &[("cpu-quota", "999")],
            &[("cpus", "0.001")],
            &[("cpus", "NaN")],
            &[("cpus", "1"), ("cpu-quota", "1000")],
            &[("cpuset-cpus", "1-0")],
            &[("cgroup-parent", "../up")],
        ];
        for given in wrong {
            assert!(limits(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn resources_may_hold_lists() {
        let mut read = Limits::default();
        resource(&mut read, "memory=1g,cpuset-cpus=0,2-3,cpu-quota=50000").unwrap();
        assert_eq!(read.cpuset_cpus.as_deref(), Some("0,2-3"));
        assert_eq!((read.memory, read.cpu_quota), (Some(1 << 30), Some(50_000)));
        for wrong in ["", "memory", "disk=1g", "memory=x", "cpu-shares=1,2"] {
            assert!(resource(&mut read, wrong).is_err(), "{wrong}");
        }
    }
}
