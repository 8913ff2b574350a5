//! Names that fit into a line: images and containers of the store, stages of the Dockerfile at hand and its arguments. What cannot be read has none; nothing
//! is fetched, nothing is written. Unaware of shells.

use super::line::Line;
use crate::environment::Globals;
use crate::flag::context;
use crate::{past, session};
use kiln_cache::{PastBuild, Store};
use kiln_engine::trial::{self, Kept};
use kiln_oci::Reference;
use kiln_parser::Dockerfile;
use kiln_parser::instruction::Instruction;
use std::path::{Path, PathBuf};

fn store(line: &Line<'_>, globals: &Globals) -> Option<Store> {
    let mut globals = globals.clone();
    if let Some(store) = line.values.get("store") {
        globals.store = Some(PathBuf::from(store));
    }
    session::existing_store(&globals).ok().flatten()
}

/// The IDs of the builds that are remembered, and what they were of.
pub(super) fn builds(line: &Line<'_>, globals: &Globals) -> Vec<(String, String)> {
    let builds = store(line, globals).and_then(|store| store.history().builds().ok());
    let builds = builds.into_iter().flatten();
    let of = |build: &PastBuild| format!("{} {}", past::name(build), build.result.name());
    builds.map(|build| (build.id.clone(), of(&build))).collect()
}

/// The names of all containers, else their IDs, and what they are of.
pub(super) fn containers(line: &Line<'_>, globals: &Globals) -> Vec<(String, String)> {
    let listed = store(line, globals).and_then(|store| trial::list(&store).ok());
    let (containers, _) = listed.unwrap_or_default();
    let of = |kept: &Kept| (kept.title().to_owned(), kept.record.draft.image.clone());
    containers.iter().map(of).collect()
}

/// The steps of the build that the line names, by their lines, and what they do.
pub(super) fn steps(line: &Line<'_>, globals: &Globals) -> Vec<(String, String)> {
    let name = line.arguments.first().map(String::as_str);
    let steps = store(line, globals).and_then(|store| {
        let build = past::build(&store, name).ok()?;
        let steps = store.history().steps(&build.id).ok()?;
        Some((build, steps))
    });
    let Some((build, steps)) = steps else {
        return Vec::new();
    };
    let steps = steps.into_iter().filter(|step| step.line > 0);
    steps
        .map(|step| (format!("{}:{}", build.file, step.line), step.title))
        .collect()
}

/// The names of all images.
pub(super) fn images(line: &Line<'_>, globals: &Globals) -> Vec<String> {
    let images = store(line, globals).and_then(|store| store.images().list().ok());
    let names = images
        .into_iter()
        .flatten()
        .flat_map(|image| image.references);
    names.map(|name| Reference::familiar(&name)).collect()
}

/// The stages of the Dockerfile that have a name.
pub(super) fn stages(line: &Line<'_>) -> Vec<String> {
    let dockerfile = dockerfile(line);
    let stages = dockerfile.iter().flat_map(Dockerfile::stage_names);
    stages.map(str::to_owned).collect()
}

/// What the ARGs of the Dockerfile declare, each with a `=`.
pub(super) fn arguments(line: &Line<'_>) -> Vec<String> {
    let Some(dockerfile) = dockerfile(line) else {
        return Vec::new();
    };
    let global = dockerfile.globals.iter().map(|global| &global.arg);
    let statements = dockerfile.stages.iter().flat_map(|stage| &stage.statements);
    let in_stages = statements.filter_map(|statement| match &statement.instruction {
        Instruction::Arg(arg) => Some(arg),
        _ => None,
    });
    let arguments = global.chain(in_stages).flat_map(|arg| &arg.arguments);
    arguments
        .map(|argument| format!("{}=", argument.name))
        .collect()
}

/// The Dockerfile of a line, as far as it is readable: one that is being written may have errors.
fn dockerfile(line: &Line<'_>) -> Option<Dockerfile> {
    let named = ["context", "named_context"]
        .iter()
        .find_map(|id| line.values.get(id));
    let context = named.or(line.arguments.first()).map_or(".", String::as_str);
    let context = Path::new(context.strip_prefix("dir://").unwrap_or(context));
    let path = match line.values.get("file") {
        Some(file) => context::find_file(Path::new(file), context)?,
        None => context::default_dockerfile(context).ok()?,
    };
    // a pipe is for the build
    let text = path.is_file().then(|| context::read_file(&path))?.ok()?;
    Some(kiln_parser::parse(&text).dockerfile)
}
