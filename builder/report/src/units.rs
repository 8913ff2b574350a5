//! Bytes, parts and times as people read them. Unaware of what they measure.

/// Bytes in decimal units, as docker prints them: `12B`, `3.4kB`, `118MB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    #[allow(clippy::cast_precision_loss)] // three digits are shown
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{}", UNITS[unit])
}

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
    fn sizes_have_three_digits_at_most() {
        let shown: Vec<String> = [0, 999, 1000, 1234, 9_999, 99_950, 118_400_000, 999_600_000]
            .map(bytes)
            .into();
        assert_eq!(
            shown,
            [
                "0B", "999B", "1kB", "1.23kB", "10kB", "100kB", "118MB", "1GB"
            ]
        );
    }

    #[test]
    fn times_read_well_at_every_length() {
        let shown = [0.0052, 0.9999, 1.523, 200.4].map(seconds);
        assert_eq!(shown, ["5 ms", "1.00 s", "1.52 s", "3 min 20 s"]);
    }
}
