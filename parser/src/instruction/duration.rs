//! Durations as Go writes them: `1h30m`, `1.5s`, `300ms`. Unaware of what they measure.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, digit0};
use nom::combinator::{opt, verify};
use nom::multi::many1;
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// Nanoseconds of each unit.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// One number with its unit, unchecked: whole digits, digits after the point, unit.
type Part<'i> = (&'i str, Option<&'i str>, &'i str);

/// Reads a duration in nanoseconds. The error is Go's message.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if body == "0" {
        return Ok(0);
    }
    let Ok(("", parts)) = parts(body) else {
        return Err(invalid());
    };
    let mut total: i128 = 0;
    for (whole, fraction, unit) in parts {
        if whole.is_empty() && fraction.unwrap_or_default().is_empty() {
            return Err(invalid());
        }
        let scale = scale(unit).map_err(|why| format!("time: {why} in duration {text:?}"))?;
        total += number(whole).ok_or_else(invalid)? * scale;
        total += fraction_of(fraction.unwrap_or_default(), scale);
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

fn scale(unit: &str) -> Result<i128, String> {
    match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => Ok(i128::from(*scale)),
        None if unit.is_empty() => Err("missing unit".to_owned()),
        None => Err(format!("unknown unit {unit:?}")),
    }
}

fn parts(input: &str) -> IResult<&str, Vec<Part<'_>>> {
    let unit = take_while(|ch: char| ch != '.' && !ch.is_ascii_digit());
    let fraction = opt(preceded(char('.'), digit0));
    let some = |(whole, fraction, unit): &Part<'_>| {
        fraction.is_some() || !whole.is_empty() || !unit.is_empty()
    };
    many1(verify((digit0, fraction, unit), some)).parse(input)
}

fn number(digits: &str) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    // Larger than 63 bits is too long for any unit.
    digits.parse::<i64>().ok().map(i128::from)
}

/// Digits beyond the 18th are less than a nanosecond of any unit.
fn fraction_of(digits: &str, scale: i128) -> i128 {
    let digits = &digits[..digits.len().min(18)];
    let value: i128 = digits.parse().unwrap_or(0);
    value * scale / 10_i128.pow(u32::try_from(digits.len()).unwrap_or(0))
}

/// Writes a duration as Go does: `1m30s`, `1.5s`, `100ms`, `0s`.
pub(super) fn format(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let small = |unit: u64, name: &str| format!("{sign}{}{name}", decimal(total, unit));
    match total {
        0 => "0s".to_owned(),
        1..1_000 => small(1, "ns"),
        1_000..1_000_000 => small(1_000, "µs"),
        1_000_000..1_000_000_000 => small(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (total / UNITS[6].1, total % UNITS[6].1);
            let (hours, minutes) = (minutes / 60, minutes % 60);
            let mut text = sign.to_owned();
            if hours > 0 {
                text.push_str(&format!("{hours}h"));
            }
            if hours > 0 || minutes > 0 {
                text.push_str(&format!("{minutes}m"));
            }
            text + &decimal(rest, 1_000_000_000) + "s"
        }
    }
}

fn decimal(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("1h2m3.5s", 3_723_500_000_000),
            ("-1.5ms", -1_500_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+2µs", 2_000),
            ("2540400h", 9_145_440_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(nanoseconds), "{text}");
        }
        for bad in [
            "",
            "5",
            "s",
            ".s",
            "1x",
            "1.2.3s",
            "9999999h",
            "99999999999999999999s",
            "1s ",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            parse("5").unwrap_err(),
            "time: missing unit in duration \"5\""
        );
    }

    #[test]
    fn writing() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (-90_000_000_000, "-1m30s"),
        ] {
            assert_eq!(format(nanoseconds), text);
        }
    }
}
