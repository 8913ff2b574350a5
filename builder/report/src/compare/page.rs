//! A comparison as one HTML page that needs nothing else: no network, no other file. Rust fills in data, the page's script draws it. Names
//! from outside are in the data only, as JSON in which no `<` stands, and the script makes text nodes of them.

use super::metric::{columns, rows};
use super::table::CAUSES;
use super::tree::Folder;
use super::{Comparison, StepWeight, Variant, cause};
use serde::Serialize;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What only the page shows of a variant.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Its files, small ones summed up.
    pub tree: Option<Folder>,
    /// The text of its Dockerfile.
    pub dockerfile: Option<String>,
}

#[derive(Serialize)]
struct Data<'a> {
    table: Vec<Vec<String>>,
    causes: Vec<String>,
    beyond: &'a [String],
    variants: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    steps: &'a [StepWeight],
    tree: Option<&'a Folder>,
    dockerfile: Option<&'a str>,
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
    let data = serde_json::to_string(&Data {
        table: table(comparison),
        causes: causes.iter().map(cause::Cause::text).collect(),
        beyond,
        variants: variants.map(shown).collect(),
    })?;
    // nothing in it can end the element that it stands in
    let data = data.replace('<', "\\u003c");
    let page = PAGE.replace("{{style}}", STYLE.trim_end());
    let page = page.replace("{{script}}", SCRIPT.trim_end());
    // last, so that nothing in it is filled in
    Ok(page.replacen("{{data}}", &data, 1))
}

/// The rows of the table, the names first; each begins with its title.
fn table(comparison: &Comparison) -> Vec<Vec<String>> {
    let names = columns(comparison).into_iter();
    let names = names.map(|variant| variant.name.clone());
    let head = std::iter::once(String::new()).chain(names).collect();
    let rows = rows(comparison).into_iter().map(|row| {
        let title = std::iter::once(row.title.trim().to_owned());
        title.chain(row.cells).collect()
    });
    std::iter::once(head).chain(rows).collect()
}

fn shown<'a>((variant, picture): (&'a Variant, &'a Picture)) -> Shown<'a> {
    Shown {
        name: &variant.name,
        steps: &variant.steps,
        tree: picture.tree.as_ref(),
        dockerfile: picture.dockerfile.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_data() {
        let hostile = "</script><script>alert(1)</script>{{data}}{{script}}";
        let variant = Variant {
            name: hostile.to_owned(),
            ..Variant::default()
        };
        let comparison = Comparison {
            variants: vec![variant],
            ..Comparison::default()
        };
        let page = page(&comparison, &[Picture::default()], &[]).unwrap();
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(page.len() < 30_000, "{}", page.len());
    }
}
