//! The build that a person means, among those that are remembered, and its steps as people see them. Unaware of what is asked about it.

use crate::failure::{Failure, Kind};
use crate::step_name::{StepName, StepPlace};
use kiln_cache::{PastBuild, PastStep, Store};
use kiln_oci::Reference;
use kiln_parser::glob;

/// The build with this ID or the beginning of it, else the last one that made an image of this name or ID; without a name the last one.
///
/// # Errors
/// No build is called so, or the IDs of several builds begin so.
pub fn build(store: &Store, name: Option<&str>) -> Result<PastBuild, Failure> {
    let builds = store.history().builds()?;
    let Some(name) = name else {
        let none = || Failure::new(Kind::Build, "no build is remembered");
        return builds.into_iter().next().ok_or_else(none);
    };
    let is_exact = |build: &&PastBuild| build.id == name || is_called(build, name);
    if let Some(build) = builds.iter().find(is_exact) {
        return Ok(build.clone());
    }
    let begins_so = |build: &&PastBuild| build.id.starts_with(name) && !name.is_empty();
    let of_id: Vec<&PastBuild> = builds.iter().filter(begins_so).collect();
    match of_id[..] {
        [build] => Ok(build.clone()),
        [] => {
            let of_image = builds.iter().find(|build| has_image(build, name));
            of_image.cloned().ok_or_else(|| missing(name))
        }
        _ => {
            let message = format!("{} builds have an ID that begins with {name}", of_id.len());
            Err(Failure::new(Kind::Build, message))
        }
    }
}

fn missing(name: &str) -> Failure {
    Failure::new(Kind::Build, format!("no build {name} is remembered"))
        .hint("`kiln builds` lists those that are")
}

/// Whether the image was called so.
fn is_called(build: &PastBuild, name: &str) -> bool {
    let Ok(reference) = Reference::parse(name) else {
        return false;
    };
    let full = reference.with_default_tag().to_string();
    build.names.contains(&full)
}

/// Whether what people call the build, or another name of its image, fits a pattern: as a whole, or without the tag.
pub fn is_called_like(build: &PastBuild, pattern: &str) -> bool {
    let names = build
        .names
        .iter()
        .filter_map(|name| Reference::parse(name).ok());
    let names = names.flat_map(|name| [name.familiar(), name.familiar_name()]);
    let mut names = names.chain([name(build)]);
    names.any(|name| glob::matches(pattern, &name).unwrap_or(false))
}

/// Whether the image has this ID, or one that begins so.
fn has_image(build: &PastBuild, name: &str) -> bool {
    let hex = |text: &str| text.strip_prefix("sha256:").unwrap_or(text).to_owned();
    let image = build.image.as_deref().map(hex);
    !hex(name).is_empty() && image.is_some_and(|image| image.starts_with(&hex(name)))
}

/// Where a step is.
pub fn place<'a>(build: &'a PastBuild, step: &'a PastStep) -> StepPlace<'a> {
    StepPlace {
        file: &build.file,
        line: step.line,
        stage: &step.stage,
        number: step.number,
        of: step.of,
    }
}

/// What a person calls the build: the first name of its image as docker shortens it, else its Dockerfile.
pub fn name(build: &PastBuild) -> String {
    let familiar = |name: &String| {
        let parsed = Reference::parse(name);
        parsed.map_or_else(|_| name.clone(), |name| name.familiar())
    };
    build
        .names
        .first()
        .map_or_else(|| build.file.clone(), familiar)
}

/// `build 2/5`.
pub fn short(step: &PastStep) -> String {
    format!("{} {}/{}", step.stage, step.number, step.of)
}

/// The steps of a build that a name means, all without one.
///
/// # Errors
/// The build has no such step.
pub fn steps(
    store: &Store,
    build: &PastBuild,
    name: Option<&StepName>,
) -> Result<Vec<PastStep>, Failure> {
    let all = store.history().steps(&build.id)?;
    let Some(name) = name else {
        return Ok(all);
    };
    let is_meant = |step: &&PastStep| name.names(place(build, step));
    let meant: Vec<PastStep> = all.iter().filter(is_meant).cloned().collect();
    if meant.is_empty() {
        let known: Vec<String> = all.iter().map(short).collect();
        let failure = Failure::new(Kind::Build, format!("build {} has no such step", build.id));
        let hint = format!("its steps are {}", known.join(", "));
        return Err(failure.hints((!known.is_empty()).then_some(hint)));
    }
    Ok(meant)
}
