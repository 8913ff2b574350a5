//! `semvercmp`: whether a version satisfies constraints, as Masterminds' semver has them.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::Value;
use std::cmp::Ordering;

/// A version, or the beginning of one.
#[derive(Debug, Clone)]
struct Version {
    /// Major, minor, patch.
    numbers: [u64; 3],
    /// How many of them are given.
    given: usize,
    pre: String,
}

pub fn semvercmp(arguments: &Arguments<'_>) -> Answer {
    let (version, constraint) = (arguments.text(0)?, arguments.text(1)?);
    let version = Version::read(&version)?;
    if version.given == 0 {
        return Err("this is no version".to_owned());
    }
    let mut met = false;
    for all in constraint.split("||") {
        met |= constraints(all)?.iter().all(|one| one.is_met(&version));
    }
    Ok(Value::Bool(met))
}

impl Version {
    /// Reads `v1.2.3-beta+build`, `1.2`, `1.x`.
    fn read(text: &str) -> Worded<Self> {
        let wrong = || format!("{text:?} is no version");
        let text = text.trim().trim_start_matches('v');
        let text = text.split('+').next().unwrap_or_default();
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut version = Version {
            numbers: [0; 3],
            given: 0,
            pre: pre.to_owned(),
        };
        for part in numbers.split('.') {
            if matches!(part, "x" | "X" | "*") {
                break;
            }
            let number = version.numbers.get_mut(version.given).ok_or_else(wrong)?;
            *number = part.parse().map_err(|_| wrong())?;
            version.given += 1;
        }
        Ok(version)
    }

    /// Where the first number is that is not 0.
    fn first_number(&self) -> Option<usize> {
        self.numbers.iter().position(|number| *number > 0)
    }

    fn order(&self, other: &Self) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => pre_order(&self.pre, &other.pre),
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }

    /// The first version that is no longer of the same major, minor or patch.
    fn after(&self, place: usize) -> Self {
        let mut numbers = [0; 3];
        numbers[..place].copy_from_slice(&self.numbers[..place]);
        numbers[place] = self.numbers[place].saturating_add(1);
        Version {
            numbers,
            given: 3,
            pre: String::new(),
        }
    }
}

fn pre_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// What a version must be.
struct Constraint {
    operator: &'static str,
    version: Version,
}

const OPERATORS: [(&str, &str); 12] = [
    (">=", ">="),
    ("=>", ">="),
    ("<=", "<="),
    ("=<", "<="),
    ("!=", "!="),
    ("~>", "~"),
    ("==", "="),
    ("=", "="),
    (">", ">"),
    ("<", "<"),
    ("~", "~"),
    ("^", "^"),
];

/// Constraints that are all to be met: with commas or blanks between them, or a range `1.2 - 2`.
fn constraints(text: &str) -> Worded<Vec<Constraint>> {
    if let Some((from, to)) = text.split_once(" - ") {
        return Ok(vec![constraint(">=", from)?, constraint("<=", to)?]);
    }
    let (mut read, mut rest) = (Vec::new(), text.trim_matches([' ', ',']));
    while !rest.is_empty() {
        let mut known = OPERATORS.iter();
        let known = known.find(|(written, _)| rest.starts_with(written));
        let (written, operator) = known.unwrap_or(&("", "="));
        let after = rest[written.len()..].trim_start();
        let end = after.find([' ', ',']).unwrap_or(after.len());
        read.push(constraint(operator, &after[..end])?);
        rest = after[end..].trim_start_matches([' ', ',']);
    }
    match read.is_empty() {
        true => Err("there is no constraint".to_owned()),
        false => Ok(read),
    }
}

fn constraint(operator: &'static str, version: &str) -> Worded<Constraint> {
    let version = Version::read(version)?;
    Ok(Constraint { operator, version })
}

impl Constraint {
    fn is_met(&self, version: &Version) -> bool {
        // a version before a release is meant only where the constraint names one
        if !version.pre.is_empty() && self.version.pre.is_empty() {
            return false;
        }
        let (wanted, order) = (&self.version, version.order(&self.version));
        let within = |place: usize| order != Ordering::Less && self.is_before(version, place);
        let is_part = wanted.given > 0 && wanted.given < 3;
        let last = wanted.given.max(1) - 1;
        match self.operator {
            "=" | "~" | "^" if wanted.given == 0 => true,
            "!=" if wanted.given == 0 => false,
            "=" => within(last),
            "!=" => !within(last),
            "~" => within(last.min(1)),
            "^" => within(wanted.first_number().unwrap_or(last)),
            ">" if is_part => !self.is_before(version, last),
            "<=" if is_part => self.is_before(version, last),
            ">" => order == Ordering::Greater,
            ">=" => order != Ordering::Less,
            "<=" => order != Ordering::Greater,
            _ => order == Ordering::Less,
        }
    }

    fn is_before(&self, version: &Version, place: usize) -> bool {
        version.order(&self.version.after(place)) == Ordering::Less
    }
}
