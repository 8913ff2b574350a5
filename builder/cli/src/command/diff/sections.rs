//! `kiln diff` for people: a section for each kind of difference, left out where there is none. Unaware of how sections are shown.

use super::{Arguments, Report, Subject};
use crate::sheet::Sheet;
use crate::steps::{instruction, place};
use crate::units::bytes;
use kiln_cache::path::display;
use kiln_report::diff::history::StepChange;
use kiln_report::diff::layers::OwnLayer;
use kiln_report::diff::{Change, ChangeKind, Totals};
use kiln_report::packages::PackageChange;
use std::cmp::Reverse;

/// All sections.
pub(super) fn all(report: &Report, arguments: &Arguments) -> Vec<Sheet> {
    let mut sheets = vec![images(report)];
    let others = [
        kinds(report),
        folders(report, arguments),
        files(report, arguments),
        layers(report, arguments),
        settings(report),
        history(report, arguments),
        packages(report),
    ];
    sheets.extend(others.into_iter().filter(|sheet| !sheet.rows.is_empty()));
    sheets
}

fn images(report: &Report) -> Sheet {
    let mut sheet = Sheet::new("", &["image", "id", "layers", "size"]);
    let subjects = [&report.old, &report.new].into_iter();
    let rows = subjects.map(|Subject { found, .. }| {
        let image = &found.image;
        let layers = image.layers.len().to_string();
        vec![
            found.name.clone(),
            image.id.short(),
            layers,
            bytes(image.size()),
        ]
    });
    sheet.rows = rows.collect();
    if report.old.found.image.id == report.new.found.image.id {
        sheet.note = Some("they are the same image".to_owned());
    }
    sheet
}

/// Bytes with their sign.
fn signed(growth: i64) -> String {
    let sign = match growth {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", bytes(growth.unsigned_abs()))
}

/// Paths and bytes, as four cells.
fn sums(totals: Totals) -> [String; 4] {
    let [old, new] = [totals.old, totals.new].map(bytes);
    [totals.count.to_string(), old, new, signed(totals.growth())]
}

fn kinds(report: &Report) -> Sheet {
    let headers = ["change", "paths", "bytes before", "after", "growth"];
    let mut sheet = Sheet::new("Files", &headers);
    let row = |name: &str, totals| {
        let cells = std::iter::once(name.to_owned()).chain(sums(totals));
        cells.collect::<Vec<_>>()
    };
    let totals = report.files.totals().into_iter();
    let changed = totals.filter(|(_, totals)| totals.count > 0);
    sheet.rows = changed.map(|(name, totals)| row(name, totals)).collect();
    if sheet.rows.is_empty() {
        sheet.rows.push(row("none", Totals::default()));
    }
    let (same, retimed) = (report.files.same, report.files.retimed);
    sheet.note = Some(format!(
        "the same: {same}; only the time differs: {retimed}"
    ));
    sheet
}

/// The first of a list that is sorted, and a word on the others.
fn top<T>(mut rows: Vec<T>, most: usize) -> (Vec<T>, Option<String>) {
    let all = rows.len();
    rows.truncate(if most == 0 { usize::MAX } else { most });
    let left = all - rows.len();
    (
        rows,
        (left > 0).then(|| format!("and {left} more: --top 0 shows all")),
    )
}

fn folders(report: &Report, arguments: &Arguments) -> Sheet {
    let mut sheet = Sheet::new(
        "Folders",
        &["folder", "paths", "bytes before", "after", "growth"],
    );
    let mut folders: Vec<_> = report.files.folders(arguments.depth).into_iter().collect();
    folders.sort_by_key(|(_, totals)| Reverse((totals.growth().unsigned_abs(), totals.count)));
    let (folders, note) = top(folders, arguments.top);
    let rows = folders.into_iter().map(|(path, totals)| {
        let folder = format!("/{}", display(&path));
        std::iter::once(folder).chain(sums(totals)).collect()
    });
    sheet.rows = rows.collect();
    sheet.note = note;
    sheet
}

fn files(report: &Report, arguments: &Arguments) -> Sheet {
    let mut sheet = Sheet::new(
        "Largest changes",
        &["change", "bytes before", "after", "path"],
    );
    let mut changes: Vec<&Change> = report.files.changes.iter().collect();
    changes.sort_by_key(|change| Reverse(change.weight()));
    let (changes, note) = top(changes, arguments.top);
    let rows = changes.into_iter().map(|change| {
        let size = |side: Option<kiln_report::diff::Side>| {
            side.map_or_else(|| "-".to_owned(), |side| bytes(side.bytes))
        };
        let (old, new) = (size(change.old), size(change.new));
        vec![what(&change.kind), old, new, path(change)]
    });
    sheet.rows = rows.collect();
    sheet.note = note;
    sheet
}

fn what(kind: &ChangeKind) -> String {
    match kind {
        ChangeKind::Metadata(fields) => {
            let fields: Vec<&str> = fields.iter().map(|field| field.name()).collect();
            fields.join(", ")
        }
        kind => kind.name().to_owned(),
    }
}

fn path(change: &Change) -> String {
    let path = format!("/{}", display(&change.path));
    match &change.kind {
        ChangeKind::Renamed { from } => format!("/{} -> {path}", display(from)),
        _ => path,
    }
}

/// The columns of layers.
const OF_LAYERS: [&str; 7] = [
    "image",
    "layer",
    "line",
    "size",
    "paths that differ",
    "bytes",
    "instruction",
];

fn layers(report: &Report, arguments: &Arguments) -> Sheet {
    let mut sheet = Sheet::new("Layers that only one has", &OF_LAYERS);
    let row = |which, subject, own| layer(which, subject, own, arguments.no_trunc);
    let old = report
        .layers
        .old
        .iter()
        .map(|own| row("A", &report.old, own));
    let new = report
        .layers
        .new
        .iter()
        .map(|own| row("B", &report.new, own));
    sheet.rows = old.chain(new).collect();
    let (shared, size) = (report.layers.shared, bytes(report.layers.shared_bytes));
    sheet.note = Some(format!("both have {shared} more, {size}"));
    sheet
}

fn layer(which: &str, subject: &Subject, own: &OwnLayer, whole: bool) -> Vec<String> {
    let step = subject.maker(own.layer);
    vec![
        which.to_owned(),
        (own.layer + 1).to_string(),
        step.map_or_else(String::new, place),
        bytes(own.bytes),
        own.paths.to_string(),
        bytes(own.content),
        step.map_or_else(String::new, |step| instruction(step, whole)),
    ]
}

fn settings(report: &Report) -> Sheet {
    let mut sheet = Sheet::new("Settings", &["setting", "before", "after"]);
    let value = |value: &Option<String>| match value.as_deref() {
        None => "-".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(value) => value.to_owned(),
    };
    let rows = report.settings.iter().map(|setting| {
        let (old, new) = (value(&setting.old), value(&setting.new));
        vec![setting.name.clone(), old, new]
    });
    sheet.rows = rows.collect();
    sheet
}

fn history(report: &Report, arguments: &Arguments) -> Sheet {
    let mut sheet = Sheet::new("History", &["image", "line", "size", "instruction"]);
    let rows = report.history.iter().map(|change| {
        let (which, step) = match change {
            StepChange::Removed(at) => ("A", &report.old.steps[*at]),
            StepChange::Added(at) => ("B", &report.new.steps[*at]),
        };
        let (size, text) = (bytes(step.bytes), instruction(step, arguments.no_trunc));
        vec![which.to_owned(), place(step), size, text]
    });
    sheet.rows = rows.collect();
    sheet
}

fn packages(report: &Report) -> Sheet {
    let headers = ["change", "manager", "package", "before", "after", "growth"];
    let mut sheet = Sheet::new("Packages", &headers);
    sheet.rows = report.packages.iter().map(package).collect();
    let unread = report.unread.iter();
    let unread = unread.map(|it| format!("/{}: {}", display(&it.path), it.why));
    let unread: Vec<String> = unread.collect();
    if !unread.is_empty() {
        sheet.note = Some(format!("not compared: {}", unread.join("; ")));
        if sheet.rows.is_empty() {
            sheet.rows.push(vec!["unknown".to_owned()]);
        }
    }
    sheet
}

fn package(change: &PackageChange) -> Vec<String> {
    let versions = |versions: &[String]| match versions {
        [] => "-".to_owned(),
        versions => versions.join(", "),
    };
    vec![
        change.kind().to_owned(),
        change.manager.name().to_owned(),
        change.name.clone(),
        versions(&change.old),
        versions(&change.new),
        change.growth.map_or_else(|| "-".to_owned(), signed),
    ]
}
