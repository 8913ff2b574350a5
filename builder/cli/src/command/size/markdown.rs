//! `kiln size` as a comment for a pull request. Unaware of where it is posted.

use super::Report;
use super::table::size;
use crate::render::clip;
use crate::sheet::escaped;
use crate::units::{bytes, percent};
use kiln_report::classify::{Class, Classes};
use std::fmt::Write;

/// Columns of an instruction.
const WIDTH: usize = 90;
/// Kinds of waste that are shown.
const KINDS: usize = 5;

/// The report; whatever comes from the image is text there, never markup.
pub fn markdown(report: &Report) -> String {
    let (uncompressed, compressed) = report.sum(0..report.weighed.image.layers.len());
    let total = report.weighed.classified.total();
    let mut text = format!("### Size of {}\n\n", escaped(&report.weighed.name));
    let _ = writeln!(
        text,
        "**{}** ({} with gzip, {} with zstd); {} is live, {} is wasted.\n",
        bytes(uncompressed),
        size(compressed.gzip),
        size(compressed.zstd),
        percent(total.get(Class::Live), total.total()),
        bytes(total.waste()),
    );
    classes(&mut text, &total);
    layers(&mut text, report);
    waste(&mut text, report);
    text
}

fn classes(text: &mut String, total: &Classes) {
    *text += "| class | size | share |\n| --- | ---: | ---: |\n";
    for class in Class::ALL {
        let part = total.get(class);
        let (share, part) = (percent(part, total.total()), bytes(part));
        let _ = writeln!(text, "| {} | {part} | {share} |", class.name());
    }
}

fn layers(text: &mut String, report: &Report) {
    *text +=
        "\n| layer | size | gzip | waste | instruction |\n| ---: | ---: | ---: | ---: | --- |\n";
    for (at, layer) in report.weighed.classified.layers.iter().enumerate() {
        let [all, waste] = [layer.classes.total(), layer.classes.waste()].map(bytes);
        let gzip = size(report.weighed.compressed[at].gzip);
        let instruction = escaped(&clip(&report.placed(at), WIDTH));
        let number = at + 1;
        let _ = writeln!(
            text,
            "| {number} | {all} | {gzip} | {waste} | {instruction} |"
        );
    }
}

fn waste(text: &mut String, report: &Report) {
    if report.waste.is_empty() {
        return;
    }
    *text += "\n| known waste | size | files |\n| --- | ---: | ---: |\n";
    for waste in report.waste.iter().take(KINDS) {
        let (name, size) = (escaped(waste.name), bytes(waste.bytes));
        let _ = writeln!(text, "| {name} | {size} | {} |", waste.files);
    }
}
