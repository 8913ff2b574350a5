//! `--check`: errors and what the rules find, with carets or as `{"warnings", "sources", "buildError"}`. The exit code is 1 when
//! there is an error or a warning, as it is with docker, unless warnings are not to count (`ignorestatus=true`).

use super::location::Places;
use super::{Call, Format, color, say, say_json};
use crate::diagnostics;
use crate::failure::{Failure, Kind, build as failures};
use kiln_engine::check;
use kiln_parser::check::Report;
use kiln_parser::code;
use kiln_parser::diagnostic::{Diagnostic, Phase};
use kiln_parser::lint::Rule;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn answer(call: &Call<'_>) -> Result<(), Failure> {
    let report = check::check(call.store.as_ref(), call.build)
        .map_err(|error| failures::dockerfile(&call.build.dockerfile, error))?;
    match call.format {
        Format::Text => say(&text(call, &report)),
        Format::Json => say_json(&as_json(call, &report)),
    }
    match (&report.violation, call.format) {
        (None, _)
            if report.errors.is_empty()
                && (report.warnings.is_empty() || call.ignores_warnings) =>
        {
            Ok(())
        }
        (Some(violation), Format::Text) => {
            let failure = Failure::new(Kind::Build, violation.message.as_str());
            Err(violation.help.iter().fold(failure, Failure::hint))
        }
        _ => Err(Failure::new(Kind::Build, "")),
    }
}

fn text(call: &Call<'_>, report: &Report) -> String {
    let source = failures::source(&call.build.dockerfile);
    let found = [&report.errors[..], &report.warnings].concat();
    let mut text = match found.is_empty() {
        true => String::new(),
        false => diagnostics::render(source, &found, color()) + "\n\n",
    };
    let unknown: BTreeSet<&str> = report
        .unknown_images
        .iter()
        .map(|image| image.reference.as_str())
        .collect();
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().collect();
        text += "not in the store, so their variables and triggers were not checked: ";
        text += &(unknown.join(", ") + "\n");
    }
    text + &count(report) + "\n"
}

fn count(report: &Report) -> String {
    let counted = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    match (report.errors.len(), report.warnings.len()) {
        (0, 0) => "Check complete, no warnings found.".to_owned(),
        (0, 1) => "Check complete, 1 warning has been found!".to_owned(),
        (0, warnings) => format!("Check complete, {warnings} warnings have been found!"),
        (errors, warnings) => format!(
            "Check complete, {} and {} found.",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    }
}

fn as_json(call: &Call<'_>, report: &Report) -> Value {
    let places = Places::of(&call.build.dockerfile.text);
    let warnings: Vec<Value> = report
        .warnings
        .iter()
        .map(|found| warning(&places, found))
        .collect();
    let mut answer = json!({
        "warnings": warnings,
        "sources": [{
            "filename": call.build.dockerfile.name,
            "data": places.source(),
            "language": "Dockerfile",
        }],
    });
    let error = report.errors.first().or(report.violation.as_ref());
    if let Some(error) = error {
        answer["buildError"] = json!({
            "message": message(error),
            "location": places.of_line(line(error)),
        });
    }
    answer
}

fn warning(places: &Places<'_>, found: &Diagnostic) -> Value {
    let rule = Rule::find(found.code);
    json!({
        "ruleName": found.code,
        "description": rule.map_or("", |rule| rule.description),
        "url": rule.map_or(String::new(), Rule::url),
        "detail": found.message,
        "location": places.of_line(found.line),
    })
}

/// The line of an error as BuildKit counts: those before it, where a directive is wrong.
fn line(error: &Diagnostic) -> u32 {
    let before = u32::from(error.code == code::DIRECTIVE);
    error.line.saturating_sub(before)
}

/// An error in BuildKit's words.
fn message(error: &Diagnostic) -> String {
    let near = error.help.as_deref();
    let near = near.filter(|help| help.starts_with("did you mean"));
    let near = near.map_or(String::new(), |near| format!(" ({near})"));
    let place = match error.phase {
        Phase::Semantic => format!("dockerfile parse error on line {}: ", error.line),
        _ => String::new(),
    };
    format!("{place}{}{near}", error.message)
}
