//! `kiln size` as data, for templates and as JSON. All sizes are bytes. Unaware of how it is shown.

use super::Report;
use kiln_report::classify::{Class, Classes};
use kiln_report::compressed::{Compressed, Size};
use kiln_report::waste::Waste;
use kiln_template::{Value, field, optional};

/// The whole report.
pub fn document(report: &Report) -> Value {
    let image = &report.weighed.image;
    let (base, all) = (image.base, image.layers.len());
    let total = report.weighed.classified.total();
    let waste: Vec<Value> = report.waste.iter().map(kind).collect();
    Value::record([
        field("Name", report.weighed.name.clone()),
        field("ID", image.id.to_string()),
        field("Platform", image.config.platform().to_string()),
        field("Total", part(report, 0..all)),
        field("Base", part(report, 0..base)),
        field("Own", part(report, base..all)),
        field("Efficiency", Value::Float(total.efficiency())),
        field("Waste", total.waste()),
        field(
            "Layers",
            (0..all).map(|at| layer(report, at)).collect::<Vec<_>>(),
        ),
        field("KnownWaste", waste),
    ])
}

fn part(report: &Report, layers: std::ops::Range<usize>) -> Value {
    let (uncompressed, compressed) = report.sum(layers.clone());
    let classified = report.weighed.classified.layers[layers.clone()].iter();
    let sum: Classes = classified.map(|layer| layer.classes).sum();
    Value::record([
        field("Size", uncompressed),
        field("Gzip", size(compressed.gzip)),
        field("Zstd", size(compressed.zstd)),
        field("Layers", layers.len() as u64),
        field("Classes", classes(&sum)),
    ])
}

fn size(size: Size) -> Value {
    Value::record([
        field("Size", size.bytes),
        field("IsEstimate", size.is_estimate),
    ])
}

fn classes(classes: &Classes) -> Value {
    let bytes = |class| field(label(class), classes.get(class));
    Value::record(Class::ALL.map(bytes))
}

const fn label(class: Class) -> &'static str {
    match class {
        Class::Live => "Live",
        Class::Duplicate => "Duplicate",
        Class::Overwritten => "Overwritten",
        Class::Rewritten => "Rewritten",
        Class::Deleted => "Deleted",
        Class::Headers => "Headers",
    }
}

fn layer(report: &Report, at: usize) -> Value {
    let layer = &report.weighed.image.layers[at];
    let Compressed { gzip, zstd } = report.weighed.compressed[at];
    let origin = report.maker(at).and_then(|step| step.origin.as_ref());
    Value::record([
        field("DiffID", layer.index.diff_id.to_string()),
        field("Size", layer.index.tar_size),
        field("Gzip", size(gzip)),
        field("Zstd", size(zstd)),
        field("IsBase", report.weighed.image.is_of_base(at)),
        field("Instruction", report.instruction(at)),
        optional("File", origin.map_or("", |origin| &origin.file)),
        optional("Line", origin.map_or(0, |origin| u64::from(origin.line))),
        field(
            "Classes",
            classes(&report.weighed.classified.layers[at].classes),
        ),
    ])
}

fn kind(waste: &Waste) -> Value {
    let layers: Vec<Value> = waste.layers.iter().map(|at| (*at as u64).into()).collect();
    Value::record([
        field("Name", waste.name),
        field("Size", waste.bytes),
        field("Own", waste.own),
        field("Live", waste.live),
        field("Files", waste.files),
        field("Layers", layers),
    ])
}
