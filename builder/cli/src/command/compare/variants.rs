//! Which variants a `kiln compare` is about: every Dockerfile with every target and every value of an argument that has several, and the
//! images that are named. Unaware of builds.

use super::Arguments;
use crate::building::Order;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::flag::context::find_file;
use kiln_oci::Encoding;
use kiln_oci::compression::sniff;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Variants beyond this are a mistake.
const MOST: usize = 100;

/// A variant.
#[derive(Debug)]
pub enum Wanted {
    /// To be built.
    Build(Box<Ordered>),
    /// An image or an archive.
    Image(String),
}

/// A build, and what tells it from the others.
#[derive(Debug)]
pub struct Ordered {
    /// What it is called.
    pub name: String,
    /// The build.
    pub order: Order,
}

/// Flags of `kiln build` and the words for what they choose, where there is a choice.
type Choice = (Vec<OsString>, String);

/// All variants, in the order of the command line.
///
/// # Errors
/// There are too many, or one of them is not asked for in the right way.
pub fn wanted(arguments: &Arguments) -> Result<Vec<Wanted>, Failure> {
    let (dockerfiles, images) = sorted(arguments);
    let axes = [
        dockerfiles,
        targets(&arguments.target),
        values(&arguments.build_arg)?,
    ];
    let count: usize = axes.iter().map(Vec::len).product();
    if count + images.len() > MOST {
        return Err(Failure::usage(format!(
            "these are more than {MOST} variants"
        )));
    }
    let mut wanted = Vec::new();
    for choices in combined(&axes) {
        wanted.push(Wanted::Build(Box::new(ordered(arguments, &choices)?)));
    }
    wanted.extend(images.into_iter().map(Wanted::Image));
    Ok(wanted)
}

/// How the store and registries are reached for all builds.
///
/// # Errors
/// A flag asks for what no build of several can do.
pub fn globals(wanted: &[Wanted], globals: &Globals) -> Result<Globals, Failure> {
    let mut orders = wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Build(ordered) => Some(&ordered.order),
        Wanted::Image(_) => None,
    });
    match orders.next() {
        Some(order) => order.globals(globals),
        None => Ok(globals.clone()),
    }
}

/// The Dockerfiles, as flags, and the images.
fn sorted(arguments: &Arguments) -> (Vec<Choice>, Vec<String>) {
    if arguments.variants.is_empty() {
        return (vec![(Vec::new(), String::new())], Vec::new());
    }
    let is_file = |path: &&PathBuf| is_dockerfile(path, &arguments.context);
    let (files, images): (Vec<_>, Vec<_>) = arguments.variants.iter().partition(is_file);
    let flag = |path: &PathBuf| {
        let name = if files.len() + images.len() > 1 {
            path.display().to_string()
        } else {
            String::new()
        };
        (vec!["--file".into(), path.into()], name)
    };
    let images = images.iter().map(|path| path.display().to_string());
    (
        files.iter().map(|path| flag(path)).collect(),
        images.collect(),
    )
}

/// Whether a name is that of a file to be built: one that is no archive.
pub fn is_dockerfile(path: &Path, context: &Path) -> bool {
    let found = find_file(path, context);
    found.is_some_and(|path| path.is_file() && !is_archive(&path))
}

/// Whether a file begins as a tar does, or as something compressed.
fn is_archive(path: &Path) -> bool {
    const TAR: std::ops::Range<usize> = 257..262;
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
    let is_tar = start.get(TAR).is_some_and(|magic| magic == b"ustar");
    read.is_ok() && (is_tar || sniff(&start) != Encoding::Plain)
}

fn targets(targets: &[String]) -> Vec<Choice> {
    let flag = |target: &String| {
        let name = if targets.len() > 1 {
            target.as_str()
        } else {
            ""
        };
        (vec!["--target".into(), target.into()], name.to_owned())
    };
    match targets {
        [] => vec![(Vec::new(), String::new())],
        targets => targets.iter().map(flag).collect(),
    }
}

/// The values of arguments: each name's own are an axis.
fn values(arguments: &[String]) -> Result<Vec<Choice>, Failure> {
    let mut by_name: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for argument in arguments {
        let name = argument.split('=').next().unwrap_or_default();
        by_name.entry(name).or_default().push(argument);
    }
    let axes: Vec<Vec<Choice>> = by_name.values().map(|values| axis(values)).collect();
    let count: usize = axes.iter().map(Vec::len).product();
    if count > MOST {
        return Err(Failure::usage(format!(
            "these are more than {MOST} variants"
        )));
    }
    Ok(combined(&axes).into_iter().map(joined).collect())
}

fn axis(values: &[&String]) -> Vec<Choice> {
    let flag = |value: &&String| {
        let name = if values.len() > 1 { value.as_str() } else { "" };
        (vec!["--build-arg".into(), value.into()], name.to_owned())
    };
    values.iter().map(flag).collect()
}

/// Every choice of the first with every one of the second, and so on.
fn combined(axes: &[Vec<Choice>]) -> Vec<Vec<Choice>> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        let longer = |chosen: &Vec<Choice>| {
            let one = |choice: &Choice| [chosen.as_slice(), std::slice::from_ref(choice)].concat();
            axis.iter().map(one).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

fn joined(choices: Vec<Choice>) -> Choice {
    let (flags, names): (Vec<_>, Vec<_>) = choices.into_iter().unzip();
    let names = names.into_iter().filter(|name| !name.is_empty());
    (flags.concat(), names.collect::<Vec<_>>().join(" "))
}

fn ordered(arguments: &Arguments, choices: &[Choice]) -> Result<Ordered, Failure> {
    let (flags, name) = joined(choices.to_vec());
    let context = ["--context".into(), arguments.context.clone().into()];
    let line = flags.into_iter().chain(arguments.build.iter().cloned());
    let order = Order::to_look(line.chain(context))?;
    let name = match (name.is_empty(), order.request.sources.dockerfile.text()) {
        (true, Some(text)) => text.name.clone(),
        (true, None) => "Dockerfile".to_owned(),
        _ => name,
    };
    Ok(Ordered { name, order })
}
