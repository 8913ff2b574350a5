//! Sizes and times as people read them. Unaware of what they measure.

pub use kiln_report::units::{bytes, percent};

use kiln_cache::Space;

/// Reads `500M`, `1.5GB`, `64k`, `2GiB` or plain bytes. Letters are decimal as docker's sizes, `iB` binary.
///
/// # Errors
/// With what was expected.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size such as 500MB, 2GiB or 1048576");
    let text_trimmed = text.trim();
    let digits = text_trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text_trimmed.len());
    let number: f64 = text_trimmed[..digits].parse().map_err(|_| wrong())?;
    let unit = text_trimmed[digits..].trim().to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024_f64),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1000_f64),
    };
    let power = ["", "k", "m", "g", "t", "p"]
        .iter()
        .position(|known| *known == letter)
        .ok_or_else(wrong)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )]
    Ok((number * base.powi(power as i32)) as u64)
}

/// Reads a size, or a part of the disk such as `25%`.
///
/// # Errors
/// With what was expected.
pub fn parse_space(text: &str) -> Result<Space, String> {
    let Some(part) = text.trim().strip_suffix('%') else {
        return parse_bytes(text).map(Space::Bytes);
    };
    let percent = part.trim_end().parse().ok().filter(|part| *part <= 100);
    let percent = percent.map(Space::Percent);
    percent.ok_or_else(|| format!("{text:?} is no part of a disk such as 25%"))
}

/// Reads a size of memory as docker does: letters are powers of 1024, `64m` as well as `64MiB`.
///
/// # Errors
/// With what was expected.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    match lower[number.len()..].trim().chars().next() {
        Some(letter) if letter != 'b' => parse_bytes(&format!("{number}{letter}ib")),
        _ => parse_bytes(number),
    }
    .map_err(|_| format!("{text:?} is not a size such as 64m, 2GiB or 1048576"))
}

/// A duration: `0.4ms`, `87ms`, `3.21s`, `2m05s`, `1h02m`.
pub fn duration(micros: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let seconds = micros as f64 / 1e6;
    match micros {
        0..=9_999 => format!("{:.1}ms", seconds * 1e3),
        10_000..=999_499 => format!("{:.0}ms", seconds * 1e3),
        999_500..=59_994_999 => format!("{seconds:.2}s"),
        59_995_000..=3_599_499_999 => {
            let whole = (micros + 500_000) / 1_000_000;
            format!("{}m{:02}s", whole / 60, whole % 60)
        }
        _ => {
            let minutes = micros / 60_000_000;
            format!("{}h{:02}m", minutes / 60, minutes % 60)
        }
    }
}

/// How long ago, as docker says it: `About a minute ago`, `3 days ago`.
pub fn ago(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (count, unit) = match seconds {
        0 => return "Less than a second ago".into(),
        1 => return "1 second ago".into(),
        2..=59 => (seconds, "seconds"),
        60..=119 => return "About a minute ago".into(),
        120..=3599 => (seconds / 60, "minutes"),
        3600..=5399 => return "About an hour ago".into(),
        // hours are rounded, all else is cut off
        5400..=170_999 => ((seconds + 1800) / 3600, "hours"),
        171_000..=172_799 => (2, "days"),
        172_800..=1_209_599 => (seconds / 86_400, "days"),
        1_209_600..=5_183_999 => (seconds / 604_800, "weeks"),
        5_184_000..=63_071_999 => (seconds / 2_592_000, "months"),
        _ => (seconds / 31_536_000, "years"),
    };
    format!("{count} {unit} ago")
}

/// A time, given in seconds since 1970, as docker's lists show it, in UTC: `2026-01-31 12:00:00 +0000 UTC`.
pub fn date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// `1 step`, `2 steps`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let read: Vec<Option<u64>> = ["12", "64k", "1.5GB", "2GiB", "500 MB", "x", "5q", ""]
            .map(|text| parse_bytes(text).ok())
            .into();
        assert_eq!(
            read,
            [
                Some(12),
                Some(64_000),
                Some(1_500_000_000),
                Some(2 << 30),
                Some(500_000_000),
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn times_change_units_without_odd_values() {
        let shown: Vec<String> = [
            400,
            9_999,
            87_400,
            999_500,
            3_211_000,
            59_996_000,
            125_000_000,
            3_720_000_000,
        ]
        .map(duration)
        .into();
        assert_eq!(
            shown,
            [
                "0.4ms", "10.0ms", "87ms", "1.00s", "3.21s", "1m00s", "2m05s", "1h02m"
            ]
        );
    }

    #[test]
    fn ages_read_as_docker_prints_them() {
        let shown: Vec<String> = [0, 45, 70, 600, 4000, 90_000, 200_000].map(ago).into();
        assert_eq!(
            shown,
            [
                "Less than a second ago",
                "45 seconds ago",
                "About a minute ago",
                "10 minutes ago",
                "About an hour ago",
                "25 hours ago",
                "2 days ago"
            ]
        );
    }
}
