//! The order of versions, as dpkg has it: runs of digits count as numbers, `~` comes before the end, letters before other signs, and an
//! epoch before a colon before all. Other managers' versions are ordered nearly so. Unaware of packages.

use std::cmp::Ordering;

/// Which version is later.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a) = epoch(a);
    let (b_epoch, b) = epoch(b);
    let by_epoch = a_epoch.cmp(&b_epoch);
    by_epoch.then_with(|| parts(a.as_bytes(), b.as_bytes()))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

fn parts(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (signs, rest) = split(a, |byte| !byte.is_ascii_digit());
        let (other, other_rest) = split(b, |byte| !byte.is_ascii_digit());
        let longest = signs.len().max(other.len());
        let weights =
            |text: &[u8]| -> Vec<i32> { (0..=longest).map(|at| weight(text.get(at))).collect() };
        let order = weights(signs).cmp(&weights(other));
        let (digits, rest) = split(rest, u8::is_ascii_digit);
        let (other, other_rest) = split(other_rest, u8::is_ascii_digit);
        let order = order.then_with(|| number(digits).cmp(&number(other)));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest, other_rest);
    }
    Ordering::Equal
}

fn split(text: &[u8], is_part: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_part(byte));
    text.split_at(end.unwrap_or(text.len()))
}

/// Of equal length and value where they are equal numbers.
fn number(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(sign) => i32::from(*sign) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions() {
        for (earlier, later) in [
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+b"),
            ("9.9", "1:0.1"),
            ("2.36-9+deb12u1", "2.36-9+deb12u10"),
            ("1.2.3-r0", "1.2.3-r1"),
            ("", "0.1"),
        ] {
            assert_eq!(compare(earlier, later), Ordering::Less, "{earlier} {later}");
            assert_eq!(compare(later, earlier), Ordering::Greater);
            assert_eq!(compare(later, later), Ordering::Equal);
        }
        assert_eq!(compare("1.01", "1.1"), Ordering::Equal);
    }
}
