//! Signals as people write them: `SIGTERM`, `term`, `15`, `RTMIN+3`. Unaware of who gets one.

use crate::failure::Failure;
use signal_hook::low_level::signal_name;

/// The first and the last of the signals without a name, as docker numbers them.
const UNNAMED: (&str, i32, i32) = ("RTMIN", 34, 64);

/// The number of a signal.
///
/// # Errors
/// There is no such signal.
pub fn read(text: &str) -> Result<i32, Failure> {
    number(text).ok_or_else(|| Failure::usage(format!("there is no signal {text:?}")))
}

fn number(text: &str) -> Option<i32> {
    let (first_name, first, last) = UNNAMED;
    let is_one = |number: &i32| (1..=last).contains(number);
    if let Ok(number) = text.parse() {
        return Some(number).filter(is_one);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(beyond) = name.strip_prefix(first_name) {
        let beyond = beyond.strip_prefix('+').unwrap_or("0");
        return Some(first + beyond.parse::<i32>().ok()?).filter(is_one);
    }
    (1..first).find(|number| signal_name(*number).is_some_and(|known| known[3..] == *name))
}

#[cfg(test)]
mod tests {
    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("SIGTERM", Some(15)),
            ("quit", Some(3)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("rtmin", Some(34)),
            ("0", None),
            ("65", None),
            ("RTMIN+31", None),
            ("SIGNOTHING", None),
        ] {
            assert_eq!(super::number(text), number, "{text}");
        }
    }
}
