//! `kiln size` as one HTML page. Unaware of how it is drawn.

use super::Report;
use super::table::{meaning, size};
use crate::units::{bytes, percent};
use kiln_report::classify::Class;
use kiln_report::compare::StepWeight;
use kiln_report::page::tree::tree;
use kiln_report::page::{Article, CodeLine, Page, Table, code};
use std::collections::BTreeMap;

/// The report as a page.
pub fn page(report: &Report) -> Page {
    let tables = [summary(report), classes(report), waste(report)];
    Page {
        title: format!("Size of {}", report.name),
        tables: tables
            .into_iter()
            .filter(|table| table.rows.len() > 1)
            .collect(),
        articles: vec![article(report)],
        ..Page::default()
    }
}

fn summary(report: &Report) -> Table {
    let (base, all) = (report.image.base, report.image.layers.len());
    let head = ["", "size", "gzip", "zstd", "layers"];
    let parts = [("total", 0..all), ("base", 0..base), ("own", base..all)];
    let parts = parts
        .into_iter()
        .filter(|(name, _)| base > 0 || *name == "total");
    let rows = parts.map(|(name, layers)| {
        let count = layers.len().to_string();
        let (uncompressed, compressed) = report.sum(layers);
        let [gzip, zstd] = [compressed.gzip, compressed.zstd].map(size);
        vec![name.to_owned(), bytes(uncompressed), gzip, zstd, count]
    });
    table("Figures", head, rows)
}

fn classes(report: &Report) -> Table {
    let (total, own) = (
        report.classified.total(),
        report.classified.own(report.image.base),
    );
    let head = ["class", "size", "own", "share", "what it is"];
    let rows = Class::ALL.into_iter().map(|class| {
        let [all, own] = [total.get(class), own.get(class)];
        let share = percent(all, total.total());
        vec![
            class.name().to_owned(),
            bytes(all),
            bytes(own),
            share,
            meaning(class).to_owned(),
        ]
    });
    table("Classes", head, rows)
}

fn waste(report: &Report) -> Table {
    let head = ["known waste", "size", "own", "live", "files"];
    let rows = report.waste.iter().map(|waste| {
        let [all, own, live] = [waste.bytes, waste.own, waste.live].map(bytes);
        vec![
            waste.name.to_owned(),
            all,
            own,
            live,
            waste.files.to_string(),
        ]
    });
    table("Known waste", head, rows)
}

fn table<const N: usize>(
    title: &'static str,
    head: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
) -> Table {
    let head = head.map(str::to_owned).to_vec();
    Table {
        title,
        rows: std::iter::once(head).chain(rows).collect(),
    }
}

fn article(report: &Report) -> Article {
    let steps: Vec<StepWeight> = (0..report.image.layers.len())
        .map(|at| step(report, at))
        .collect();
    Article {
        name: report.name.clone(),
        tree: Some(tree(&report.image, &report.classified)),
        code: dockerfile(report, &steps),
        steps,
    }
}

fn step(report: &Report, at: usize) -> StepWeight {
    let instruction = &report.instructions[at];
    let classes = &report.classified.layers[at].classes;
    let present = Class::ALL
        .into_iter()
        .filter(|class| classes.get(*class) > 0);
    StepWeight {
        text: instruction.text.clone(),
        line: instruction.place.as_ref().map(|(_, line)| *line),
        of_base: report.image.is_of_base(at),
        classes: present
            .map(|class| (class.name().to_owned(), classes.get(class)))
            .collect(),
    }
}

/// What the image's build record knows of the Dockerfile: the instructions that are not the base's.
fn dockerfile(report: &Report, steps: &[StepWeight]) -> Vec<CodeLine> {
    let own = &report.record.steps[report.own_steps()..];
    let lines: BTreeMap<u32, &str> = own.iter().map(|step| (step.line, &*step.text)).collect();
    code(lines, steps)
}
