//! A report as sections, each a title and a table: columns for people, or Markdown for a comment. Whatever stands in a cell is text
//! there: no control byte reaches a terminal, nothing is markup. Unaware of what is reported.

use crate::table::aligned;
use kiln_cache::path::display;

/// A section.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// What it is about; may be empty.
    pub title: String,
    /// What the columns are, in small letters.
    pub headers: Vec<&'static str>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
    /// What is said below it.
    pub note: Option<String>,
}

impl Sheet {
    /// A section without rows.
    pub fn new(title: impl Into<String>, headers: &[&'static str]) -> Self {
        Sheet {
            title: title.into(),
            headers: headers.to_vec(),
            ..Sheet::default()
        }
    }

    fn columns(&self) -> String {
        let headers = self.headers.iter().map(|header| header.to_uppercase());
        let headers = std::iter::once(headers.collect());
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| plain(cell)).collect());
        let lines = headers
            .chain(rows)
            .map(|cells: Vec<String>| cells.join("\t") + "\n");
        let title = match self.title.as_str() {
            "" => String::new(),
            title => plain(title) + "\n",
        };
        let note = self.note.iter().map(|note| plain(note) + "\n");
        title + &aligned(&lines.collect::<String>()) + &note.collect::<String>()
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let title = match self.title.as_str() {
            "" => String::new(),
            title => format!("### {}\n\n", escaped(title)),
        };
        let headers = self.headers.iter().map(|header| (*header).to_owned());
        let rule = self.headers.iter().map(|_| "---".to_owned());
        let rows = self
            .rows
            .iter()
            .map(|row| line(row.iter().map(|cell| escaped(cell)).collect()));
        let rows: String = rows.collect();
        let note = self
            .note
            .iter()
            .map(|note| format!("\n{}\n", escaped(note)));
        title + &line(headers.collect()) + &line(rule.collect()) + &rows + &note.collect::<String>()
    }
}

/// All sections with columns.
pub fn columns(sheets: &[Sheet]) -> String {
    let sheets: Vec<String> = sheets.iter().map(Sheet::columns).collect();
    sheets.join("\n")
}

/// All sections as Markdown.
pub fn markdown(sheets: &[Sheet]) -> String {
    let sheets: Vec<String> = sheets.iter().map(Sheet::markdown).collect();
    sheets.join("\n")
}

/// On one line, without control bytes.
pub fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split(['\n', '\r', '\t']).collect();
    display(words.join(" ").as_bytes())
}

/// Text that Markdown shows as it is.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        match letter {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '@' | '!' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text() {
        let mut sheet = Sheet::new("a|b", &["path", "bytes"]);
        sheet
            .rows
            .push(vec!["<b>\x1b[2J|".to_owned(), "1\n2".to_owned()]);
        sheet.note = Some("*".to_owned());
        let both = [sheet.clone(), sheet];
        assert_eq!(
            markdown(&both[..1]),
            "### a\\|b\n\n| path | bytes |\n| --- | --- |\n| &lt;b&gt;\\\\u{1b}\\[2J\\| | 1 2 |\n\n\\*\n"
        );
        let shown = columns(&both);
        assert!(shown.starts_with("a|b\nPATH"), "{shown}");
        assert!(
            shown.contains("<b>\\u{1b}[2J|") && shown.contains("\n\na|b"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_of_an_image_is_markup() {
        assert_eq!(
            escaped("a|b <img src=x> [x](y) `c`\n@me"),
            "a\\|b &lt;img src=x&gt; \\[x\\](y) \\`c\\` \\@me"
        );
    }
}
