//! What `kiln build` says when something is wrong: the line of the Dockerfile, what happened, what to do.

use crate::diagnostics::{self, Source};
use crate::environment;
use crate::failure::{Failure, Kind, is_of_limits};
use crate::render::{Progress, Sink};
use crate::signals;
use crate::units;
use kiln_engine::{
    BackendError, BuildError, DockerfileText, ExportError, FetchError, MissingImage, MissingSource,
    RefusedSource, StepError, StepFailure, chain_of_causes,
};
use kiln_parser::diagnostic::{Diagnostic, Severity};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a failed step's output that are shown again with the error, at most.
const TAIL: u64 = 1 << 20;
/// Lines of it, as in BuildKit.
const TAIL_LINES: usize = 200;

fn color() -> bool {
    std::io::stderr().is_terminal() && !environment::no_color()
}

/// Shows findings that did not stop the build, after everything else.
pub(super) fn warnings(
    dockerfile: &DockerfileText,
    warnings: &[Diagnostic],
    progress: Progress,
    sink: &Sink,
) {
    if warnings.is_empty() || progress == Progress::Quiet || progress == Progress::Json {
        return;
    }
    let color = sink.is_terminal() && !environment::no_color();
    let text = diagnostics::render(source(dockerfile), warnings, color);
    sink.line(&format!("\n{text}"));
    sink.flush();
}

/// What is wrong with a Dockerfile that was only read.
pub(super) fn dockerfile(dockerfile: &DockerfileText, error: BuildError) -> Failure {
    match error {
        BuildError::Dockerfile(diagnostics) => wrong(dockerfile, &diagnostics),
        other => Failure::new(Kind::Build, chain_of_causes(&other)),
    }
}

/// The Dockerfile that findings are about.
pub(super) fn source(dockerfile: &DockerfileText) -> Source<'_> {
    Source {
        name: &dockerfile.name,
        text: &dockerfile.text,
    }
}

/// What a build failed with; `streams` says whether an output goes to standard output.
pub(super) fn failure(
    dockerfile: &DockerfileText,
    streams: bool,
    error: BuildError,
    watch: &signals::Watch,
) -> Failure {
    let cause: &(dyn std::error::Error + 'static) = match &error {
        BuildError::Step(failure) => &failure.error,
        other => other,
    };
    let is_of_limits = is_of_limits(cause);
    let failure = told(dockerfile, streams, error, watch);
    if is_of_limits {
        failure.of_limits()
    } else {
        failure
    }
}

fn told(
    dockerfile: &DockerfileText,
    streams: bool,
    error: BuildError,
    watch: &signals::Watch,
) -> Failure {
    match error {
        BuildError::Dockerfile(diagnostics) => wrong(dockerfile, &diagnostics),
        BuildError::MissingImages(images) => missing_images(dockerfile, &images),
        BuildError::MissingSources(sources) => missing_sources(dockerfile, &sources),
        BuildError::Refused(sources) => refused_sources(dockerfile, &sources),
        BuildError::Step(failure) => step_failure(dockerfile, &failure),
        BuildError::Cancelled => Failure::new(
            watch.kind(),
            "stopped; what was finished stays in the cache",
        ),
        BuildError::Store(error) => error.into(),
        BuildError::Image(error) => error.into(),
        BuildError::Export(error) if streams && lost_its_reader(&error) => Failure::broken_pipe(),
        BuildError::Export(error) => export_failure(&error),
        BuildError::Cache { place, source } => cache_failure(&place, &source),
        BuildError::Fetch(error) => fetch_failure(&error),
        error @ BuildError::Limit(_) => Failure::usage(chain_of_causes(&error)),
        other => Failure::new(Kind::Build, chain_of_causes(&other)),
    }
}

fn wrong(dockerfile: &DockerfileText, diagnostics: &[Diagnostic]) -> Failure {
    let is_error = |found: &&Diagnostic| found.severity == Severity::Error;
    let message = match diagnostics.iter().filter(is_error).count() {
        1 => "the Dockerfile has an error".to_owned(),
        count => format!("the Dockerfile has {count} errors"),
    };
    let details = diagnostics::render(source(dockerfile), diagnostics, color());
    Failure::new(Kind::Build, message).details(details)
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

/// The disk or the destination is at fault, not the Dockerfile.
fn export_failure(error: &ExportError) -> Failure {
    let text = chain_of_causes(error);
    let failure = Failure::new(
        Kind::Environment,
        format!("the output was not written: {text}"),
    );
    failure.hint("the image itself is built and in the store")
}

/// The image is there; a pipeline may still want to know that the next one will be slow.
fn cache_failure(place: &str, error: &BackendError) -> Failure {
    let text = chain_of_causes(error);
    let failure = Failure::new(
        Kind::Environment,
        format!("the cache {place} was not written: {text}"),
    );
    let failure = match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    failure
        .hint("the image itself is built and in the store; ignore-error=true makes this a warning")
}

fn fetch_failure(error: &FetchError) -> Failure {
    let failure = Failure::new(Kind::Build, chain_of_causes(error));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn missing_sources(dockerfile: &DockerfileText, sources: &[MissingSource]) -> Failure {
    let points = sources.iter().map(|missing| {
        let message = chain_of_causes(&missing.error);
        let span = missing.span.unwrap_or_default();
        diagnostics::point(source(dockerfile), &message, span, "", &[], color())
    });
    let details = points.collect::<Vec<_>>().join("\n\n");
    let hints: BTreeSet<String> = sources
        .iter()
        .filter_map(|missing| missing.error.hint())
        .collect();
    let failure = Failure::new(Kind::Build, "sources are missing").details(details);
    hints.into_iter().fold(failure, Failure::hint)
}

fn refused_sources(dockerfile: &DockerfileText, sources: &[RefusedSource]) -> Failure {
    let points = sources.iter().map(|refused| match refused.span {
        Some(span) => {
            let message = refused.refusal.to_string();
            diagnostics::point(source(dockerfile), &message, span, "", &[], color())
        }
        None => refused.refusal.to_string(),
    });
    let details = points.collect::<Vec<_>>().join("\n\n");
    let message = "the source policy refuses what the build takes from outside";
    Failure::new(Kind::Build, message).details(details)
}

fn missing_images(dockerfile: &DockerfileText, images: &[MissingImage]) -> Failure {
    let mut details = Vec::new();
    for image in images {
        let message = match &image.problem {
            None => format!("there is no image {} in the store", image.reference),
            Some(problem) => format!("the image {} cannot be used: {problem}", image.reference),
        };
        details.push(diagnostics::point(
            source(dockerfile),
            &message,
            image.span,
            "",
            &[],
            color(),
        ));
    }
    let name = images
        .first()
        .map_or("NAME", |image| image.reference.as_str());
    // a port's colon is followed by a slash
    let end = name.find('@').unwrap_or(name.len());
    let base = name[..end].rfind('/').map_or(0, |slash| slash + 1);
    let plain = name[base..end]
        .find(':')
        .map_or(&name[..end], |colon| &name[..base + colon]);
    let message = if images.len() == 1 {
        "a base image is missing"
    } else {
        "base images are missing"
    };
    let mut failure = Failure::new(Kind::Build, message).details(details.join("\n\n"));
    let hints: BTreeSet<&String> = images
        .iter()
        .filter_map(|image| image.hint.as_ref())
        .collect();
    for hint in hints {
        failure = failure.hint(hint);
    }
    failure
        .hint("bring it in with `kiln pull`, or from an archive with `kiln load -i ARCHIVE` (what docker save or podman save writes)")
        .hint(format!("or make it from a root file system: `kiln import ROOTFS.tar {name}`"))
        .hint(format!("or from this machine's programs: --build-context {plain}=host-tools:sh,ls,cat"))
}

/// What can be done about a step that failed.
fn help(failure: &StepFailure) -> Vec<String> {
    let mut help: Vec<String> = failure.emulation.iter().cloned().collect();
    if let StepError::Command {
        code: Some(127), ..
    } = failure.error
    {
        help.push(
            "127 means that the shell or program was not found: is it in the image, and in PATH?"
                .to_owned(),
        );
    }
    if let StepError::Command {
        exceeded: Some(_), ..
    } = failure.error
    {
        help.push("give it more with --memory, or let it do less at once".to_owned());
    }
    if let StepError::NoNamespaces(refused) = &failure.error {
        help.extend(refused.hints().into_iter().map(str::to_owned));
    }
    if let StepError::Fetch(error) = &failure.error {
        help.extend(error.hint());
    }
    help
}

fn step_failure(dockerfile: &DockerfileText, failure: &StepFailure) -> Failure {
    let message = format!(
        "{} failed: {}",
        failure.title.split_whitespace().next().unwrap_or("step"),
        chain_of_causes(&failure.error)
    );
    let help = help(failure);
    let mut details = String::new();
    if let StepError::Command { log, .. } = &failure.error {
        details = tail(log);
    }
    if let Some(span) = failure.span {
        details.push_str(&diagnostics::point(
            source(dockerfile),
            &message,
            span,
            &format!("stage {}", failure.place),
            &help,
            color(),
        ));
    } else {
        details.push_str(&message);
    }
    let environment = matches!(
        failure.error,
        StepError::NoNamespaces(_)
            | StepError::Mount(_)
            | StepError::Spawn(_)
            | StepError::Store(_)
    );
    let failure = Failure::new(
        if environment {
            Kind::Environment
        } else {
            Kind::Build
        },
        "the build failed",
    )
    .details(details);
    if environment {
        failure.hint("`kiln doctor` tells what this machine lacks")
    } else {
        failure
    }
}

/// The last lines of a step's output.
fn tail(log: &Path) -> String {
    let Ok(mut file) = std::fs::File::open(log) else {
        return String::new();
    };
    let length = file.metadata().map_or(0, |meta| meta.len());
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .and_then(|_| file.read_to_end(&mut bytes));
    if read.is_err() || bytes.is_empty() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let is_whole = shown.len() == lines.len() && length <= TAIL;
    let mut tail = match (is_whole, shown.len()) {
        (true, _) => "last output:\n".to_owned(),
        (false, count) => format!("last output ({}):\n", units::counted(count, "line")),
    };
    for line in shown {
        // what is written again and again (a bar of progress) is seen as it was at last
        let last = line.rsplit('\r').find(|part| !part.is_empty());
        tail.push_str(&format!("  {}\n", last.unwrap_or_default()));
    }
    tail + "\n"
}
