//! Limits that a variant may not go beyond: a part of a build that nobody looks at fails then. Unaware of exit codes.

use super::{Comparison, Variant};
use crate::units::bytes;
use std::str::FromStr;

/// How much is allowed: bytes, or a part of something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowance {
    /// Bytes.
    Bytes(u64),
    /// Percent.
    Percent(f64),
}

/// The limits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gates {
    /// How much more than the baseline an image may weigh, uncompressed.
    pub over: Option<Allowance>,
    /// How much of it may be waste.
    pub waste: Option<Allowance>,
    /// How much it may weigh, uncompressed.
    pub size: Option<u64>,
}

impl Allowance {
    /// Reads `3%`, else bytes by `bytes`.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(
        text: &str,
        bytes: impl FnOnce(&str) -> Result<u64, String>,
    ) -> Result<Self, String> {
        let Some(percent) = text.trim().strip_suffix('%') else {
            return bytes(text).map(Allowance::Bytes);
        };
        let percent = f64::from_str(percent.trim()).ok();
        let percent = percent.filter(|percent| percent.is_finite() && *percent >= 0.0);
        let wrong = || format!("{text:?} is not a percentage such as 3%");
        percent.map(Allowance::Percent).ok_or_else(wrong)
    }

    /// Whether `part` of `whole` is more than that.
    #[allow(clippy::cast_precision_loss)] // a gate in percent needs no single bytes
    fn is_below(self, part: u64, whole: u64) -> bool {
        match self {
            Allowance::Bytes(most) => part > most,
            Allowance::Percent(most) => part as f64 * 100.0 > most * whole as f64,
        }
    }

    fn shown(self) -> String {
        match self {
            Allowance::Bytes(most) => bytes(most),
            Allowance::Percent(most) => format!("{most}%"),
        }
    }
}

impl Gates {
    /// What is beyond a limit, a sentence each.
    #[must_use]
    pub fn beyond(&self, comparison: &Comparison) -> Vec<String> {
        let baseline = comparison.baseline.as_ref();
        let of = |variant| {
            let over = baseline.and_then(|baseline| self.over(variant, baseline));
            [over, self.waste(variant), self.size(variant)]
        };
        let variants = comparison.variants.iter();
        variants.flat_map(of).flatten().collect()
    }

    fn over(&self, variant: &Variant, baseline: &Variant) -> Option<String> {
        let (now, before) = (variant.weight.uncompressed, baseline.weight.uncompressed);
        let more = now.saturating_sub(before);
        let allowed = self.over?;
        allowed.is_below(more, before).then(|| {
            let (name, more, allowed) = (&variant.name, bytes(more), allowed.shown());
            let baseline = &baseline.name;
            format!("{name} has {more} more than {baseline}; --fail-over allows {allowed}")
        })
    }

    fn waste(&self, variant: &Variant) -> Option<String> {
        let (waste, all) = (variant.waste(), variant.weight.uncompressed);
        let allowed = self.waste?;
        allowed.is_below(waste, all).then(|| {
            let (name, waste, allowed) = (&variant.name, bytes(waste), allowed.shown());
            format!("{name} has {waste} of waste; --max-waste allows {allowed}")
        })
    }

    fn size(&self, variant: &Variant) -> Option<String> {
        let size = variant.weight.uncompressed;
        let allowed = self.size?;
        (size > allowed).then(|| {
            let (name, size, allowed) = (&variant.name, bytes(size), bytes(allowed));
            format!("{name} has {size}; --max-size allows {allowed}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Weight;

    fn variant(name: &str, bytes: u64, waste: u64) -> Variant {
        Variant {
            name: name.to_owned(),
            weight: Weight {
                uncompressed: bytes,
                ..Weight::default()
            },
            classes: [("deleted".to_owned(), waste)].into(),
            ..Variant::default()
        }
    }

    fn beyond(gates: Gates) -> Vec<String> {
        gates.beyond(&Comparison {
            variants: vec![variant("now", 1050, 100)],
            baseline: Some(variant("before", 1000, 0)),
            version: super::super::VERSION,
        })
    }

    #[test]
    fn a_limit_is_what_is_still_allowed() {
        let over = |text: &str| Gates {
            over: Allowance::read(text, |text| text.parse().map_err(|_| String::new())).ok(),
            ..Gates::default()
        };
        assert!(beyond(over("50")).is_empty());
        assert!(beyond(over("5%")).is_empty());
        assert_eq!(beyond(over("49")).len(), 1);
        let said = "now has 50B more than before; --fail-over allows 4.9%";
        assert_eq!(beyond(over("4.9%")), [said]);
        let limits = Gates {
            waste: Some(Allowance::Percent(9.0)),
            size: Some(1049),
            ..Gates::default()
        };
        assert_eq!(beyond(limits).len(), 2);
        for wrong in ["x%", "-1%", "NaN%", "inf%"] {
            assert!(Allowance::read(wrong, |_| Ok(0)).is_err(), "{wrong}");
        }
    }
}
