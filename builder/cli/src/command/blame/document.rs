//! `kiln blame` as data. Sizes are bytes, layers count from 1. Unaware of how it is shown.

use crate::source::Found;
use kiln_cache::Entry;
use kiln_cache::path::lossy;
use kiln_report::blame::{Action, Below, Touch};
use kiln_report::difference::kind;
use kiln_report::history::Step;
use kiln_template::{Field, Value, field};

/// The whole report.
pub fn document(found: &Found, path: &[u8], touches: &[Touch<'_>], made: &[&Step]) -> Value {
    let touches = touches.iter().map(|touch| {
        let layer = &found.image.layers[touch.layer];
        let digest = field("DiffID", layer.index.diff_id.to_string());
        let step = made.get(touch.layer).map(|step| origin(step));
        let fields = own(touch).into_iter().chain([digest]);
        Value::record(fields.chain(step.into_iter().flatten()))
    });
    Value::record([
        field("Name", found.name.clone()),
        field("ID", found.image.id.to_string()),
        field("Path", format!("/{}", lossy(path))),
        field("Layers", touches.collect::<Vec<_>>()),
    ])
}

/// Instruction, file and line of a step; the latter where they are known.
pub fn origin(step: &Step) -> Vec<Field> {
    let origin = step.origin.as_ref();
    vec![
        field("Instruction", step.text()),
        field("File", origin.map_or("", |origin| origin.file.as_str())),
        field("Line", origin.map_or(0, |origin| u64::from(origin.line))),
    ]
}

fn own(touch: &Touch<'_>) -> Vec<Field> {
    let (action, fields) = match &touch.action {
        Action::Kept => ("kept", Vec::new()),
        Action::Written => ("written", Vec::new()),
        Action::Deleted => ("deleted", Vec::new()),
        Action::Changed(fields) => ("changed", fields.iter().map(|it| it.name()).collect()),
    };
    let by = touch.by.map(|by| format!("/{}", lossy(by)));
    let mut own = vec![
        field("Layer", (touch.layer + 1) as u64),
        field("Action", action),
        field("Changed", Value::texts(&fields)),
        field("DeletedWith", by.unwrap_or_default()),
        field("Written", touch.written),
        field("Hidden", touch.hidden),
        field("Below", below(touch.below)),
    ];
    own.extend(touch.entry.into_iter().flat_map(entry));
    own
}

/// What is there afterwards.
fn entry(entry: &Entry) -> [Field; 3] {
    [
        field("Type", kind(&entry.kind)),
        field("Mode", format!("{:04o}", entry.mode)),
        field("Owner", format!("{}:{}", entry.uid, entry.gid)),
    ]
}

fn below(below: Below) -> Value {
    let number = |count: usize| count as u64;
    Value::record([
        field("Written", number(below.written)),
        field("Changed", number(below.changed)),
        field("Touched", number(below.touched)),
        field("Deleted", number(below.deleted)),
    ])
}
