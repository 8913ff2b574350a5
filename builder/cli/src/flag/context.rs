//! What `kiln build` reads: the context that is named and the Dockerfile. Unaware of what is in them.

mod kaniko;

use crate::failure::{Failure, Fault};
use crate::pflag::Takes;
use crate::units;
use kiln_engine::{
    ContextSource, DockerfileSource, DockerfileText, MainSource, Request, USUAL_NAMES, other_case,
    repaired,
};
use kiln_parser::graph::GitSource;
use kiln_parser::suggest;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A Dockerfile of more bytes is refused (the parser's own limit).
const MAX_DOCKERFILE: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub struct Source {
    /// Files for COPY and ADD: a folder, a git repository, the URL of an archive or a Dockerfile, or - for an archive
    /// or a Dockerfile on standard input
    #[arg(value_name = "CONTEXT", required_unless_present = "named_context")]
    context: Option<PathBuf>,
    /// The same as CONTEXT; kaniko's dir://FOLDER, tar://FILE, tar://stdin and git://HOST/PATH work too
    #[arg(long = "context", value_name = "CONTEXT", conflicts_with = "context", add = Takes::Single)]
    named_context: Option<String>,
    /// Dockerfile: a file, a URL, or - [default: Dockerfile, dockerfile or Containerfile in the context]; kaniko's
    /// --dockerfile
    #[arg(short, long, value_name = "FILE", alias = "dockerfile", add = Takes::Single)]
    file: Option<PathBuf>,
    /// A Dockerfile that is in no file; a command may have one.
    #[arg(skip)]
    pub dockerfile_text: Option<String>,
}

impl Source {
    /// The request of a build of this Dockerfile and context. What is outside is opened later.
    ///
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn read(&self) -> Result<Request, Failure> {
        let context = self.context()?;
        let dockerfile = match self.outside(&context)? {
            Some(outside) => outside,
            None => DockerfileSource::Text(self.dockerfile(context.folder())?),
        };
        Ok(Request::new(dockerfile, context))
    }

    /// The same command line with a step where the context would be, and without a context, if what is there is no path.
    pub fn take_step<S: FromStr>(&mut self) -> Option<S> {
        let context = self.context.as_ref()?;
        let step = context.to_str()?.parse().ok()?;
        if context.exists() {
            return None;
        }
        self.context = None;
        Some(step)
    }

    /// Whether the Dockerfile or the context comes from standard input.
    pub fn reads_stdin(&self) -> bool {
        let named = self.named_context.as_deref();
        let mut paths = self.context.iter().chain(&self.file);
        paths.any(|path| path.as_os_str() == "-")
            || named.is_some_and(|context| context == "-" || kaniko::is_stdin(context))
    }

    fn context(&self) -> Result<MainSource, Failure> {
        let named = self.named_context.as_deref();
        match named.map(kaniko::context).transpose()?.flatten() {
            Some(context) => Ok(context),
            // clap has seen to it that there is one
            None => context(
                named
                    .map(Path::new)
                    .or(self.context.as_deref())
                    .unwrap_or(Path::new(".")),
            ),
        }
    }

    /// Where the Dockerfile is, if it cannot be read here.
    fn outside(&self, context: &MainSource) -> Result<Option<DockerfileSource>, Failure> {
        if let Some(text) = &self.dockerfile_text {
            let name = "dockerfile-inline".to_owned();
            let text = DockerfileText::of_bytes(name, text.clone().into_bytes());
            return Ok(Some(DockerfileSource::Text(text)));
        }
        let file = self.file.as_deref().and_then(Path::to_str);
        match (file, context) {
            (Some("-"), MainSource::Stream) => Err(Failure::usage(
                "standard input cannot be both the context and the Dockerfile",
            )),
            (Some("-"), _) => Ok(None),
            (Some(url), _) if is_address(url) => Ok(Some(DockerfileSource::File {
                url: url.to_owned(),
                checksum: None,
            })),
            (_, context) if context.folder().is_some() => Ok(None),
            (file, _) => Ok(Some(DockerfileSource::InContext(file.map(str::to_owned)))),
        }
    }

    fn dockerfile(&self, context: Option<&Path>) -> Result<DockerfileText, Failure> {
        let path = match (&self.file, context) {
            (Some(file), Some(context)) if file.as_os_str() != "-" => {
                let missing = || missing_file(file, context);
                let other = || find_file(&other_case(file)?, context);
                let found = find_file(file, context).or_else(other);
                found.ok_or_else(missing)?
            }
            (None, Some(context)) => default_dockerfile(context)?,
            _ => {
                let bytes = read_bytes(Path::new("-"), std::io::stdin())?;
                return Ok(DockerfileText::of_bytes("stdin".to_owned(), bytes));
            }
        };
        let bytes = read_bytes(&path, open_regular(&path)?)?;
        let mut ignore_path = path.clone().into_os_string();
        ignore_path.push(".dockerignore");
        let ignore_path = Path::new(&ignore_path);
        let ignore = ignore_path
            .exists()
            .then(|| read_file(ignore_path))
            .transpose()?;
        Ok(DockerfileText {
            ignore,
            ..DockerfileText::of_bytes(path.display().to_string(), bytes)
        })
    }
}

/// As docker finds a Dockerfile: relative to the current folder, else to the context.
pub fn find_file(file: &Path, context: &Path) -> Option<PathBuf> {
    let inside = || Some(context.join(file)).filter(|inside| inside.exists());
    Some(file.to_owned())
        .filter(|file| file.exists())
        .or_else(inside)
}

fn is_address(text: &str) -> bool {
    let scheme = text.split("://").next().unwrap_or_default();
    text.contains("://")
        && (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
}

/// What is named from outside the machine: a repository or a file by http(s).
///
/// # Errors
/// When it names a repository that cannot be understood.
pub fn outside(text: &str) -> Result<Option<ContextSource>, Failure> {
    if let Some(git) = GitSource::parse(text) {
        let git = git.map_err(|error| Failure::usage(format!("{text}: {error}")))?;
        return Ok(Some(ContextSource::Git(git)));
    }
    Ok(is_address(text).then(|| ContextSource::File {
        url: text.to_owned(),
        checksum: None,
    }))
}

fn context(path: &Path) -> Result<MainSource, Failure> {
    if path.as_os_str() == "-" {
        return Ok(MainSource::Stream);
    }
    let text = path.to_str().unwrap_or_default();
    if let Some(source) = outside(text)? {
        return Ok(MainSource::Named(source));
    }
    // Docker's short form, where no folder is called so.
    if text.starts_with("github.com/") && !path.exists() {
        let (address, rest) = text.split_at(text.find(['#', '?']).unwrap_or(text.len()));
        let address = address.strip_suffix(".git").unwrap_or(address);
        if let Some(source) = outside(&format!("https://{address}.git{rest}"))? {
            return Ok(MainSource::Named(source));
        }
    }
    let folder = context_folder(path)?;
    Ok(MainSource::Named(ContextSource::Directory(folder)))
}

/// The folder, by its real path.
///
/// # Errors
/// When it is none.
pub fn context_folder(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("the build context {}: {error}", path.display());
        Failure::usage(message).for_fault(Fault::among(&error))
    };
    let folder = path.canonicalize().map_err(failed)?;
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(Failure::usage(format!(
            "the build context {} is not a folder",
            path.display()
        )))
    }
}

/// What is said where `-f` names no file: the file of the context that was probably meant.
fn missing_file(file: &Path, context: &Path) -> Failure {
    let entries = std::fs::read_dir(context).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    let near = suggest::help(&file.to_string_lossy(), names.iter().map(String::as_str));
    let (file, context) = (file.display(), context.display());
    let failure = Failure::usage(format!(
        "there is no Dockerfile {file}, neither here nor in {context}"
    ));
    failure.hints(near)
}

/// The Dockerfile of a folder, where none is named.
///
/// # Errors
/// When it has none.
pub fn default_dockerfile(context: &Path) -> Result<PathBuf, Failure> {
    let candidates = USUAL_NAMES.map(|name| context.join(name));
    let found = candidates
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok());
    found.ok_or_else(|| {
        Failure::usage(format!(
            "there is no Dockerfile or Containerfile in {}",
            context.display()
        ))
        .hint("name it with -f FILE")
    })
}

/// The text of a regular file; bytes that are no UTF-8 are replaced.
///
/// # Errors
/// When it is none or has too many bytes.
pub fn read_file(path: &Path) -> Result<String, Failure> {
    read_text(path, open_regular(path)?)
}

/// The same, also of a pipe: `<(…)` of a shell.
///
/// # Errors
/// When it cannot be read or is too long.
pub fn read_pipe(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::of_file(path, &error);
    read_text(path, std::fs::File::open(path).map_err(failed)?)
}

/// Opens a regular file, `/dev/null`, or what a shell has opened (`<(…)`); never waits for a FIFO that has a name.
fn open_regular(path: &Path) -> Result<std::fs::File, Failure> {
    let failed = |error: std::io::Error| Failure::of_file(path, &error);
    let meta = std::fs::metadata(path).map_err(failed)?;
    let is_descriptor = ["/dev/fd", "/dev/stdin", "/proc/self/fd"]
        .iter()
        .any(|of| path.starts_with(of));
    let is_pipe = is_descriptor && meta.file_type().is_fifo();
    if !meta.is_file() && !is_pipe && path != Path::new("/dev/null") {
        return Err(Failure::usage(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    std::fs::File::open(path).map_err(failed)
}

fn read_text(path: &Path, reader: impl Read) -> Result<String, Failure> {
    read_bytes(path, reader).map(|bytes| repaired(&bytes))
}

fn read_bytes(path: &Path, reader: impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::of_file(path, &error))?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(Failure::usage(format!(
            "{} has more than {}",
            path.display(),
            units::bytes(MAX_DOCKERFILE)
        )));
    }
    Ok(bytes)
}
