//! `kiln size --tree`: folders by the bytes that all layers have in them. Unaware of where the image comes from.

use crate::failure::Failure;
use crate::pflag::Takes;
use crate::table::{aligned, line, print_text};
use crate::units::{bytes, percent};
use clap::Args;
use kiln_cache::Entry;
use kiln_cache::path::display;
use kiln_parser::glob;
use kiln_report::classify::{Class, Classes, Fate, classify};
use kiln_report::folders::{Folder, folders, is_named};
use kiln_report::image::Image;
use kiln_template::{Value, field};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Levels that are shown unless others are asked for.
const DEPTH: usize = 2;
/// Folders with less than so many thousandths of all bytes are left out of the table.
const SMALLEST: u64 = 1;

/// What of the tree is shown.
#[derive(Debug, Args)]
pub struct Folders {
    /// Levels of folders that --tree shows [default: 2]
    #[arg(long, value_name = "N", add = Takes::Number)]
    depth: Option<usize>,
    /// Files that --tree counts: a pattern for their name, or for their path if it has a slash
    #[arg(long, value_name = "PATTERN", add = Takes::Single)]
    filter: Option<String>,
    /// Class of the bytes that --tree counts: live, duplicate, overwritten, rewritten or deleted
    #[arg(long, value_name = "CLASS", value_parser = class, add = Takes::Single)]
    class: Option<Class>,
    /// Leave out the layers of the base from --tree
    #[arg(long, add = Takes::Switch)]
    own: bool,
}

fn class(name: &str) -> Result<Class, String> {
    let class = Class::from_name(name).filter(|class| *class != Class::Headers);
    class.ok_or_else(|| "expected live, duplicate, overwritten, rewritten or deleted".to_owned())
}

impl Folders {
    /// That they are asked for together with a tree, and can be understood.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self, has_tree: bool) -> Result<(), Failure> {
        let is_given =
            self.depth.is_some() || self.filter.is_some() || self.class.is_some() || self.own;
        if is_given && !has_tree {
            let message = "--depth, --filter, --class and --own belong to --tree";
            return Err(Failure::usage(message));
        }
        let pattern = self.filter.as_deref().unwrap_or_default();
        glob::check(pattern)
            .map_err(|_| Failure::usage(format!("--filter {pattern}: not a pattern")))
    }

    fn admits(&self, entry: &Entry, fate: &Fate) -> bool {
        if self.class.is_some_and(|class| class != fate.class) {
            return false;
        }
        let pattern = self.filter.as_deref();
        pattern.is_none_or(|pattern| is_named(&entry.path, pattern))
    }
}

/// Shows.
///
/// # Errors
/// A tree has no such format.
pub fn show(image: &Image, options: &Folders, format: Option<&str>) -> Result<(), Failure> {
    let classified = classify(&image.layers);
    let from = if options.own { image.base } else { 0 };
    let depth = options.depth.unwrap_or(DEPTH);
    let found = folders(image, &classified, depth, from, |entry, fate| {
        options.admits(entry, fate)
    });
    match format {
        None | Some("table") => print_text(&table(&found)),
        Some("json") => {
            let rows: Vec<Value> = found.iter().map(row).collect();
            line(&format!("{:#}", Value::from(rows).to_json()));
        }
        Some(_) => return Err(Failure::usage("--tree has the formats table and json")),
    }
    Ok(())
}

fn row(folder: &Folder) -> Value {
    Value::record([
        field("Path", format!("/{}", display(&folder.path))),
        field("Size", folder.classes.total()),
        field("Live", folder.classes.get(Class::Live)),
        field("Waste", folder.classes.waste()),
        field("Files", folder.files),
    ])
}

/// The largest folder of each folder first.
fn table(folders: &[Folder]) -> String {
    let sizes = folders
        .iter()
        .map(|folder| (&*folder.path, folder.classes.total()));
    let sizes: BTreeMap<&[u8], u64> = sizes.collect();
    let all = folders.first().map_or(0, |root| root.classes.total());
    let mut shown: Vec<&Folder> = folders.iter().collect();
    shown.retain(|folder| folder.classes.total() * 1000 >= all * SMALLEST);
    shown.sort_by_cached_key(|folder| rank(&folder.path, &sizes));
    let mut rows = "SIZE\tSHARE\tLIVE\tWASTE\tFILES\tFOLDER\n".to_owned();
    for folder in shown {
        let classes: &Classes = &folder.classes;
        let [size, live, waste] = [classes.total(), classes.get(Class::Live), classes.waste()];
        let share = percent(size, all);
        let [size, live, waste] = [size, live, waste].map(bytes);
        let (files, path) = (folder.files, display(&folder.path).replace('\t', " "));
        rows += &format!("{size}\t{share}\t{live}\t{waste}\t{files}\t/{path}\n");
    }
    aligned(&rows)
}

/// Where a folder stands: for itself and each folder above it, how large that is, and its name.
fn rank<'a>(path: &'a [u8], sizes: &BTreeMap<&[u8], u64>) -> Vec<(Reverse<u64>, &'a [u8])> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let above = slashes.map(|(at, _)| &path[..at]);
    let parts = above.chain((!path.is_empty()).then_some(path));
    parts
        .map(|path| (Reverse(sizes.get(path).copied().unwrap_or_default()), path))
        .collect()
}
