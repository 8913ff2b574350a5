//! A comparison as one HTML page. Unaware of how it is drawn.

use super::metric::{columns, rows};
use super::table::CAUSES;
use super::{Comparison, Variant, cause};
use crate::page::tree::Folder;
use crate::page::{Article, Page, Table, code};

/// What only the page shows of a variant.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Its files, small ones summed up.
    pub tree: Option<Folder>,
    /// The text of its Dockerfile.
    pub dockerfile: Option<String>,
}

/// The page; `pictures` are those of the variants, in their order.
///
/// # Errors
/// The data cannot be written as JSON.
pub fn page(
    comparison: &Comparison,
    pictures: &[Picture],
    beyond: &[String],
) -> Result<String, serde_json::Error> {
    let causes = cause::largest(comparison, CAUSES);
    let variants = comparison.variants.iter().zip(pictures);
    let page = Page {
        title: "kiln compare".to_owned(),
        alerts: beyond.to_vec(),
        tables: vec![table(comparison)],
        causes: causes.iter().map(cause::Cause::text).collect(),
        articles: variants.map(article).collect(),
    };
    page.html()
}

/// The names, then a row for each metric; each begins with its title, and that with blanks where it is a part of another one.
fn table(comparison: &Comparison) -> Table {
    let names = columns(comparison).into_iter();
    let names = names.map(|variant| variant.name.clone());
    let head = std::iter::once(String::new()).chain(names).collect();
    let rows = rows(comparison)
        .into_iter()
        .map(|row| std::iter::once(row.title).chain(row.cells).collect());
    Table {
        title: "Figures",
        rows: std::iter::once(head).chain(rows).collect(),
    }
}

fn article((variant, picture): (&Variant, &Picture)) -> Article {
    let text = picture.dockerfile.as_deref().unwrap_or_default();
    Article {
        name: variant.name.clone(),
        tree: picture.tree.clone(),
        steps: variant.steps.clone(),
        code: code((1..).zip(text.lines()), &variant.steps),
    }
}
