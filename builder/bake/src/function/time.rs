//! Functions of times. A time is text in RFC 3339, and keeps the offset that it is written with.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::Value;
use jiff::civil::{DateTime, Weekday};
use jiff::{SignedDuration, Timestamp};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A time on the clock of a place, which is so many minutes before UTC's.
#[derive(Clone, Copy)]
struct Time {
    clock: DateTime,
    minutes: i64,
}

impl Time {
    fn read(text: &str) -> Worded<Self> {
        let wrong = || format!("{text:?} is no time in RFC 3339");
        let written = text.get(10..11).is_some_and(|mark| mark == "T");
        let end = text.get(19..).and_then(|rest| rest.find(['Z', '+', '-']));
        let (clock, zone) = text
            .split_at_checked(end.map_or(0, |end| end + 19))
            .filter(|_| written)
            .ok_or_else(wrong)?;
        let clock: DateTime = clock.parse().map_err(|_| wrong())?;
        let minutes = match zone {
            "Z" => 0,
            zone => {
                let (sign, rest) = zone.split_at_checked(1).ok_or_else(wrong)?;
                let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
                let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
                let all = number(hours)? * 60 + number(minutes)?;
                if sign == "-" { -all } else { all }
            }
        };
        Ok(Time { clock, minutes })
    }

    fn of_seconds(seconds: i64) -> Worded<Self> {
        let time =
            Timestamp::from_second(seconds).map_err(|_| "there is no such time".to_owned())?;
        let clock = jiff::tz::Offset::UTC.to_datetime(time);
        Ok(Time { clock, minutes: 0 })
    }

    fn seconds(self) -> i64 {
        let utc = jiff::tz::Offset::UTC.to_timestamp(self.clock);
        utc.map_or(0, |utc| utc.as_second() - self.minutes * 60)
    }

    fn zone(self, colon: &str) -> String {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let all = self.minutes.abs();
        format!("{sign}{:02}{colon}{:02}", all / 60, all % 60)
    }

    fn text(self) -> String {
        let clock = self.clock.strftime("%Y-%m-%dT%H:%M:%S");
        let zone = if self.minutes == 0 {
            "Z".to_owned()
        } else {
            self.zone(":")
        };
        format!("{clock}{zone}")
    }

    /// What letters of a form stand for.
    fn part(self, letters: &str) -> Option<String> {
        self.date(letters)
            .or_else(|| self.hour(letters))
            .or_else(|| self.offset(letters))
    }

    fn date(self, letters: &str) -> Option<String> {
        let clock = self.clock;
        let month = MONTHS[usize::try_from(clock.month() - 1).ok()? % 12];
        let day = weekday(clock);
        Some(match letters {
            "YYYY" => format!("{:04}", clock.year()),
            "YY" => format!("{:02}", clock.year() % 100),
            "MMMM" => month.to_owned(),
            "MMM" => month[..3].to_owned(),
            "MM" => format!("{:02}", clock.month()),
            "M" => clock.month().to_string(),
            "DD" => format!("{:02}", clock.day()),
            "D" => clock.day().to_string(),
            "EEEE" => day.to_owned(),
            "EEE" => day[..3].to_owned(),
            _ => return None,
        })
    }

    fn hour(self, letters: &str) -> Option<String> {
        let (clock, hour) = (self.clock, self.clock.hour());
        let of_half = if hour % 12 == 0 { 12 } else { hour % 12 };
        let half = if hour < 12 { "AM" } else { "PM" };
        Some(match letters {
            "hh" => format!("{hour:02}"),
            "h" => hour.to_string(),
            "HH" => format!("{of_half:02}"),
            "H" => of_half.to_string(),
            "AA" => half.to_owned(),
            "aa" => half.to_lowercase(),
            "mm" => format!("{:02}", clock.minute()),
            "m" => clock.minute().to_string(),
            "ss" => format!("{:02}", clock.second()),
            "s" => clock.second().to_string(),
            _ => return None,
        })
    }

    fn offset(self, letters: &str) -> Option<String> {
        Some(match letters {
            "ZZZ" if self.minutes == 0 => "UTC".to_owned(),
            "Z" if self.minutes == 0 => "Z".to_owned(),
            "ZZZZZ" | "Z" => self.zone(":"),
            "ZZZZ" | "ZZZ" => self.zone(""),
            _ => return None,
        })
    }

    /// The time in a form of letters, with other text in quotes.
    fn formed(self, form: &str) -> Worded<String> {
        let (mut text, mut rest) = (String::new(), form);
        while let Some(first) = rest.chars().next() {
            if let Some(quoted) = rest.strip_prefix('\'') {
                let (literal, after) = literal(quoted)?;
                text.push_str(&literal);
                rest = after;
                continue;
            }
            let end = rest.find(|ch| ch != first).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            if first.is_ascii_alphabetic() {
                let part = self.part(run);
                text.push_str(
                    &part.ok_or_else(|| format!("{run:?} stands for nothing in a time"))?,
                );
            } else {
                text.push_str(run);
            }
            rest = after;
        }
        Ok(text)
    }
}

/// Text in quotes, of which two are one, and what follows it.
fn literal(mut rest: &str) -> Worded<(String, &str)> {
    let mut text = String::new();
    loop {
        let end = rest
            .find('\'')
            .ok_or_else(|| "a quote has no end".to_owned())?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Ok((text, rest)),
        }
    }
}

fn weekday(clock: DateTime) -> &'static str {
    match clock.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

pub fn timestamp(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::String(
        Time::of_seconds(arguments.host.seconds())?.text(),
    ))
}

pub fn formatdate(arguments: &Arguments<'_>) -> Answer {
    let time = Time::read(&arguments.text(1)?)?;
    Ok(Value::String(time.formed(&arguments.text(0)?)?))
}

/// The same, also of seconds since 1970; `X` is these.
pub fn formattimestamp(arguments: &Arguments<'_>) -> Answer {
    let time = match arguments.any(1) {
        Value::Number(_) => Time::of_seconds(seconds(arguments, 1)?)?,
        _ => Time::read(&arguments.text(1)?)?,
    };
    let form = arguments.text(0)?;
    Ok(Value::String(match form.as_str() {
        "X" => time.seconds().to_string(),
        form => time.formed(form)?,
    }))
}

fn seconds(arguments: &Arguments<'_>, at: usize) -> Worded<i64> {
    i64::try_from(arguments.integer(at)?).map_err(|_| "there is no such time".to_owned())
}

/// A time and a duration as Go writes it: `1h30m`, `-10s`.
pub fn timeadd(arguments: &Arguments<'_>) -> Answer {
    let (time, duration) = (Time::read(&arguments.text(0)?)?, arguments.text(1)?);
    let duration =
        self::duration(&duration).ok_or_else(|| format!("{duration:?} is no duration"))?;
    let clock = time.clock.checked_add(duration);
    let clock = clock.map_err(|_| "there is no such time".to_owned())?;
    Ok(Value::String(Time { clock, ..time }.text()))
}

fn duration(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(rest, "" | "0") {
        return (rest == "0").then_some(SignedDuration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|ch: char| !ch.is_ascii_digit() && ch != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = &rest[end..];
        let length = unit.find(|ch: char| ch.is_ascii_digit() || ch == '.');
        let (unit, after) = unit.split_at(length.unwrap_or(unit.len()));
        let known = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number * known.1;
        rest = after;
    }
    SignedDuration::try_from_secs_f64(sign * seconds).ok()
}

/// Seconds of Go's units.
const UNITS: [(&str, f64); 7] = [
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ns", 1e-9),
];

pub fn unixtimestampparse(arguments: &Arguments<'_>) -> Answer {
    let time = Time::of_seconds(seconds(arguments, 0)?)?;
    let (clock, week) = (time.clock, time.clock.date().iso_week_date());
    let day = clock.weekday().to_sunday_zero_offset();
    let named = |form| Ok::<_, String>(Value::String(time.formed(form)?));
    let number = |number: i64| Value::from(i128::from(number));
    let all = [
        ("year", number(clock.year().into())),
        ("year_day", number(clock.day_of_year().into())),
        ("day", number(clock.day().into())),
        ("month", number(clock.month().into())),
        ("weekday", number(day.into())),
        ("hour", number(clock.hour().into())),
        ("minute", number(clock.minute().into())),
        ("second", number(clock.second().into())),
        ("iso_year", number(week.year().into())),
        ("iso_week", number(week.week().into())),
        ("month_name", named("MMMM")?),
        ("weekday_name", named("EEEE")?),
        ("rfc3339", Value::String(time.text())),
    ];
    Ok(Value::Map(
        all.map(|(name, value)| (name.to_owned(), value)).into(),
    ))
}
