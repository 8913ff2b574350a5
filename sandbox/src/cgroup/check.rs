//! What a machine that is looked at lets its runs be limited in. Unaware of who asks.

use std::fs;

use super::find_cgroup;
use crate::{Check, Disabled, Limits, Status};

/// Whether this process could limit its runs; for a person.
#[must_use]
pub fn check_limits(disabled: Disabled) -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = |name: &str| {
        let list = status.lines().find_map(|line| line.strip_prefix(name));
        list.map(|list| list.trim().to_owned())
    };
    let limits = Limits {
        memory: Some(1 << 30),
        cpu_shares: Some(1024),
        cpus: Some(1000),
        cpuset_cpus: allowed("Cpus_allowed_list:"),
        ..Limits::default()
    };
    let refused = match find_cgroup(&limits, disabled) {
        Ok(found) => found.refused,
        Err(error) => return Check::new("limits", Status::Warn, error.to_string()),
    };
    let Some(first) = refused.first() else {
        return Check::new(
            "limits",
            Status::Ok,
            "memory and processors of runs can be limited",
        );
    };
    let names: Vec<&str> = refused.iter().map(|refused| refused.limit).collect();
    let detail = format!(
        "runs cannot be limited in {}: {}",
        names.join(", "),
        first.why
    );
    Check::new("limits", Status::Warn, detail)
}
