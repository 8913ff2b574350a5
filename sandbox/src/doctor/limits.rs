//! Which limits this machine can set on runs. Unaware of who asks.

use std::fs;

use crate::{Check, Disabled, Limits, find_cgroup};

/// Whether this process could limit its runs; for a person.
#[must_use]
pub fn check_limits(disabled: Disabled) -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = |line: &str| Some(line.strip_prefix("Cpus_allowed_list:")?.trim().to_owned());
    let limits = Limits {
        memory: Some(1 << 30),
        cpu_shares: Some(1024),
        cpus: Some(1000),
        cpuset_cpus: status.lines().find_map(allowed),
        ..Limits::default()
    };
    let refused = match find_cgroup(&limits, disabled) {
        Ok(found) => found.refused,
        Err(error) => return Check::warn("limits", error.to_string()),
    };
    let Some(first) = refused.first() else {
        return Check::ok("limits", "memory and processors of runs can be limited");
    };
    let names: Vec<&str> = refused.iter().map(|refused| refused.limit).collect();
    let (names, why) = (names.join(", "), &first.why);
    Check::warn(
        "limits",
        format!("runs cannot be limited in {names}: {why}"),
    )
}
