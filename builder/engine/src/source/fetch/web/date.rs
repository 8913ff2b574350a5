//! Dates of HTTP in the three forms that RFC 9110 has servers' clients read, and no other, as Go reads them. Unaware of headers.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, RFC 850's `Sunday, 06-Nov-94 08:49:37 GMT`, asctime's `Sun Nov  6 08:49:37 1994`; without
/// the day of the week, which may be wrong, and the zone, which is always GMT.
const FORMS: [&str; 3] = [
    "%d %b %Y %H:%M:%S",
    "%d-%b-%y %H:%M:%S",
    "%b %d %H:%M:%S %Y",
];

/// Seconds since 1970.
pub(super) fn seconds(date: &str) -> Option<i64> {
    let (day, rest) = date.trim().split_once(' ')?;
    let (form, rest) = match day.strip_suffix(',') {
        None => (FORMS[2], rest),
        Some(_) if rest.contains('-') => (FORMS[1], rest.trim_end().rsplit_once(' ')?.0),
        Some(_) => (FORMS[0], rest.trim_end().strip_suffix(" GMT")?),
    };
    let read: DateTime = strtime::parse(form, rest.trim()).ok()?.to_datetime().ok()?;
    let time = TimeZone::UTC.to_timestamp(read).ok()?;
    Some(time.as_second())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn all_three_forms_are_read() {
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 UTC", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Sun Nov 16 08:49:37 1994", Some(784_975_777)),
            // two digits: 1969 to 2068, as in POSIX
            ("Wednesday, 21-Oct-15 07:28:00 GMT", Some(1_445_412_480)),
            ("Tuesday, 01-Jan-69 00:00:00 GMT", Some(-31_536_000)),
            // a day of the week that is wrong means nothing
            ("Mon, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Thu, 29 Feb 2023 00:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 +0200", None),
            ("1994-11-06T08:49:37Z", None),
            ("784111777", None),
            ("", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}
