//! Where the limits of RUN can be set, asked once for a build, and what to say of those that cannot. Unaware of cgroups and of steps.

use crate::event::Events;
use kiln_sandbox::{Cgroup, Disabled, LimitError, Limits, Refused, find_cgroup};

/// What every RUN is put into; none where nothing is limited. Warns of limits that cannot be set here: many users may not set any, and
/// the image is the same without.
///
/// # Errors
/// When processors or memory nodes are asked for that the machine does not have.
pub fn confine(
    events: &Events,
    limits: &Limits,
    disabled: Disabled,
) -> Result<Option<Cgroup>, LimitError> {
    let found = find_cgroup(limits, disabled)?;
    for warning in warnings(&found.refused) {
        events.warn(warning);
    }
    Ok(found.cgroup)
}

/// One for each reason.
fn warnings(refused: &[Refused]) -> Vec<String> {
    let mut reasons: Vec<&str> = Vec::new();
    for Refused { why, .. } in refused {
        if !reasons.contains(&why.as_str()) {
            reasons.push(why);
        }
    }
    let warning = |why: &str| {
        let same = refused.iter().filter(|refused| refused.why == why);
        let flags: Vec<String> = same.map(|refused| format!("--{}", refused.limit)).collect();
        let verb = if flags.len() == 1 { "has" } else { "have" };
        format!("{} {verb} no effect: {why}", flags.join(", "))
    };
    reasons.into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_given_once() {
        let refused = |limit, why: &str| Refused {
            limit,
            why: why.to_owned(),
        };
        let all = [
            refused("memory", "one"),
            refused("cpus", "two"),
            refused("memory-swap", "one"),
        ];
        assert_eq!(
            warnings(&all),
            [
                "--memory, --memory-swap have no effect: one",
                "--cpus has no effect: two"
            ]
        );
    }
}
