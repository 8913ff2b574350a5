//! `kiln build`: arguments into options, events into a renderer, failures into carets and hints.

use crate::diagnostics::{self, Source};
use crate::environment::{self, Globals};
use crate::failure::{Failure, Kind};
use crate::render::{self, Progress};
use crate::{session, signals, units};
use clap::{Args, ValueEnum};
use kiln_engine::cancel::Cancel;
use kiln_engine::event::Events;
use kiln_engine::failure::{BuildError, MissingImage, StepError, StepFailure};
use kiln_engine::options::{BuildOptions, ContextSource, DockerfileText};
use kiln_engine::{Built, build, chain_of_causes};
use kiln_oci::{Platform, Reference};
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::graph;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

/// A Dockerfile of more bytes is refused (the parser's own limit).
const MAX_DOCKERFILE: u64 = 16 << 20;
/// Bytes of a failed step's output that are shown again with the error.
const TAIL: u64 = 4096;
/// Lines of it.
const TAIL_LINES: usize = 20;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NetworkArgument {
    Default,
    None,
    Host,
}

/// Arguments of `kiln build`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder with the files that COPY and ADD can use
    #[arg(value_name = "CONTEXT")]
    context: PathBuf,
    /// Name of the image, as name:tag (may be repeated)
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
    /// The Dockerfile [default: Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Value of an ARG; without a value it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Label of the image
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Execute every step, whatever the cache holds
    #[arg(long)]
    no_cache: bool,
    /// Folder, host-tools:PROGRAM,… or docker-image://IMAGE that stages can name
    #[arg(long, value_name = "NAME=SOURCE")]
    build_context: Vec<String>,
    /// Secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME]
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// Network of RUN
    #[arg(long, value_enum, default_value = "default")]
    network: NetworkArgument,
    /// Entry of /etc/hosts in RUN, as HOST:ADDRESS
    #[arg(long, value_name = "HOST:ADDRESS")]
    add_host: Vec<String>,
    /// Size of /dev/shm in RUN
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
    /// What the image is for, such as linux/amd64 [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// How progress is shown
    #[arg(long, value_enum, default_value = "auto", env = "KILN_PROGRESS", hide_env = true)]
    progress: Progress,
    /// Print the image ID and nothing else
    #[arg(short, long)]
    quiet: bool,
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// RUNs at once [default: all that are ready]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Accepted for docker's sake: an image is always in kiln's own store
    #[arg(long)]
    load: bool,
}

/// Builds.
///
/// # Errors
/// With what went wrong, where, and what to do.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let options = arguments.options()?;
    let progress = if arguments.quiet { Progress::Quiet } else { arguments.progress };
    let (sender, receiver) = channel();
    let cancel = Cancel::default();
    let events = Events::new(build_id(), sender);
    let session = session::open(globals, events, cancel.clone())?;
    let watch = signals::Watch::start(&cancel);
    let renderer = std::thread::spawn(move || render::drive(&mut *render::open(progress, environment::no_color()), &receiver));
    let result = build(&session, &options);
    let store = session.store.clone();
    drop(session);
    // The renderer ends when the last sender is gone; if it panicked, the build is still what counts.
    let _ = renderer.join();
    let built = result.map_err(|error| failure(&options, error, &watch))?;
    warnings(&options, &built.warnings, progress);
    arguments.announce(&built)?;
    if let Err(error) = store.settle() {
        // The image is built and named; what was left undone is done by the next command.
        tracing::warn!("the store was not tidied up: {}", chain_of_causes(&error));
    }
    Ok(())
}

impl Arguments {
    fn options(&self) -> Result<BuildOptions, Failure> {
        let context = context_folder(&self.context)?;
        let dockerfile = self.dockerfile(&context)?;
        let build_args = pairs("--build-arg", &self.build_arg, |name| environment::variable(name))?;
        let epoch = build_args.get("SOURCE_DATE_EPOCH").cloned().or_else(|| environment::variable("SOURCE_DATE_EPOCH")).filter(|e| !e.is_empty());
        let platform = self.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse);
        Ok(BuildOptions {
            dockerfile,
            context,
            contexts: self.contexts()?,
            tags: self.tags()?,
            build_args,
            target: self.target.clone(),
            labels: pairs("--label", &self.label, |_| Some(String::new()))?,
            secrets: self.secrets()?,
            no_cache: self.no_cache,
            network: match self.network {
                NetworkArgument::Default => graph::Network::Default,
                NetworkArgument::None => graph::Network::None,
                NetworkArgument::Host => graph::Network::Host,
            },
            allow: BTreeSet::new(),
            jobs: self.jobs.map(|jobs| jobs as usize),
            platform: platform.map_err(|error| Failure::usage(format!("--platform: {error}")))?,
            source_date_epoch: epoch.map(|epoch| seconds(&epoch)).transpose()?,
            extra_hosts: self.add_host.iter().map(|host| host_entry(host)).collect::<Result<_, _>>()?,
            shm_size: self.shm_size.as_deref().map(|size| units::parse_bytes(size).map_err(|e| Failure::usage(format!("--shm-size: {e}")))).transpose()?,
        })
    }

    fn tags(&self) -> Result<Vec<Reference>, Failure> {
        let parse = |tag: &String| Reference::parse(tag).map(Reference::with_default_tag).map_err(|error| Failure::usage(format!("--tag {tag}: {error}")));
        self.tag.iter().map(parse).collect()
    }

    fn dockerfile(&self, context: &Path) -> Result<DockerfileText, Failure> {
        let path = match &self.file {
            Some(file) if file.as_os_str() == "-" => {
                let text = read_text(Path::new("-"), std::io::stdin())?;
                return Ok(DockerfileText { name: "stdin".to_owned(), text, ignore: None });
            }
            Some(file) => self.find_file(file, context)?,
            None => default_dockerfile(context)?,
        };
        let text = read_text(&path, open_regular(&path)?)?;
        let mut ignore_path = path.clone().into_os_string();
        ignore_path.push(".dockerignore");
        let ignore = match std::fs::metadata(&ignore_path) {
            Ok(_) => Some(read_text(Path::new(&ignore_path), open_regular(Path::new(&ignore_path))?)?),
            Err(_) => None,
        };
        Ok(DockerfileText { name: path.display().to_string(), text, ignore })
    }

    /// As docker does: relative to the current folder, else to the context.
    fn find_file(&self, file: &Path, context: &Path) -> Result<PathBuf, Failure> {
        if file.exists() {
            return Ok(file.to_owned());
        }
        let inside = context.join(file);
        if inside.exists() { Ok(inside) } else { Err(Failure::usage(format!("there is no Dockerfile {}", file.display()))) }
    }

    fn contexts(&self) -> Result<BTreeMap<String, ContextSource>, Failure> {
        let mut contexts = BTreeMap::new();
        for argument in &self.build_context {
            let (name, source) = argument.split_once('=').filter(|(name, source)| !name.is_empty() && !source.is_empty()).ok_or_else(|| {
                Failure::usage(format!("--build-context {argument}: expected NAME=SOURCE")).hint("for example --build-context tools=host-tools:sh,ls,cat")
            })?;
            contexts.insert(name.to_lowercase(), context_source(source)?);
        }
        Ok(contexts)
    }

    fn secrets(&self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        self.secret.iter().map(|secret| secret_content(secret)).collect()
    }

    fn announce(&self, built: &Built) -> Result<(), Failure> {
        if let Some(file) = &self.iidfile {
            std::fs::write(file, built.id.to_string()).map_err(|error| Failure::new(Kind::Environment, format!("--iidfile {}: {error}", file.display())))?;
        }
        if self.quiet {
            println(&built.id.to_string());
        }
        Ok(())
    }
}

fn println(line: &str) {
    use std::io::Write;
    // A reader that went away must not turn success into failure.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn context_folder(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("the build context {}: {error}", path.display()));
    let folder = path.canonicalize().map_err(failed)?;
    if folder.is_dir() { Ok(folder) } else { Err(Failure::usage(format!("the build context {} is not a folder", path.display()))) }
}

fn default_dockerfile(context: &Path) -> Result<PathBuf, Failure> {
    let candidates = ["Dockerfile", "Containerfile"].map(|name| context.join(name));
    let found = candidates.into_iter().find(|path| path.symlink_metadata().is_ok());
    found.ok_or_else(|| {
        Failure::usage(format!("there is neither a Dockerfile nor a Containerfile in {}", context.display())).hint("name it with -f FILE")
    })
}

/// Opens a regular file; never waits for a FIFO.
fn open_regular(path: &Path) -> Result<std::fs::File, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Failure::usage(format!("{} is not a regular file", path.display())));
    }
    std::fs::File::open(path).map_err(failed)
}

fn read_text(path: &Path, reader: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(Failure::usage(format!("{} has more than {}", path.display(), units::bytes(MAX_DOCKERFILE))));
    }
    String::from_utf8(bytes).map_err(|error| Failure::usage(format!("{} is not UTF-8 text: byte {}", path.display(), error.utf8_error().valid_up_to())))
}

/// `NAME=VALUE`, or `NAME` with the value that `default` gives; a name without any value is left out.
fn pairs(option: &str, arguments: &[String], default: impl Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), default(argument)),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!("{option} {argument}: expected NAME=VALUE")));
        }
        if let Some(value) = value {
            pairs.insert(name.to_owned(), value);
        }
    }
    Ok(pairs)
}

fn seconds(epoch: &str) -> Result<i64, Failure> {
    epoch.trim().parse().map_err(|_| Failure::usage(format!("SOURCE_DATE_EPOCH: {epoch:?} is not a number of seconds")))
}

fn host_entry(entry: &str) -> Result<(String, String), Failure> {
    let (name, address) = entry.split_once(['=', ':']).ok_or_else(|| Failure::usage(format!("--add-host {entry}: expected HOST:ADDRESS")))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: std::net::IpAddr = address.parse().map_err(|_| Failure::usage(format!("--add-host {entry}: {address} is not an IP address")))?;
    Ok((name.to_owned(), address.to_string()))
}

fn context_source(source: &str) -> Result<ContextSource, Failure> {
    if let Some(programs) = source.strip_prefix("host-tools:") {
        return Ok(ContextSource::HostTools(programs.split(',').map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()));
    }
    if let Some(image) = source.strip_prefix("docker-image://") {
        return Ok(ContextSource::Image(image.to_owned()));
    }
    if let Some(stage) = source.strip_prefix("target:") {
        return Ok(ContextSource::Stage(stage.to_owned()));
    }
    if source.contains("://") {
        return Err(Failure::usage(format!("--build-context: {source} is not supported yet")).hint("give a folder, host-tools:…, docker-image://… or target:…"));
    }
    Ok(ContextSource::Directory(context_folder(Path::new(source))?))
}

/// `id=ID[,src=FILE][,env=NAME][,type=file|env]`; without a source, the variable ID, else the file ID.
fn secret_content(argument: &str) -> Result<(String, Vec<u8>), Failure> {
    let wrong = |why: &str| Failure::usage(format!("--secret {argument}: {why}"));
    let (mut id, mut file, mut variable) = (None, None, None);
    for field in argument.split(',') {
        match field.split_once('=') {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("src" | "source", value)) => file = Some(value.to_owned()),
            Some(("env", value)) => variable = Some(value.to_owned()),
            Some(("type", "file" | "env")) => {}
            _ => return Err(wrong("expected id=ID,src=FILE or id=ID,env=NAME")),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| wrong("it needs id=ID"))?;
    let content = match (file, variable) {
        (Some(file), _) => std::fs::read(&file).map_err(|error| wrong(&format!("{file}: {error}")))?,
        (None, Some(name)) => environment::variable(&name).ok_or_else(|| wrong(&format!("{name} is not set")))?.into_bytes(),
        (None, None) => match environment::variable(&id) {
            Some(value) => value.into_bytes(),
            None => std::fs::read(&id).map_err(|error| wrong(&format!("{id}: {error}")))?,
        },
    };
    Ok((id, content))
}

fn build_id() -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:012x}", (nanos ^ (u128::from(std::process::id()) << 32)) & 0xffff_ffff_ffff)
}

fn color() -> bool {
    std::io::stderr().is_terminal() && !environment::no_color()
}

fn warnings(options: &BuildOptions, warnings: &[Diagnostic], progress: Progress) {
    if warnings.is_empty() || progress == Progress::Quiet || progress == Progress::Json {
        return;
    }
    use std::io::Write;
    let text = diagnostics::render(source(options), warnings, color());
    let _ = writeln!(std::io::stderr().lock(), "\n{text}");
}

fn source(options: &BuildOptions) -> Source<'_> {
    Source { name: &options.dockerfile.name, text: &options.dockerfile.text }
}

fn failure(options: &BuildOptions, error: BuildError, watch: &signals::Watch) -> Failure {
    match error {
        BuildError::Dockerfile(diagnostics) => {
            let message = match diagnostics.len() {
                1 => "the Dockerfile has an error".to_owned(),
                count => format!("the Dockerfile has {count} errors"),
            };
            Failure::new(Kind::Build, message).details(diagnostics::render(source(options), &diagnostics, color()))
        }
        BuildError::MissingImages(images) => missing_images(options, &images),
        BuildError::Step(failure) => step_failure(options, &failure),
        BuildError::Cancelled => Failure::new(watch.kind(), "stopped; what was finished stays in the cache"),
        BuildError::Store(error) => error.into(),
        BuildError::Image(error) => error.into(),
        other => Failure::new(Kind::Build, chain_of_causes(&other)),
    }
}

fn missing_images(options: &BuildOptions, images: &[MissingImage]) -> Failure {
    let mut details = Vec::new();
    for image in images {
        let message = match &image.problem {
            None => format!("there is no image {} in the store", image.reference),
            Some(problem) => format!("the image {} cannot be used: {problem}", image.reference),
        };
        details.push(diagnostics::point(source(options), &message, image.span, "", &[], color()));
    }
    let name = images.first().map_or("NAME", |image| image.reference.as_str());
    Failure::new(Kind::Build, if images.len() == 1 { "a base image is missing" } else { "base images are missing" })
        .details(details.join("\n\n"))
        .hint("kiln does not pull images yet: bring it in with `kiln load -i ARCHIVE` (what docker save or podman save writes)")
        .hint(format!("or make it from a root file system: `kiln import ROOTFS.tar {name}`"))
        .hint(format!("or from this machine's programs: --build-context {}=host-tools:sh,ls,cat", name.split([':', '@']).next().unwrap_or(name)))
}

fn step_failure(options: &BuildOptions, failure: &StepFailure) -> Failure {
    let message = format!("{} failed: {}", failure.title.split_whitespace().next().unwrap_or("step"), chain_of_causes(&failure.error));
    let mut help = Vec::new();
    if let StepError::Command { code: Some(127), .. } = failure.error {
        help.push("127 means that the shell or program was not found: is it in the image, and in PATH?".to_owned());
    }
    let mut details = String::new();
    if let StepError::Command { log, .. } = &failure.error {
        details = tail(log);
    }
    if let Some(span) = failure.span {
        details.push_str(&diagnostics::point(source(options), &message, span, &format!("stage {}", failure.place), &help, color()));
    } else {
        details.push_str(&message);
    }
    let environment = matches!(failure.error, StepError::Mount(_) | StepError::Spawn(_) | StepError::Store(_));
    let failure = Failure::new(if environment { Kind::Environment } else { Kind::Build }, "the build failed").details(details);
    if environment { failure.hint("`kiln doctor` tells what this machine lacks") } else { failure }
}

/// The last lines of a step's output.
fn tail(log: &Path) -> String {
    let Ok(mut file) = std::fs::File::open(log) else { return String::new() };
    let length = file.metadata().map_or(0, |meta| meta.len());
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).and_then(|_| file.read_to_end(&mut bytes));
    if read.is_err() || bytes.is_empty() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("last output:\n{}\n\n", shown.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
}
