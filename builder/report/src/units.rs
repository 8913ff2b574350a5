//! Bytes, parts and times as people read them. Unaware of what they measure.

pub use kiln_oci::units::bytes;

/// A part of a whole in per cent.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // one digit is shown
    let share = match whole {
        0 => 0.0,
        whole => part as f64 * 100.0 / whole as f64,
    };
    format!("{share:.1}%")
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
    fn times_read_well_at_every_length() {
        let shown = [0.0052, 0.9999, 1.523, 200.4].map(seconds);
        assert_eq!(shown, ["5 ms", "1.00 s", "1.52 s", "3 min 20 s"]);
    }
}
