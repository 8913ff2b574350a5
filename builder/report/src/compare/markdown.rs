//! A comparison as Markdown that can be posted as a comment: a table, the largest causes, what is beyond a limit. Names from outside are
//! escaped: they make no links, no HTML and mention nobody.

use super::metric::{columns, rows};
use super::table::{CAUSES, one_line};
use super::{Comparison, cause};

/// The comment; `beyond` says what is beyond a limit.
#[must_use]
pub fn markdown(comparison: &Comparison, beyond: &[String]) -> String {
    let columns = columns(comparison);
    let names = columns.iter().map(|variant| escaped(&variant.name));
    let mut text = row("", names);
    text += &row(":--", columns.iter().map(|_| "--:".to_owned()));
    for each in rows(comparison) {
        let title = each.title.trim_start();
        let mark = match title.len() < each.title.len() {
            true => "… ",
            false => "",
        };
        text += &row(&format!("{mark}{title}"), each.cells);
    }
    text += &section("Largest causes", causes(comparison));
    text += &section("Beyond the limit", beyond.iter().map(|text| escaped(text)));
    text
}

fn causes(comparison: &Comparison) -> impl Iterator<Item = String> {
    let causes = cause::largest(comparison, CAUSES).into_iter();
    causes.map(|cause| escaped(&cause.text()))
}

fn row(title: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {title} | {} |\n", cells.join(" | "))
}

fn section(title: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("- {item}\n")).collect();
    match items.is_empty() {
        true => items,
        false => format!("\n**{title}**\n\n{items}"),
    }
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for character in one_line(text).chars() {
        match character {
            '<' => shown += "&lt;",
            '>' => shown += "&gt;",
            '&' => shown += "&amp;",
            // nobody is told, and no address becomes a link
            '@' => shown += "&#64;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                shown.push('\\');
                shown.push(character);
            }
            _ if character.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            _ => shown.push(character),
        }
    }
    shown.replace("://", ":&#47;&#47;")
}
