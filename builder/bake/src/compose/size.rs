//! Sizes of compose files, as docker shows them. Unaware of what they are of.

/// Bytes as docker shows them, in four digits: `64MiB`.
pub fn size(text: &str) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches(|ch: char| ch.is_ascii_alphabetic());
    let unit = lower[digits.len()..].chars().next();
    let mut at = unit.and_then(|unit| "bkmgtp".find(unit)).unwrap_or(0);
    let Ok(mut number) = digits.trim().parse::<f64>() else {
        return text.to_owned();
    };
    while number >= 1024.0 && at + 1 < UNITS.len() {
        number /= 1024.0;
        at += 1;
    }
    let places = if number >= 1000.0 { 0 } else { 2 };
    let shown = format!("{number:.places$}");
    let shown = match shown.contains('.') {
        true => shown.trim_end_matches('0').trim_end_matches('.'),
        false => &shown,
    };
    format!("{shown}{}", UNITS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_docker_shows_them() {
        for (text, expected) in [
            ("64m", "64MiB"),
            ("67108864", "64MiB"),
            ("1.5gb", "1.5GiB"),
            ("2048", "2KiB"),
            ("100", "100B"),
            ("much", "much"),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
