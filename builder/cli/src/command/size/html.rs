//! `kiln size` as one HTML page. Unaware of how it is drawn.

use super::Report;
use super::table::{meaning, size};
use crate::units::{bytes, percent};
use crate::weigh::Weighed;
use kiln_report::classify::Class;
use kiln_report::compare::StepWeight;
use kiln_report::page::tree::tree;
use kiln_report::page::{Article, CodeLine, Page, Table, code};
use std::collections::BTreeMap;

/// The report as a page.
pub fn page(report: &Report) -> Page {
    let tables = [summary(report), classes(report), waste(report)];
    Page {
        title: format!("Size of {}", report.weighed.name),
        tables: tables
            .into_iter()
            .filter(|table| table.rows.len() > 1)
            .collect(),
        articles: vec![article(report)],
        ..Page::default()
    }
}

fn summary(report: &Report) -> Table {
    let (base, all) = (report.weighed.image.base, report.weighed.image.layers.len());
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
    let Weighed {
        classified, image, ..
    } = &report.weighed;
    let (total, own) = (classified.total(), classified.own(image.base));
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
    let weighed = &report.weighed;
    let steps = (0..weighed.image.layers.len()).map(|at| step(report, at));
    let steps: Vec<StepWeight> = steps.collect();
    Article {
        name: weighed.name.clone(),
        tree: Some(tree(&weighed.image, &weighed.classified)),
        code: dockerfile(weighed, &steps),
        steps,
    }
}

fn step(report: &Report, at: usize) -> StepWeight {
    let Weighed {
        classified, image, ..
    } = &report.weighed;
    let step = report.maker(at).cloned().unwrap_or_default();
    let classes = &classified.layers[at].classes;
    StepWeight {
        text: report.instruction(at),
        ..StepWeight::of(&step, image.is_of_base(at), classes)
    }
}

/// What the image's build record knows of the Dockerfile: the instructions that are not the base's.
fn dockerfile(weighed: &Weighed, steps: &[StepWeight]) -> Vec<CodeLine> {
    let own = weighed.own_steps().iter();
    let own = own.filter_map(|step| step.origin.as_ref());
    let lines: BTreeMap<u32, &str> = own.map(|origin| (origin.line, &*origin.text)).collect();
    code(lines, steps)
}
