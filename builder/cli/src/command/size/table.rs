//! `kiln size` for people: a few lines and tables that fit the terminal. Unaware of where the image comes from.

use super::Report;
use crate::render::clip;
use crate::table::aligned;
use crate::units::{bytes, counted, percent};
use crate::weigh::Weighed;
use kiln_report::classify::{Class, Classes};
use kiln_report::compressed::Size;
use std::fmt::Write;

/// Instructions have at least so many columns.
const NARROWEST: usize = 20;

/// What an image's bytes are.
pub fn table(report: &Report, width: usize) -> String {
    let mut text = summary(report);
    text.push('\n');
    text += &classes(report);
    text.push('\n');
    text += &layers(report, width);
    if !report.waste.is_empty() {
        text.push('\n');
        text += &waste(report);
    }
    text
}

/// Bytes, with a sign where they are estimated.
pub fn size(size: Size) -> String {
    let sign = if size.is_estimate { "~" } else { "" };
    format!("{sign}{}", bytes(size.bytes))
}

/// What a class is, in a few words.
pub const fn meaning(class: Class) -> &'static str {
    match class {
        Class::Live => "shows in the final tree",
        Class::Duplicate => "shows, and another file has the same content",
        Class::Overwritten => "a later layer has other content there",
        Class::Rewritten => "a later layer has the same content there (chmod, chown, touch)",
        Class::Deleted => "a later layer deleted it",
        Class::Headers => "the tars' headers and padding, whiteouts",
    }
}

fn summary(report: &Report) -> String {
    let image = &report.weighed.image;
    let (base, all) = (image.base, image.layers.len());
    let mut rows = format!("{}\tSIZE\tGZIP\tZSTD\tLAYERS\t\n", report.weighed.name);
    let parts = [("total", 0..all), ("base", 0..base), ("own", base..all)];
    for (name, range) in parts {
        if name != "total" && base == 0 {
            continue;
        }
        let count = range.len();
        let (uncompressed, compressed) = report.sum(range);
        let [gzip, zstd] = [compressed.gzip, compressed.zstd].map(size);
        let all = bytes(uncompressed);
        let _ = writeln!(rows, "{name}\t{all}\t{gzip}\t{zstd}\t{count}\t");
    }
    let total = report.weighed.classified.total();
    let efficiency = percent(total.get(Class::Live), total.total());
    let waste = bytes(total.waste());
    let mut text = aligned(&rows);
    let _ = writeln!(
        text,
        "{efficiency} of the bytes are live, {waste} are wasted"
    );
    text
}

fn classes(report: &Report) -> String {
    let Weighed {
        classified, image, ..
    } = &report.weighed;
    let (total, own) = (classified.total(), classified.own(image.base));
    let mut rows = "CLASS\tSIZE\tOWN\tSHARE\tFILES\t\n".to_owned();
    for class in Class::ALL {
        let files = match class {
            Class::Headers => "-".to_owned(),
            class => report.files(class).to_string(),
        };
        let _ = writeln!(
            rows,
            "{}\t{}\t{}\t{}\t{files}\t{}",
            class.name(),
            bytes(total.get(class)),
            bytes(own.get(class)),
            percent(total.get(class), total.total()),
            meaning(class)
        );
    }
    aligned(&rows)
}

fn layers(report: &Report, width: usize) -> String {
    let mut rows = "LAYER\tSIZE\tGZIP\tLIVE\tWASTE\t\n".to_owned();
    let weighed = &report.weighed;
    for (at, layer) in weighed.classified.layers.iter().enumerate() {
        let classes: &Classes = &layer.classes;
        let base = if weighed.image.is_of_base(at) {
            " base"
        } else {
            ""
        };
        let gzip = size(weighed.compressed[at].gzip);
        let [all, live, waste] = [classes.total(), classes.get(Class::Live), classes.waste()];
        let [all, live, waste] = [all, live, waste].map(bytes);
        let _ = writeln!(rows, "{}{base}\t{all}\t{gzip}\t{live}\t{waste}\t", at + 1);
    }
    let mut text = String::new();
    let instructions = (0..weighed.image.layers.len()).map(|at| report.placed(at));
    let titles = std::iter::once("INSTRUCTION".to_owned()).chain(instructions);
    for (row, instruction) in aligned(&rows).lines().zip(titles) {
        let left = width.saturating_sub(row.chars().count()).max(NARROWEST);
        let _ = writeln!(text, "{row}{}", clip(&instruction, left));
    }
    text
}

fn waste(report: &Report) -> String {
    let mut rows = "KNOWN WASTE\tSIZE\tOWN\tLIVE\tFILES\tLAYERS\n".to_owned();
    for waste in &report.waste {
        let [all, own, live] = [waste.bytes, waste.own, waste.live].map(bytes);
        let (name, files, layers) = (waste.name, waste.files, numbers(&waste.layers));
        let _ = writeln!(rows, "{name}\t{all}\t{own}\t{live}\t{files}\t{layers}");
    }
    aligned(&rows)
}

/// Positions as people count, a few of them.
fn numbers(layers: &[usize]) -> String {
    const MOST: usize = 8;
    let shown: Vec<String> = layers
        .iter()
        .take(MOST)
        .map(|at| (at + 1).to_string())
        .collect();
    match layers.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {}", shown.join(", "), counted(more, "more")),
    }
}
