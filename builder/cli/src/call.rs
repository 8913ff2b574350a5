//! `kiln build --call=…`: what a Dockerfile says, without building it. One file each; to add one, a file and a line in
//! [`METHODS`]. The answers go to standard output, as text or in the shape of BuildKit's subrequests as JSON.

mod check;
mod location;
mod outline;
mod targets;

use crate::environment::{self, Globals};
use crate::failure::Failure;
use crate::printable::printable;
use crate::{pflag, session, stdout, table};
use kiln_cache::Store;
use kiln_engine::Build;
use serde_json::Value;

/// What answers a call.
type Answer = fn(&Call<'_>) -> Result<(), Failure>;

/// What can be asked; `build` is no question.
const METHODS: [(&str, Answer); 3] = [
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
        let Some((flag, text)) = question(call, check)? else {
            return Ok(None);
        };
        let (name, options) = text.split_once(',').unwrap_or((&text, ""));
        // BuildKit's own name for check.
        let name = if name == "lint" { "check" } else { name };
        let known = METHODS.iter().find(|(method, _)| *method == name);
        let Some(&(_, answer)) = known else {
            if name == "build" {
                return Ok(None);
            }
            return Err(unknown(flag, name));
        };
        let mut method = Method {
            answer,
            format: Format::Text,
            ignores_warnings: false,
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            method.set(flag, option)?;
        }
        Ok(Some(method))
    }

    fn set(&mut self, flag: &str, option: &str) -> Result<(), Failure> {
        match option {
            "format=text" => self.format = Format::Text,
            "format=json" => self.format = Format::Json,
            "ignorestatus=true" => self.ignores_warnings = true,
            "ignorestatus=false" => self.ignores_warnings = false,
            other => {
                return Err(Failure::usage(format!("{flag}: unknown option {other:?}"))
                    .hint("use format=text, format=json or ignorestatus=true"));
            }
        }
        Ok(())
    }

    /// Whether the answer is a document.
    pub fn is_for_machines(self) -> bool {
        self.format == Format::Json
    }

    /// Answers.
    ///
    /// # Errors
    /// When the Dockerfile has errors, or the store cannot be read.
    pub fn run(self, build: &Build, globals: &Globals) -> Result<(), Failure> {
        (self.answer)(&Call {
            build,
            store: session::existing_store(globals)?,
            format: self.format,
            ignores_warnings: self.ignores_warnings,
        })
    }
}

fn unknown(flag: &str, method: &str) -> Failure {
    let names = METHODS.map(|(name, _)| name).join(", ");
    Failure::usage(format!("{flag}: there is no method {method:?}"))
        .hint(format!("the methods are build, {names}"))
}

/// The flag that asks, and what.
fn question(
    call: Option<&str>,
    check: Option<&str>,
) -> Result<Option<(&'static str, String)>, Failure> {
    // what there is without a question
    let call = call.filter(|call| *call != "build");
    let text = match check.map(|check| (check, pflag::boolean(check))) {
        None | Some((_, Some(false))) => return Ok(call.map(|call| ("--call", call.to_owned()))),
        Some((_, Some(true))) => "check".to_owned(),
        Some((options, None)) => format!("check,{options}"),
    };
    match call {
        None => Ok(Some(("--check", text))),
        Some(_) => {
            Err(Failure::usage("--call and --check cannot be combined").hint("give one of them"))
        }
    }
}

/// Whether text on standard output has colours.
fn color() -> bool {
    environment::color(stdout::is_terminal())
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

/// An object. Empty fields are left out, as BuildKit does.
fn object<const COUNT: usize>(fields: [(&str, Value); COUNT]) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let fields = fields.into_iter().filter(|(_, value)| !is_empty(value));
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Prints JSON as BuildKit does.
fn say_json(value: &Value) {
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
