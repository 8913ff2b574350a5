//! What is known of images as one HTML page that needs nothing else: no network, no other file. Rust fills in data, the page's script
//! draws it. Names from outside are in the data only, as JSON in which no `<` stands, and the script makes text nodes of them. Unaware of
//! which report it is.

pub mod tree;

use crate::compare::StepWeight;
use serde::Serialize;
use std::collections::BTreeMap;
use tree::Folder;

const PAGE: &str = include_str!("page/page.html");
pub(crate) const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Page {
    /// What it is about.
    pub title: String,
    /// What is not as it should be.
    pub alerts: Vec<String>,
    /// Tables, the most important one first.
    pub tables: Vec<Table>,
    /// What weighs most, a sentence each.
    pub causes: Vec<String>,
    /// The images.
    pub articles: Vec<Article>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// Cells, the heads of the columns first; a row that begins with a blank is a part of the one above.
    pub rows: Vec<Vec<String>>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Article {
    /// What it is called.
    pub name: String,
    /// Its files, small ones summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Folder>,
    /// The steps that made its layers.
    pub steps: Vec<StepWeight>,
    /// Its Dockerfile, as far as it is known.
    pub code: Vec<CodeLine>,
}

/// A line of a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CodeLine {
    /// Its number, from 1.
    pub line: u32,
    /// The line.
    pub text: String,
    /// Bytes of the layers that it made.
    pub bytes: u64,
}

impl Page {
    /// The page as HTML.
    ///
    /// # Errors
    /// The data cannot be written as JSON.
    pub fn html(&self) -> Result<String, serde_json::Error> {
        // nothing in it can end the element that it stands in
        let data = serde_json::to_string(self)?.replace('<', "\\u003c");
        let page = PAGE.replace("{{style}}", STYLE.trim_end());
        let page = page.replace("{{script}}", SCRIPT.trim_end());
        // last, so that nothing in it is filled in
        Ok(page.replacen("{{data}}", &data, 1))
    }
}

/// The lines of a Dockerfile, or the instructions that are known of it, with the bytes of the steps that they made.
#[must_use]
pub fn code<'a>(
    lines: impl IntoIterator<Item = (u32, &'a str)>,
    steps: &[StepWeight],
) -> Vec<CodeLine> {
    let mut bytes: BTreeMap<u32, u64> = BTreeMap::new();
    for step in steps.iter().filter(|step| !step.of_base) {
        if let Some(line) = step.line {
            *bytes.entry(line).or_default() += step.classes.values().sum::<u64>();
        }
    }
    let line = |(line, text): (u32, &str)| CodeLine {
        line,
        text: text.to_owned(),
        bytes: bytes.get(&line).copied().unwrap_or_default(),
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_data() {
        let hostile = "</script><script>alert(1)</script>{{data}}{{script}}";
        let page = Page {
            title: hostile.to_owned(),
            articles: vec![Article {
                name: hostile.to_owned(),
                ..Article::default()
            }],
            ..Page::default()
        };
        let page = page.html().unwrap();
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(page.len() < 30_000, "{}", page.len());
    }

    #[test]
    fn the_lines_of_a_base_weigh_nothing() {
        let step = |line, of_base, bytes| StepWeight {
            line: Some(line),
            of_base,
            classes: BTreeMap::from([("live".to_owned(), bytes)]),
            ..StepWeight::default()
        };
        let steps = [step(2, true, 5), step(2, false, 7), step(2, false, 1)];
        let lines = code([(1, "FROM x"), (2, "RUN y")], &steps);
        let bytes: Vec<u64> = lines.iter().map(|line| line.bytes).collect();
        assert_eq!(bytes, [0, 8]);
    }
}
