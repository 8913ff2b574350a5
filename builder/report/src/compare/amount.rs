//! Bytes, seconds and counts in the words of a comparison. Unaware of what is measured.

use super::Estimate;

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

/// Bytes in decimal units, with one digit after the point: `170.6 MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut tenths, mut unit) = (count.saturating_add(50) / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths = tenths.saturating_add(500) / 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `5 ms`, `1.52 s`, `3 min 20 s`.
#[must_use]
pub fn seconds(time: f64) -> String {
    let whole = time.round();
    if time < 0.9995 {
        format!("{:.0} ms", time * 1000.0)
    } else if time < 100.0 {
        format!("{time:.2} s")
    } else {
        format!("{} min {} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well_at_every_size() {
        let shown = [0, 999, 1000, 1049, 1050, 999_949, 999_950, 414_700_000].map(bytes);
        let expected = [
            "0 B", "999 B", "1.0 kB", "1.0 kB", "1.1 kB", "999.9 kB", "1.0 MB", "414.7 MB",
        ];
        assert_eq!(shown, expected);
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        let shown = [0.0052, 0.9999, 1.523, 200.4].map(seconds);
        assert_eq!(shown, ["5 ms", "1.00 s", "1.52 s", "3 min 20 s"]);
    }

    #[test]
    fn a_difference_has_a_sign_and_times_have_none() {
        let (small, large) = (Amount::exact(1000), Amount::exact(3000));
        assert_eq!(large.beyond(small).as_deref(), Some("+2.0 kB"));
        assert_eq!(small.beyond(large).as_deref(), Some("-2.0 kB"));
        assert_eq!(small.beyond(small), None);
        assert_eq!(Amount::Seconds(2.0).beyond(Amount::Seconds(1.0)), None);
    }
}
