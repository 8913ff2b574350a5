//! `kiln build --call=…`: what a Dockerfile says, without building it. One file each; to add one, a file and a line in
//! [`METHODS`]. The answers go to standard output, as text or in the shape of BuildKit's subrequests as JSON.

mod check;
mod location;
mod outline;
mod targets;

use crate::environment::{self, Globals};
use crate::failure::{Failure, printable};
use crate::{pflag, session, stdout, table};
use kiln_cache::Store;
use kiln_engine::Build;

/// What answers a call.
type Answer = fn(&Call<'_>) -> Result<(), Failure>;

/// What can be asked; `build` is no question.
const METHODS: &[(&str, Answer)] = &[
    ("check", check::answer),
    ("outline", outline::answer),
    ("targets", targets::answer),
];

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// A question: `--call=check,format=json`.
#[derive(Clone, Copy)]
pub struct Method {
    answer: Answer,
    format: Format,
    ignores_warnings: bool,
}

/// A question about a build.
struct Call<'a> {
    build: &'a Build,
    store: Option<Store>,
    format: Format,
    /// `ignorestatus=true`: warnings of a check do not count for the exit code.
    ignores_warnings: bool,
}

impl Method {
    /// Reads `--call` and `--check`; none if there is to be a build.
    ///
    /// # Errors
    /// When the method or its format is unknown.
    pub fn of(call: Option<&str>, check: Option<&str>) -> Result<Option<Self>, Failure> {
        // what there is without a question
        let call = call.filter(|call| *call != "build");
        let (flag, text) = match (call, check) {
            (Some(call), None) => ("--call", call.to_owned()),
            (None, None) => return Ok(None),
            (call, Some(check)) => match pflag::boolean(check) {
                Some(false) => return Method::of(call, None),
                _ if call.is_some() => {
                    return Err(Failure::usage("--call and --check are two questions")
                        .hint("give one of them"));
                }
                Some(true) => ("--check", "check".to_owned()),
                None => ("--check", format!("check,{check}")),
            },
        };
        let (name, options) = text.split_once(',').unwrap_or((&text, ""));
        let (mut format, mut ignores_warnings) = (Format::Text, false);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "format=text" => format = Format::Text,
                "format=json" => format = Format::Json,
                "ignorestatus=true" => ignores_warnings = true,
                "ignorestatus=false" => ignores_warnings = false,
                other => {
                    return Err(Failure::usage(format!("{flag}: {other:?} is no option"))
                        .hint("write format=text, format=json or ignorestatus=true"));
                }
            }
        }
        // BuildKit's own name for check.
        let name = if name == "lint" { "check" } else { name };
        if name == "build" {
            return Ok(None);
        }
        let known = METHODS.iter().find(|(method, _)| *method == name);
        match known {
            Some(&(_, answer)) => Ok(Some(Method {
                answer,
                format,
                ignores_warnings,
            })),
            None => {
                let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
                Err(
                    Failure::usage(format!("{flag}: there is no method {name:?}"))
                        .hint(format!("there are build, {}", names.join(", "))),
                )
            }
        }
    }

    /// Answers.
    ///
    /// # Errors
    /// When the Dockerfile has errors.
    pub(super) fn run(self, build: &Build, globals: &Globals) -> Result<(), Failure> {
        (self.answer)(&Call {
            build,
            store: session::existing_store(globals),
            format: self.format,
            ignores_warnings: self.ignores_warnings,
        })
    }
}

/// Whether text on standard output has colours.
fn color() -> bool {
    stdout::is_terminal() && !environment::no_color()
}

/// Prints to standard output.
fn say(text: &str) {
    stdout::print(printable(text, color()).as_bytes());
}

/// Columns; a line is not padded behind its last cell that is not empty.
fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let rows = rows.iter().map(|row| row.join("\t"));
    let rows = rows.map(|row| row.trim_end_matches('\t').to_owned());
    let lines: Vec<String> = std::iter::once(header.join("\t")).chain(rows).collect();
    table::aligned(&(lines.join("\n") + "\n"))
}

/// Prints JSON as BuildKit does.
fn say_json(value: &serde_json::Value) {
    // A value of maps with text keys can be written.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    say(&(text + "\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_formats() {
        let format = |call, check| {
            let method = Method::of(call, check).unwrap();
            method.map(|method| method.format)
        };
        assert_eq!(format(None, None), None);
        assert_eq!(format(Some("build"), None), None);
        assert_eq!(format(None, Some("false")), None);
        assert_eq!(format(Some("check"), None), Some(Format::Text));
        assert_eq!(format(Some("lint,format=json"), None), Some(Format::Json));
        assert_eq!(format(None, Some("1")), Some(Format::Text));
        assert_eq!(format(Some("check"), Some("f")), Some(Format::Text));
        assert_eq!(format(None, Some("format=json")), Some(Format::Json));
        let ignores = |check| Method::of(None, check).unwrap().unwrap().ignores_warnings;
        assert!(ignores(Some("ignorestatus=true")) && !ignores(Some("true")));
        assert!(ignores(Some("format=json,ignorestatus=true")));
        for (call, check) in [
            (Some("x"), None),
            (Some("check,format=xml"), None),
            (None, Some("format=xml")),
            (Some("outline"), Some("true")),
        ] {
            assert!(Method::of(call, check).is_err(), "{call:?} {check:?}");
        }
    }
}
