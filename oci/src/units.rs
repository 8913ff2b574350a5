//! Bytes as people read them. Unaware of what they measure.

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
}
