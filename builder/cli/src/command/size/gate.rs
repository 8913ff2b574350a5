//! `kiln size --dive-compat` and `--dive-ci`: dive's numbers, and the limits of dive's file as a gate. Unaware of what is really wasted.
//!
//! The file is YAML with the keys `lowestEfficiency`, `highestWastedBytes` and `highestUserWastedPercent` below `rules`; what it does not
//! say has dive's default (0.9, disabled, 0.1).

use crate::failure::{Failure, Kind};
use crate::table::line;
use crate::units::{bytes, parse_bytes};
use kiln_cache::path::display;
use kiln_report::dive::{DiveReport, dive};
use kiln_report::image::Image;
use std::path::Path;

/// Paths that are listed.
const PATHS: usize = 20;

/// What an image has to keep; `None` is a limit that is disabled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    lowest_efficiency: Option<f64>,
    highest_wasted_bytes: Option<u64>,
    highest_user_wasted: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            lowest_efficiency: Some(0.9),
            highest_wasted_bytes: None,
            highest_user_wasted: Some(0.1),
        }
    }
}

impl Limits {
    /// Those of a file.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::of_file(path, &error))?;
        let parsed = Limits::parse(&text);
        parsed.map_err(|(number, why)| {
            Failure::usage(format!("{}: line {number}: {why}", path.display()))
        })
    }

    /// The limits, or a line and what is wrong with it.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut limits = Limits::default();
        for (at, written) in text.lines().enumerate() {
            let line = written.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') || matches!(line, "---" | "rules:") {
                continue;
            }
            limits.set(line).map_err(|why| (at + 1, why))?;
        }
        Ok(limits)
    }

    fn set(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or("expected KEY: VALUE")?;
        let value = value.trim().trim_matches(['"', '\'']);
        let ratio = || match value {
            "disabled" => Ok(None),
            value => value
                .parse()
                .map(Some)
                .map_err(|_| format!("{value:?} is not a number")),
        };
        let key = key.trim().trim_matches(['"', '\'']);
        match key.replace(['-', '_'], "").to_ascii_lowercase().as_str() {
            "lowestefficiency" => self.lowest_efficiency = ratio()?,
            "highestuserwastedpercent" => self.highest_user_wasted = ratio()?,
            "highestwastedbytes" if value == "disabled" => self.highest_wasted_bytes = None,
            "highestwastedbytes" => self.highest_wasted_bytes = Some(parse_bytes(value)?),
            _ => return Err(format!("{key:?} is no rule of dive")),
        }
        Ok(())
    }

    /// A line for each rule, and whether it is kept.
    fn check(&self, report: &DiveReport) -> [(bool, String); 3] {
        let user = self.highest_user_wasted;
        let wasted = self.highest_wasted_bytes;
        let efficiency = self.lowest_efficiency;
        [
            rule(
                (
                    "highestUserWastedPercent",
                    format!("{:.4}", report.user_wasted),
                ),
                user.map(|limit| (limit.to_string(), report.user_wasted > limit)),
            ),
            rule(
                ("highestWastedBytes", bytes(report.wasted_bytes)),
                wasted.map(|limit| (bytes(limit), report.wasted_bytes > limit)),
            ),
            rule(
                ("lowestEfficiency", format!("{:.4}", report.efficiency)),
                efficiency.map(|limit| (limit.to_string(), report.efficiency < limit)),
            ),
        ]
    }
}

/// What is said of a number, given its limit and whether that is broken.
fn rule((name, actual): (&str, String), limit: Option<(String, bool)>) -> (bool, String) {
    match limit {
        None => (true, format!("SKIP: {name}: disabled")),
        Some((limit, true)) => (false, format!("FAIL: {name}: {actual} (limit {limit})")),
        Some((limit, false)) => (true, format!("PASS: {name}: {actual} (limit {limit})")),
    }
}

/// Shows the numbers, and demands that the limits are kept.
///
/// # Errors
/// They are not.
pub fn run(image: &Image, with_paths: bool, limits: Option<Limits>) -> Result<(), Failure> {
    let report = dive(image);
    show(&report, with_paths);
    let Some(limits) = limits else {
        return Ok(());
    };
    let checked = limits.check(&report);
    checked.iter().for_each(|(_, text)| line(text));
    let failed = checked.iter().filter(|(is_kept, _)| !is_kept).count();
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {} limits of dive are not kept", checked.len());
    Err(Failure::new(Kind::Build, message)
        .hint("`kiln size IMAGE` shows what is really wasted, and where"))
}

fn show(report: &DiveReport, with_paths: bool) {
    line(&format!("efficiency: {:.4} %", report.efficiency * 100.0));
    line(&format!(
        "wastedBytes: {} bytes ({})",
        report.wasted_bytes,
        bytes(report.wasted_bytes)
    ));
    line(&format!(
        "userWastedPercent: {:.4} %",
        report.user_wasted * 100.0
    ));
    for (path, count, wasted) in report.inefficient.iter().filter(|_| with_paths).take(PATHS) {
        line(&format!(
            "{count:>5}  {:>8}  /{}",
            bytes(*wasted),
            display(path)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dives_file_is_read_as_dive_reads_it() {
        let text = "rules:\n  # a comment\n  lowestEfficiency: 0.95\n\n  highestWastedBytes: 20MB # one\n  highestUserWastedPercent: \"0.20\"\n";
        let expected = Limits {
            lowest_efficiency: Some(0.95),
            highest_wasted_bytes: Some(20_000_000),
            highest_user_wasted: Some(0.2),
        };
        assert_eq!(Limits::parse(text), Ok(expected));
        assert_eq!(Limits::parse(""), Ok(Limits::default()));
        let disabled = Limits::parse("rules:\n  lowestEfficiency: disabled\n");
        assert_eq!(disabled.map(|limits| limits.lowest_efficiency), Ok(None));
    }

    #[test]
    fn what_is_no_limit_is_refused_with_its_line() {
        for (text, number) in [
            ("rules:\n  lowestEfficiency: much\n", 2),
            ("rules:\n\n  other: 1\n", 3),
            ("highestWastedBytes: 20 parsecs\n", 1),
            ("x\n", 1),
        ] {
            assert_eq!(
                Limits::parse(text).map_err(|(line, _)| line),
                Err(number),
                "{text}"
            );
        }
    }
}
