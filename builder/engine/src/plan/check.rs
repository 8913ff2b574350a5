//! What can be told about a build without building: findings, the target's outline, the targets. Reads the Dockerfile, the
//! .dockerignore and, if there is a store, what it knows of base images; writes nothing, enters nothing, asks no network.

use crate::failure::BuildError;
use crate::plan;
use crate::session::Session;
use crate::source::context;
use crate::source::open::Build;
use kiln_cache::{ImageError, Store, StoreError};
use kiln_oci::ImageConfig;
use kiln_parser::check::Report;
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::ignore::Matcher;
use kiln_parser::inputs::{ImageRequest, Inputs};
use kiln_parser::outline::Outline;
use kiln_parser::targets::Target;
use kiln_parser::{Dockerfile, frontend, lint};

/// Checks the Dockerfile of a build.
///
/// # Errors
/// When the .dockerignore or the store cannot be read. What is wrong with the Dockerfile is in the report.
pub fn check(store: Option<&Store>, build: &Build) -> Result<Report, BuildError> {
    let inputs = Inputs {
        ignore: ignore(build)?,
        ..plan::inputs(build)
    };
    let mut images = Images::of(store);
    let mut find = |request: &ImageRequest| images.find(request);
    let report = kiln_parser::check::check(&build.dockerfile.text, &inputs, &mut find);
    images.are_readable().map(|()| report)
}

/// What the target of a build takes from outside.
///
/// # Errors
/// When the Dockerfile is wrong, or the store cannot be read.
pub fn outline(store: Option<&Store>, build: &Build) -> Result<Outline, BuildError> {
    let dockerfile = parse(build)?;
    let mut images = Images::of(store);
    let mut find = |request: &ImageRequest| images.find(request);
    let outline = kiln_parser::outline(&dockerfile, &plan::inputs(build), &mut find);
    images.are_readable()?;
    outline.map_err(BuildError::Dockerfile)
}

/// What can be built.
///
/// # Errors
/// When the Dockerfile is wrong.
pub fn targets(build: &Build) -> Result<Vec<Target>, BuildError> {
    Ok(kiln_parser::targets::targets(&parse(build)?))
}

fn parse(build: &Build) -> Result<Dockerfile, BuildError> {
    let parsed = kiln_parser::parse(&build.dockerfile.text);
    if parsed.has_errors() {
        return Err(BuildError::Dockerfile(parsed.errors));
    }
    Ok(parsed.dockerfile)
}

/// The Dockerfile of a build. What rules find before an error in it is told.
pub(crate) fn parse_and_tell(session: &Session, build: &Build) -> Result<Dockerfile, BuildError> {
    let parsed = kiln_parser::parse(&build.dockerfile.text);
    if !parsed.has_errors() {
        return Ok(parsed.dockerfile);
    }
    let found = lint::before_errors(&parsed, &build.language.build_args);
    let warnings = found.map_err(|error| BuildError::Dockerfile(vec![error]))?;
    session.found_by_rules(warnings);
    let mut errors = parsed.errors;
    errors.extend(frontend::foreign(&parsed.dockerfile));
    Err(BuildError::Dockerfile(errors))
}

/// The main context's `.dockerignore`.
pub(crate) fn ignore(build: &Build) -> Result<Matcher, BuildError> {
    match build.context.folder() {
        Some(folder) => context::matcher(folder, build.ignore()),
        // What was fetched knows no .dockerignore.
        None => Ok(Matcher::default()),
    }
}

/// The images of a store, if there is one.
struct Images<'a> {
    store: Option<&'a Store>,
    /// Why it could not be read: that is not to be taken for a lack of images.
    failed: Option<StoreError>,
}

impl<'a> Images<'a> {
    fn of(store: Option<&'a Store>) -> Self {
        let failed = None;
        Images { store, failed }
    }

    /// An image's configuration, of whatever platform: one of another platform is a finding.
    fn find(&mut self, request: &ImageRequest) -> Option<ImageConfig> {
        match self.store?.images().find_base(&request.reference, None) {
            Ok(image) => ImageConfig::parse(&image.config).ok(),
            Err(ImageError::Store(error)) if error.is_of_store() => {
                self.failed.get_or_insert(error);
                None
            }
            Err(_) => None,
        }
    }

    fn are_readable(self) -> Result<(), BuildError> {
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Tells what rules find in a build that is about to start, or that fails before.
///
/// # Errors
/// When the Dockerfile wants its warnings to be errors and there are some. That it has an error is told instead.
pub(crate) fn judge(
    session: &Session,
    build: &Build,
    dockerfile: &Dockerfile,
    mut warnings: Vec<Diagnostic>,
    is_good: bool,
) -> Result<(), BuildError> {
    let wrong = |error| BuildError::Dockerfile(vec![error]);
    let violation = if is_good {
        let config =
            lint::Config::of(&dockerfile.directives, &build.language.build_args).map_err(wrong)?;
        config.violation(&warnings)
    } else {
        None
    };
    // no rule that could be broken: `error=true` does not count it
    warnings.extend(frontend::foreign(dockerfile));
    session.found_by_rules(warnings);
    violation.map_or(Ok(()), |violation| Err(wrong(violation)))
}
