//! `kiln diff` as data: all of it. Sizes are bytes, layers count from 1. Unaware of how it is shown.

use super::{Report, Subject};
use crate::command::blame::document::origin;
use kiln_cache::path::lossy;
use kiln_report::diff::config::Setting;
use kiln_report::diff::history::StepChange;
use kiln_report::diff::layers::OwnLayer;
use kiln_report::diff::{Change, ChangeKind, FileChanges, Side, Totals};
use kiln_report::packages::{PackageChange, Unread};
use kiln_template::{Field, Value, field};

/// The whole report.
pub(super) fn document(report: &Report) -> Value {
    let (old, new) = (&report.old, &report.new);
    let images = [field("A", image(old)), field("B", image(new))];
    let layers = [
        field("SharedLayers", number(report.layers.shared)),
        field("LayersOfA", list(&report.layers.old, |own| layer(old, own))),
        field("LayersOfB", list(&report.layers.new, |own| layer(new, own))),
    ];
    let step = |change: &StepChange| step(report, *change);
    let others = [
        field("Settings", list(&report.settings, setting)),
        field("History", list(&report.history, step)),
        field("Packages", list(&report.packages, package)),
        field("Unread", list(&report.unread, unread)),
    ];
    let files = files(&report.files);
    Value::record(images.into_iter().chain(files).chain(layers).chain(others))
}

fn files(files: &FileChanges) -> [Field; 4] {
    let totals = files.totals();
    let totals = totals.map(|(name, totals)| (name.to_owned(), sums(totals)));
    [
        field("Totals", Value::map(totals)),
        field("Same", number(files.same)),
        field("Retimed", number(files.retimed)),
        field("Files", list(&files.changes, change)),
    ]
}

fn unread(unread: &Unread) -> Value {
    format!("/{}: {}", lossy(&unread.path), unread.why).into()
}

fn list<T>(items: &[T], value: impl Fn(&T) -> Value) -> Value {
    items.iter().map(value).collect::<Vec<_>>().into()
}

const fn number(count: usize) -> u64 {
    count as u64
}

fn image(subject: &Subject) -> Value {
    let image = &subject.found.image;
    Value::record([
        field("Name", subject.found.name.clone()),
        field("ID", image.id.to_string()),
        field("Size", image.size()),
        field("Layers", number(image.layers.len())),
    ])
}

fn sums(totals: Totals) -> Value {
    Value::record([
        field("Paths", number(totals.count)),
        field("Before", totals.old),
        field("After", totals.new),
        field("Growth", Value::Int(totals.growth())),
    ])
}

fn change(change: &Change) -> Value {
    let (from, fields) = match &change.kind {
        ChangeKind::Renamed { from } => (format!("/{}", lossy(from)), Vec::new()),
        ChangeKind::Metadata(fields) => {
            (String::new(), fields.iter().map(|it| it.name()).collect())
        }
        _ => (String::new(), Vec::new()),
    };
    Value::record([
        field("Change", change.kind.name()),
        field("Path", format!("/{}", lossy(&change.path))),
        field("From", from),
        field("Changed", Value::texts(&fields)),
        field("Before", side(change.old)),
        field("After", side(change.new)),
    ])
}

fn side(side: Option<Side>) -> Value {
    side.map_or(Value::Null, |side| {
        let layer = side.layer.map_or(0, |layer| number(layer + 1));
        Value::record([field("Size", side.bytes), field("Layer", layer)])
    })
}

fn layer(subject: &Subject, own: &OwnLayer) -> Value {
    let layer = &subject.found.image.layers[own.layer];
    let fields = [
        field("Layer", number(own.layer + 1)),
        field("DiffID", layer.index.diff_id.to_string()),
        field("Size", own.bytes),
        field("Paths", number(own.paths)),
        field("Bytes", own.content),
    ];
    let step = subject.maker(own.layer).map(origin);
    Value::record(fields.into_iter().chain(step.into_iter().flatten()))
}

fn setting(setting: &Setting) -> Value {
    let value = |value: &Option<String>| value.clone().map_or(Value::Null, Value::from);
    Value::record([
        field("Name", setting.name.clone()),
        field("Before", value(&setting.old)),
        field("After", value(&setting.new)),
    ])
}

fn step(report: &Report, change: StepChange) -> Value {
    let (which, step) = match change {
        StepChange::Removed(at) => ("A", &report.old.steps[at]),
        StepChange::Added(at) => ("B", &report.new.steps[at]),
    };
    let fields = [field("Image", which), field("Size", step.bytes)];
    Value::record(fields.into_iter().chain(origin(step)))
}

fn package(change: &PackageChange) -> Value {
    Value::record([
        field("Change", change.kind()),
        field("Manager", change.manager.name()),
        field("Name", change.name.clone()),
        field("Before", Value::texts(&change.old)),
        field("After", Value::texts(&change.new)),
        field("Growth", change.growth.map_or(Value::Null, Value::Int)),
    ])
}
