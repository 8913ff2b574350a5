//! Points in time as people write them to docker, wherever a flag or filter takes one. Unaware of what happened then.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// So long ago (`24h`, `1h30m`), or a time: RFC 3339, with or without its later parts, or seconds since 1970, with or without a fraction. One
/// that does not say its zone is of the zone of this machine, or of `TZ`.
pub fn read(text: &str) -> Option<Timestamp> {
    read_at(text, Timestamp::now(), TimeZone::system)
}

fn read_at(text: &str, now: Timestamp, zone: impl Fn() -> TimeZone) -> Option<Timestamp> {
    if let Some(time) = since_1970(text) {
        return Some(time);
    }
    if let Ok(ago) = text.parse::<SignedDuration>() {
        return now.checked_sub(ago).ok();
    }
    if says_its_zone(text) {
        return with_time(text).parse().ok();
    }
    let local: DateTime = text.parse().ok()?;
    zone().to_timestamp(local).ok()
}

/// `SECONDS` or `SECONDS.FRACTION`.
fn since_1970(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

/// Docker's rule: the third dash is before an offset.
fn says_its_zone(text: &str) -> bool {
    text.contains(['z', 'Z', '+']) || text.matches('-').count() == 3
}

/// A date with a zone, such as `2026-01-31Z`, is the begin of that day.
fn with_time(text: &str) -> String {
    match text.split_at_checked("2026-01-31".len()) {
        Some((date, zone))
            if !text.contains(['T', 't', ' ', ':']) || zone.starts_with(['+', '-']) =>
        {
            format!("{date}T00:00:00{zone}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;

    fn read(text: &str) -> Option<String> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        // an hour east of Greenwich
        let zone = || TimeZone::fixed(Offset::constant(1));
        read_at(text, now, zone).map(|time| time.to_string())
    }

    #[test]
    fn times_are_dockers() {
        for (text, expected) in [
            ("24h", "2027-01-14T08:00:00Z"),
            ("1h30m", "2027-01-15T06:30:00Z"),
            ("1.5s", "2027-01-15T07:59:58.5Z"),
            ("-10m", "2027-01-15T08:10:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000.123456789", "2023-11-14T22:13:20.123456789Z"),
            ("1700000000.5", "2023-11-14T22:13:20.5Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            (
                "2026-01-31T12:00:00.000000001Z",
                "2026-01-31T12:00:00.000000001Z",
            ),
            ("2026-01-31T12:00:00.9+02:00", "2026-01-31T10:00:00.9Z"),
            ("2026-01-31T12:00-02:00", "2026-01-31T14:00:00Z"),
            ("2026-01-31T12Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31Z", "2026-01-31T00:00:00Z"),
            ("2026-01-31+02:00", "2026-01-30T22:00:00Z"),
            ("2026-01-31-02:00", "2026-01-31T02:00:00Z"),
            ("2026-01-31T12:00:00.5", "2026-01-31T11:00:00.5Z"),
            ("2026-01-31T12:00:00", "2026-01-31T11:00:00Z"),
            ("2026-01-31T12:00", "2026-01-31T11:00:00Z"),
            ("2026-01-31T12", "2026-01-31T11:00:00Z"),
            ("2026-01-31", "2026-01-30T23:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "soon",
            "",
            ".5",
            "1700000000.",
            "1.x",
            "2026-02-30",
            "2026-01-31T25:00",
            "9e9",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
