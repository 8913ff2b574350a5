//! Dockerfiles that come with a context: found by name, read, refused if they cannot be Dockerfiles. Unaware of what they say.

use crate::failure::{BuildError, FetchError, Wrong};
use crate::request::DockerfileText;
use kiln_cache::{Chain, Store};
use kiln_oci::Digest;
use std::fs::File;
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
pub(super) fn in_layer(
    store: &Store,
    layer: Option<Digest>,
    name: Option<&str>,
    context: &str,
) -> Result<DockerfileText, BuildError> {
    let chain = store.layers().chain(layer.as_slice())?;
    for name in &names(name) {
        if let Some(text) = read(&chain, name)? {
            return Ok(text);
        }
    }
    Err(missing(name, context))
}

/// Reads a Dockerfile of a folder of this machine, with the ignore file beside it.
pub(super) fn in_folder(folder: &Path, name: Option<&str>) -> Result<DockerfileText, BuildError> {
    let mut paths = names(name).into_iter().map(|name| folder.join(name));
    let path = paths.find(|path| path.is_file());
    let path = path.ok_or_else(|| missing(name, &folder.display().to_string()))?;
    let read = |path: &str| {
        let wrong = |error: std::io::Error| BuildError::File {
            path: path.into(),
            wrong: error.into(),
        };
        text(File::open(path).map_err(wrong)?, path)
    };
    let path = path.display().to_string();
    let ignore = format!("{path}.dockerignore");
    let ignore = Some(ignore).filter(|path| Path::new(path).is_file());
    Ok(DockerfileText {
        ignore: ignore
            .map(|path| read(&path))
            .transpose()?
            .map(|read| read.text),
        ..read(&path)?
    })
}

/// The names that are looked for, in this order.
fn names(name: Option<&str>) -> Vec<String> {
    let Some(name) = name else {
        return USUAL_NAMES.map(str::to_owned).into();
    };
    let other = other_case(Path::new(name)).map(|path| path.display().to_string());
    std::iter::once(name.to_owned()).chain(other).collect()
}

fn missing(name: Option<&str>, context: &str) -> BuildError {
    let usual = || "there is neither a Dockerfile nor a Containerfile".to_owned();
    BuildError::File {
        path: context.into(),
        wrong: name
            .map_or_else(usual, |name| format!("there is no file {name}"))
            .into(),
    }
}

/// Reads a file of a context's layer, if it is there.
pub(super) fn read(chain: &Chain, name: &str) -> Result<Option<DockerfileText>, BuildError> {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    let path = parts.collect::<Vec<_>>().join("/");
    let wrong = |wrong: Wrong| BuildError::File {
        path: name.into(),
        wrong,
    };
    let resolved = chain
        .resolve(path.as_bytes(), true)
        .map_err(|error| wrong(error.into()))?;
    match resolved.found {
        Some(found) if found.entry.is_file() => {
            let content = chain.read(&found).map_err(FetchError::from)?;
            text(content, name).map(Some)
        }
        Some(_) => Err(wrong("is no regular file".into())),
        None => Ok(None),
    }
}

/// The text of a Dockerfile.
pub(super) fn text(reader: impl Read, name: &str) -> Result<DockerfileText, BuildError> {
    let wrong = |wrong: Wrong| BuildError::File {
        path: Path::new(name).to_owned(),
        wrong,
    };
    let mut bytes = Vec::new();
    let read = reader.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(error.into()))?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(wrong(
            format!("has more than {MAX_DOCKERFILE} bytes").into(),
        ));
    }
    // No Dockerfile holds a NUL byte: it is something else, such as an archive of a kind that nobody reads.
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(wrong(
            format!("is neither an archive nor text: byte {at}").into(),
        ));
    }
    Ok(DockerfileText::of_bytes(name.to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_of_a_folder_comes_with_its_ignore_file() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("Containerfile", "FROM a");
        write("other", "FROM b");
        write("other.dockerignore", "x");
        let read = |name| in_folder(folder.path(), name);
        let usual = read(None).unwrap();
        assert_eq!((usual.text.as_str(), usual.ignore), ("FROM a", None));
        let other = read(Some("other")).unwrap();
        assert_eq!(
            (other.text.as_str(), other.ignore.as_deref()),
            ("FROM b", Some("x"))
        );
        let missing = read(Some("missing")).unwrap_err().to_string();
        assert!(missing.ends_with("there is no file missing"), "{missing}");
    }
}
