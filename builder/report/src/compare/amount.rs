//! Bytes, seconds and counts in the words of a comparison. Unaware of what is measured.

use super::Estimate;
use crate::units::{bytes, seconds};

/// What a metric says of a variant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// Bytes.
    Bytes(Estimate),
    /// Things.
    Count(u64),
    /// Seconds.
    Seconds(f64),
}

impl Amount {
    /// Counted bytes.
    pub(crate) const fn exact(bytes: u64) -> Self {
        Amount::Bytes(Estimate::exact(bytes))
    }

    /// For people; `~` stands before what is estimated.
    #[must_use]
    pub fn shown(self) -> String {
        match self {
            Amount::Bytes(estimate) => estimate.shown(),
            Amount::Count(count) => count.to_string(),
            Amount::Seconds(time) => seconds(time),
        }
    }

    /// For machines: bytes, seconds or a count.
    #[must_use]
    pub fn plain(self) -> String {
        match self {
            Amount::Bytes(estimate) => estimate.bytes.to_string(),
            Amount::Count(count) => count.to_string(),
            Amount::Seconds(time) => format!("{time:.6}"),
        }
    }

    /// How much more than another one, with its sign; nothing for times, which differ each time, and for what is the same.
    #[must_use]
    pub fn beyond(self, other: Self) -> Option<String> {
        let (mine, others, show): (u64, u64, fn(u64) -> String) = match (self, other) {
            (Amount::Bytes(mine), Amount::Bytes(other)) => (mine.bytes, other.bytes, bytes),
            (Amount::Count(mine), Amount::Count(other)) => (mine, other, |count| count.to_string()),
            _ => return None,
        };
        let sign = if mine < others { '-' } else { '+' };
        let difference = mine.abs_diff(others);
        (difference > 0).then(|| format!("{sign}{}", show(difference)))
    }
}

impl Estimate {
    /// For people; `~` stands before what is estimated.
    #[must_use]
    pub fn shown(self) -> String {
        let mark = if self.estimated { "~" } else { "" };
        format!("{mark}{}", bytes(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_a_sign_and_times_have_none() {
        let (small, large) = (Amount::exact(1000), Amount::exact(3000));
        assert_eq!(large.beyond(small).as_deref(), Some("+2kB"));
        assert_eq!(small.beyond(large).as_deref(), Some("-2kB"));
        assert_eq!(small.beyond(small), None);
        assert_eq!(Amount::Seconds(2.0).beyond(Amount::Seconds(1.0)), None);
    }
}
