//! Dockerfiles that come with a context from outside: found by name, read, checked for what no Dockerfile is. Unaware of what they say.

use super::fetch::error::FetchError;
use crate::failure::BuildError;
use crate::request::options::DockerfileText;
use kiln_cache::{Chain, Store};
use kiln_oci::Digest;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A Dockerfile of more bytes is refused (the parser's own limit).
const MAX_DOCKERFILE: u64 = 16 << 20;
/// What Dockerfiles are called; what comes first counts.
pub const USUAL_NAMES: [&str; 3] = ["Dockerfile", LOWER_CASE, "Containerfile"];
/// What docker takes too where there is no `Dockerfile`.
const LOWER_CASE: &str = "dockerfile";

/// The other name under which docker looks for a Dockerfile that is not there.
#[must_use]
pub fn other_case(path: &Path) -> Option<PathBuf> {
    let is_usual = path.file_name()? == USUAL_NAMES[0];
    is_usual.then(|| path.with_file_name(LOWER_CASE))
}

/// Reads a Dockerfile of a context's layer; links are followed inside of it.
pub(super) fn dockerfile(
    store: &Store,
    layer: Option<Digest>,
    name: Option<&str>,
    context: &str,
) -> Result<DockerfileText, BuildError> {
    let chain = store.layers().chain(layer.as_slice())?;
    let names: Vec<String> = match name {
        None => USUAL_NAMES.map(str::to_owned).into(),
        Some(name) => {
            let other = other_case(Path::new(name)).map(|path| path.display().to_string());
            std::iter::once(name.to_owned()).chain(other).collect()
        }
    };
    for name in &names {
        if let Some(text) = read(&chain, name)? {
            return Ok(text);
        }
    }
    let message = match name {
        Some(name) => format!("there is no file {name}"),
        None => "there is neither a Dockerfile nor a Containerfile".to_owned(),
    };
    Err(BuildError::File {
        path: context.into(),
        message,
    })
}

fn read(chain: &Chain, name: &str) -> Result<Option<DockerfileText>, BuildError> {
    let path: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let wrong = |message: String| BuildError::File {
        path: name.into(),
        message,
    };
    let resolved = chain
        .resolve(path.join("/").as_bytes(), true)
        .map_err(|error| wrong(error.to_string()))?;
    match resolved.found {
        Some(found) if found.entry.is_file() => {
            let content = chain.read(&found).map_err(FetchError::from)?;
            text(content, name).map(Some)
        }
        Some(_) => Err(wrong("is no regular file".to_owned())),
        None => Ok(None),
    }
}

/// The text of a Dockerfile.
pub(super) fn text(reader: impl Read, name: &str) -> Result<DockerfileText, BuildError> {
    let wrong = |message: String| BuildError::File {
        path: Path::new(name).to_owned(),
        message,
    };
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(wrong(format!("has more than {MAX_DOCKERFILE} bytes")));
    }
    // No Dockerfile holds a NUL byte: it is something else, such as an archive of a kind that nobody reads.
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(wrong(format!("is neither an archive nor text: byte {at}")));
    }
    Ok(DockerfileText::of_bytes(name.to_owned(), bytes))
}
