//! `kiln blame`: the layers of an image that wrote, changed or deleted a path, with their instructions and lines.

pub mod document;

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::sheet::{self, Sheet};
use crate::source::{Found, Named};
use crate::steps::{instruction, of_layers, place, steps};
use crate::table::{line, print_text};
use crate::units::{bytes, counted};
use clap::{Args, ValueEnum};
use kiln_cache::path::{clean, display};
use kiln_cache::{Chain, Origin};
use kiln_report::blame::{Action, Below, Touch, blame};
use kiln_report::compressed::Effort;
use kiln_report::difference::kind;
use kiln_report::history::Step;
use kiln_report::image::Image;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// How a report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns
    Table,
    /// All of it, as data
    Json,
    /// For a comment
    Markdown,
}

/// Arguments of `kiln blame`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    image: Named,
    /// File or folder of the image
    #[arg(value_name = "PATH")]
    path: OsString,
    /// Show as a table, as JSON or as Markdown
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table", add = Takes::Single)]
    format: Format,
    /// Show whole instructions
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
}

/// Shows.
///
/// # Errors
/// The image cannot be read, or never had the path.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let found = arguments.image.find(globals, Effort::Estimate)?;
    let steps = steps(globals, &found)?;
    let made = of_layers(&steps);
    let asked = clean(arguments.path.as_bytes());
    let (path, touches) = touches(&found, &asked)?;
    if arguments.format == Format::Json {
        let document = document::document(&found, &path, &touches, &made);
        line(&format!("{:#}", document.to_json()));
        return Ok(());
    }
    let mut sheet = table(&touches, &made, arguments.no_trunc);
    sheet.title = title(&found.name, &asked, &path);
    print_text(&match arguments.format {
        Format::Markdown => sheet::markdown(&[sheet]),
        _ => sheet::columns(&[sheet]),
    });
    Ok(())
}

fn title(image: &str, asked: &[u8], path: &[u8]) -> String {
    let title = format!("{} in {image}", shown(path));
    match path == asked {
        true => title,
        false => format!("{} is {title}", shown(asked)),
    }
}

/// What is done to a path; one that goes through links is that which they lead to.
fn touches<'a>(found: &'a Found, asked: &[u8]) -> Result<(Vec<u8>, Vec<Touch<'a>>), Failure> {
    let layers = &found.image.layers;
    let touches = blame(layers, asked);
    if !touches.is_empty() {
        return Ok((asked.to_vec(), touches));
    }
    let path = resolved(&found.image, asked);
    let touches = blame(layers, &path);
    if touches.is_empty() {
        let message = format!("no layer of {} ever had {}", found.name, shown(asked));
        return Err(Failure::new(Kind::Build, message));
    }
    Ok((path, touches))
}

fn resolved(image: &Image, path: &[u8]) -> Vec<u8> {
    let layers = image.layers.iter();
    let trees = layers.map(|layer| (layer.index.tree.clone(), Origin::Nowhere));
    let chain = Chain::new(trees.collect());
    let resolved = chain.resolve(path, false);
    resolved.map_or_else(|_| path.to_vec(), |resolved| resolved.path)
}

fn shown(path: &[u8]) -> String {
    format!("/{}", display(path))
}

fn table(touches: &[Touch<'_>], made: &[&Step], whole: bool) -> Sheet {
    let headers = ["layer", "line", "written", "hidden", "what", "instruction"];
    let mut sheet = Sheet::new("", &headers);
    let rows = touches.iter().map(|touch| {
        let step = made.get(touch.layer);
        vec![
            (touch.layer + 1).to_string(),
            step.map_or_else(String::new, |step| place(step)),
            bytes(touch.written),
            bytes(touch.hidden),
            what(touch),
            step.map_or_else(String::new, |step| instruction(step, whole)),
        ]
    });
    sheet.rows = rows.collect();
    sheet
}

/// What a layer does, in words.
fn what(touch: &Touch<'_>) -> String {
    let mut parts = Vec::new();
    match &touch.action {
        Action::Kept => {}
        Action::Written => parts.push(touch.entry.map_or_else(String::new, |entry| {
            let owner = format!("{}:{}", entry.uid, entry.gid);
            format!("{} {:04o} {owner} written", kind(&entry.kind), entry.mode)
        })),
        Action::Changed(fields) if fields.is_empty() => parts.push("written again".to_owned()),
        Action::Changed(fields) => {
            let fields: Vec<&str> = fields.iter().map(|field| field.name()).collect();
            parts.push(format!("{} changed", fields.join(", ")));
        }
        Action::Deleted => parts.push(match touch.by {
            Some(folder) => format!("deleted with {}", shown(folder)),
            None => "deleted".to_owned(),
        }),
    }
    parts.extend(below(touch.below));
    parts.join("; ")
}

fn below(below: Below) -> Option<String> {
    let kinds = [
        (below.written, "written"),
        (below.changed, "changed"),
        (below.touched, "only touched"),
        (below.deleted, "deleted"),
    ];
    let kinds = kinds.iter().filter(|(count, _)| *count > 0);
    let kinds: Vec<String> = kinds
        .map(|(count, what)| format!("{} {what}", counted(*count, "file")))
        .collect();
    (!kinds.is_empty()).then(|| format!("below it {}", kinds.join(", ")))
}
