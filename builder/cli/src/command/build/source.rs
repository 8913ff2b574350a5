//! What `kiln build` reads: the context that is named and the Dockerfile. Unaware of what is in them.

use crate::failure::Failure;
use crate::units;
use kiln_engine::options::DockerfileText;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A Dockerfile of more bytes is refused (the parser's own limit).
const MAX_DOCKERFILE: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub struct Source {
    /// Folder with the files that COPY and ADD can use
    #[arg(value_name = "CONTEXT")]
    context: PathBuf,
    /// The Dockerfile [default: Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Source {
    /// The Dockerfile and the context's folder.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn read(&self) -> Result<(DockerfileText, PathBuf), Failure> {
        let context = context_folder(&self.context)?;
        Ok((self.dockerfile(&context)?, context))
    }

    fn dockerfile(&self, context: &Path) -> Result<DockerfileText, Failure> {
        let path = match &self.file {
            Some(file) if file.as_os_str() == "-" => {
                let text = read_text(Path::new("-"), std::io::stdin())?;
                return Ok(DockerfileText {
                    name: "stdin".to_owned(),
                    text,
                    ignore: None,
                });
            }
            Some(file) => self.find_file(file, context)?,
            None => default_dockerfile(context)?,
        };
        let text = read_text(&path, open_regular(&path)?)?;
        let mut ignore_path = path.clone().into_os_string();
        ignore_path.push(".dockerignore");
        let ignore = match std::fs::metadata(&ignore_path) {
            Ok(_) => Some(read_text(
                Path::new(&ignore_path),
                open_regular(Path::new(&ignore_path))?,
            )?),
            Err(_) => None,
        };
        Ok(DockerfileText {
            name: path.display().to_string(),
            text,
            ignore,
        })
    }

    /// As docker does: relative to the current folder, else to the context.
    fn find_file(&self, file: &Path, context: &Path) -> Result<PathBuf, Failure> {
        if file.exists() {
            return Ok(file.to_owned());
        }
        let inside = context.join(file);
        if inside.exists() {
            Ok(inside)
        } else {
            Err(Failure::usage(format!(
                "there is no Dockerfile {}",
                file.display()
            )))
        }
    }
}

/// The folder, by its real path.
///
/// # Errors
/// When it is none.
pub fn context_folder(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("the build context {}: {error}", path.display()))
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

fn default_dockerfile(context: &Path) -> Result<PathBuf, Failure> {
    let candidates = ["Dockerfile", "Containerfile"].map(|name| context.join(name));
    let found = candidates
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok());
    found.ok_or_else(|| {
        Failure::usage(format!(
            "there is neither a Dockerfile nor a Containerfile in {}",
            context.display()
        ))
        .hint("name it with -f FILE")
    })
}

/// Opens a regular file; never waits for a FIFO.
fn open_regular(path: &Path) -> Result<std::fs::File, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Failure::usage(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    std::fs::File::open(path).map_err(failed)
}

fn read_text(path: &Path, reader: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(Failure::usage(format!(
            "{} has more than {}",
            path.display(),
            units::bytes(MAX_DOCKERFILE)
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::usage(format!(
            "{} is not UTF-8 text: byte {}",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
}
