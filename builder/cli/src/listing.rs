//! `--format` of every command that lists: a table, docker's JSON lines, or a template for each row. Unaware of what is listed.
//!
//! As docker's formatter: `table TEMPLATE` gets headers and columns at its tabs, `\t` and `\n` are read in all of them.

use crate::failure::{Failure, Kind};
use crate::{diagnostics, environment, table};
use kiln_template::{Template, TemplateError, Value, field};
use std::io::IsTerminal;

/// A field of the rows and the header of its column.
pub type Header = (&'static str, &'static str);

/// How rows are shown.
#[derive(Debug)]
pub struct Listing {
    style: Style,
    /// Where the template stands, for its errors.
    text: String,
}

#[derive(Debug)]
enum Style {
    /// With the values of the headers.
    Table(Template, Value),
    Lines(Template),
    Json,
}

impl Listing {
    /// What `--format` says, or the table `default` (without the word `table`).
    ///
    /// # Errors
    /// The template cannot be understood.
    pub fn new(format: Option<&str>, default: &str, headers: &[Header]) -> Result<Self, Failure> {
        let format = format.map(str::trim).unwrap_or("table");
        let table = format.strip_prefix("table");
        let text = match table.map(|rest| rest.trim_matches(' ')) {
            Some("") => default,
            Some(template) => template,
            None => format,
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let parsed = || Template::parse(&text).map_err(|error| wrong(&text, &error, Kind::Usage));
        let style = match table {
            None if format == "json" => Style::Json,
            None => Style::Lines(parsed()?),
            Some(_) => Style::Table(
                parsed()?,
                Value::record(headers.iter().map(|(name, header)| field(name, *header))),
            ),
        };
        Ok(Listing { style, text })
    }

    /// The same for a command with `--quiet`: then `default` alone is a line for each row.
    ///
    /// # Errors
    /// As [`Listing::new`].
    pub fn quiet(
        format: Option<&str>,
        quiet: bool,
        default: &str,
        headers: &[Header],
    ) -> Result<Self, Failure> {
        Listing::new(format.or(quiet.then_some(default)), default, headers)
    }

    /// Shows rows.
    ///
    /// # Errors
    /// The template asks for what rows do not have.
    pub fn print(&self, rows: &[Value]) -> Result<(), Failure> {
        let text = self
            .rendered(rows)
            .map_err(|error| wrong(&self.text, &error, Kind::Build))?;
        table::print_text(&text);
        Ok(())
    }

    fn rendered(&self, rows: &[Value]) -> Result<String, TemplateError> {
        let mut text = String::new();
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        match &self.style {
            Style::Json => rows.iter().for_each(|row| add(&row.to_json().to_string())),
            Style::Lines(template) => {
                for row in rows {
                    add(&template.render(row)?);
                }
            }
            Style::Table(template, headers) => {
                for row in std::iter::once(headers).chain(rows) {
                    add(&template.render(row)?);
                }
                text = table::aligned(&text);
            }
        }
        Ok(text)
    }
}

/// Whether a field of the table is shown at all: one that takes time is then worth it.
pub fn shows(format: Option<&str>, quiet: bool, name: &str) -> bool {
    match format.map(str::trim) {
        None => !quiet,
        Some("table" | "json") => true,
        Some(template) => template.contains(name),
    }
}

/// A row with a text for each header.
pub fn row<const COUNT: usize>(headers: &[Header; COUNT], values: [String; COUNT]) -> Value {
    let fields = headers.iter().zip(values);
    Value::record(fields.map(|((name, _), value)| field(name, value)))
}

/// An error of a template, with a caret under its place.
pub fn wrong(text: &str, error: &TemplateError, kind: Kind) -> Failure {
    let place = diagnostics::Place {
        source: diagnostics::Source {
            name: "--format",
            text,
        },
        span: kiln_parser::source::Span::new(error.span.start, error.span.end),
        label: "",
        help: error.help.as_slice(),
    };
    let color = environment::color(std::io::stderr().is_terminal());
    Failure::new(kind, "").details(place.point(&error.message, color))
}
