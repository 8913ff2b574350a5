//! What `kiln build` says when something is wrong: the line of the Dockerfile, what happened, what to do. Unaware of how a step failed.

use super::{Failure, Fault, Kind, step};
use crate::diagnostics::{self, Place, Source};
use crate::environment;
use crate::render::{Progress, Sink};
use kiln_cache::StoreError;
use kiln_engine::{
    BackendError, BuildError, DockerfileText, ExportError, MissingImage, MissingSource,
    RefusedSource, chain_of_causes,
};
use kiln_parser::diagnostic::{Diagnostic, Severity};
use kiln_parser::source::Span;
use std::collections::BTreeSet;
use std::io::IsTerminal;

/// What is said where the image is there, but not all that was asked for with it.
const IMAGE_IS_BUILT: &str = "the image itself is built and in the store";

fn color() -> bool {
    environment::color(std::io::stderr().is_terminal())
}

/// Shows findings that did not stop the build, after everything else.
pub fn warnings(
    dockerfile: &DockerfileText,
    warnings: &[Diagnostic],
    progress: Progress,
    sink: &Sink,
) {
    if warnings.is_empty() || progress == Progress::Quiet || progress.is_for_machines() {
        return;
    }
    let color = environment::color(sink.is_terminal());
    let text = diagnostics::render(source(dockerfile), warnings, color);
    sink.line(&format!("\n{text}"));
    sink.flush();
}

/// Why a Dockerfile could not be read, or what is wrong in it.
pub fn dockerfile(dockerfile: &DockerfileText, error: BuildError) -> Failure {
    failure(dockerfile, false, error, Kind::Build)
}

/// The Dockerfile that findings are about.
pub fn source(dockerfile: &DockerfileText) -> Source<'_> {
    Source {
        name: &dockerfile.name,
        text: &dockerfile.text,
    }
}

/// What a build failed with. `streams`: an output goes to standard output; `stopped`: what a failure is that the user wanted.
pub fn failure(
    dockerfile: &DockerfileText,
    streams: bool,
    error: BuildError,
    stopped: Kind,
) -> Failure {
    let cause: &(dyn std::error::Error + 'static) = match &error {
        BuildError::Step(failure) => &failure.error,
        other => other,
    };
    let fault = Fault::among(cause);
    told(dockerfile, streams, error, stopped).for_fault(fault)
}

fn told(dockerfile: &DockerfileText, streams: bool, error: BuildError, stopped: Kind) -> Failure {
    let text = chain_of_causes(&error);
    match error {
        BuildError::Dockerfile(diagnostics) => wrong(dockerfile, &diagnostics),
        BuildError::MissingImages(images) => missing_images(dockerfile, &images),
        BuildError::MissingSources(sources) => missing_sources(dockerfile, &sources),
        BuildError::Refused(sources) => refused_sources(dockerfile, &sources),
        BuildError::Step(failure) => step::failure(source(dockerfile), &failure, color()),
        BuildError::Cancelled | BuildError::Store(StoreError::Cancelled) => {
            Failure::new(stopped, "stopped; finished steps stay in the cache")
        }
        BuildError::Store(error) => error.into(),
        BuildError::Image(error) => error.into(),
        BuildError::Export(error) if streams && lost_its_reader(&error) => Failure::broken_pipe(),
        // the disk or the destination is at fault, not the Dockerfile
        BuildError::Export(error) => {
            let message = format!("the output was not written: {}", chain_of_causes(&error));
            Failure::new(Kind::Environment, message).hint(IMAGE_IS_BUILT)
        }
        BuildError::Cache { place, source } => cache_failure(&place, &source),
        BuildError::Fetch(error) => Failure::new(Kind::Build, text).hints(error.hint()),
        BuildError::Limit(_) => Failure::usage(text),
        _ => Failure::new(Kind::Build, text),
    }
}

fn wrong(dockerfile: &DockerfileText, diagnostics: &[Diagnostic]) -> Failure {
    let is_error = |found: &&Diagnostic| found.severity == Severity::Error;
    let message = match diagnostics.iter().filter(is_error).count() {
        1 => "the Dockerfile has an error".to_owned(),
        count => format!("the Dockerfile has {count} errors"),
    };
    let details = diagnostics::render(source(dockerfile), diagnostics, color());
    let errors = diagnostics.iter().filter(is_error);
    let causes = errors.map(|error| (error.message.clone(), error.line));
    Failure::new(Kind::Build, message)
        .details(details)
        .causes(causes)
}

/// Whether an output to a pipe ended because nobody reads it any more.
fn lost_its_reader(error: &ExportError) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let is_push = matches!(error, ExportError::Push(_));
    while let Some(error) = cause.filter(|_| !is_push) {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The image is there; a pipeline may still want to know that the next one will be slow.
fn cache_failure(place: &str, error: &BackendError) -> Failure {
    let text = chain_of_causes(error);
    let message = format!("the cache {place} was not written: {text}");
    Failure::new(Kind::Environment, message)
        .hints(error.hint())
        .hint(format!(
            "{IMAGE_IS_BUILT}; ignore-error=true makes this a warning"
        ))
}

/// A failure with a place of the Dockerfile for each of several causes.
fn pointed(
    dockerfile: &DockerfileText,
    message: &str,
    causes: impl Iterator<Item = (String, Option<Span>)>,
) -> Failure {
    let causes: Vec<_> = causes.collect();
    let point = |(message, span): &(String, Option<Span>)| match span {
        Some(span) => Place::new(source(dockerfile), *span).point(message, color()),
        None => message.clone(),
    };
    let points: Vec<String> = causes.iter().map(point).collect();
    let line = |span: Span| source(dockerfile).line(span.start());
    let with_line = |(message, span): (String, Option<Span>)| (message, span.map_or(0, line));
    Failure::new(Kind::Build, message)
        .details(points.join("\n\n"))
        .causes(causes.into_iter().map(with_line))
}

fn missing_sources(dockerfile: &DockerfileText, sources: &[MissingSource]) -> Failure {
    let causes = sources.iter().map(|missing| {
        let span = missing.span.unwrap_or_default();
        (chain_of_causes(&missing.error), Some(span))
    });
    let hints = sources.iter().filter_map(|missing| missing.error.hint());
    let hints: BTreeSet<String> = hints.collect();
    pointed(dockerfile, "sources are missing", causes).hints(hints)
}

fn refused_sources(dockerfile: &DockerfileText, sources: &[RefusedSource]) -> Failure {
    let causes = sources
        .iter()
        .map(|refused| (refused.refusal.to_string(), refused.span));
    let message = "the source policy denies sources of this build";
    pointed(dockerfile, message, causes)
}

fn missing_images(dockerfile: &DockerfileText, images: &[MissingImage]) -> Failure {
    let causes = images.iter().map(|image| {
        let name = &image.reference;
        let message = match &image.problem {
            None => format!("there is no image {name} in the store"),
            Some(problem) => format!("the image {name} cannot be used: {problem}"),
        };
        (message, Some(image.span))
    });
    let message = match images {
        [_] => "a base image is missing",
        _ => "base images are missing",
    };
    let name = images.first().map_or("NAME", |image| &image.reference);
    let hints: BTreeSet<&String> = images
        .iter()
        .filter_map(|image| image.near.as_ref().or(image.hint.as_ref()))
        .collect();
    let failure = pointed(dockerfile, message, causes).hints(hints);
    if images.iter().all(|image| image.near.is_some()) {
        // another name was meant: how else to get an image is not the question
        return failure;
    }
    failure
        .hint("get it with `kiln pull`, or from an archive of docker save or podman save with `kiln load -i ARCHIVE`")
        .hint(format!("or make it from a root file system: `kiln import ROOTFS.tar {name}`"))
        .hint(format!("or from this machine's programs: --build-context {}=host-tools:sh,ls,cat", without_tag(name)))
}

/// The name of an image without its tag and digest.
fn without_tag(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    // a port's colon is followed by a slash
    match name.rsplit_once(':') {
        Some((plain, tag)) if !tag.contains('/') => plain,
        _ => name,
    }
}
