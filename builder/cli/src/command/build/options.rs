//! What the command line of `kiln build` means: files read, names parsed, defaults filled in. Unaware of how builds run.

use super::{Arguments, NetworkArgument};
use crate::environment;
use crate::failure::Failure;
use crate::units;
use kiln_engine::options::{BuildOptions, ContextSource, DockerfileText};
use kiln_oci::{Platform, Reference};
use kiln_parser::graph;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A Dockerfile of more bytes is refused (the parser's own limit).
const MAX_DOCKERFILE: u64 = 16 << 20;

impl Arguments {
    /// The options of the build.
    ///
    /// # Errors
    /// When an argument is malformed or a file that it names cannot be read.
    pub(super) fn options(&self) -> Result<BuildOptions, Failure> {
        let context = context_folder(&self.context)?;
        let dockerfile = self.dockerfile(&context)?;
        let build_args = pairs("--build-arg", &self.build_arg, |name| {
            environment::variable(name)
        })?;
        let epoch = build_args
            .get("SOURCE_DATE_EPOCH")
            .cloned()
            .or_else(|| environment::variable("SOURCE_DATE_EPOCH"))
            .filter(|e| !e.is_empty());
        let platform = self
            .platform
            .as_deref()
            .map_or_else(|| Ok(Platform::host()), Platform::parse);
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
            extra_hosts: self
                .add_host
                .iter()
                .map(|host| host_entry(host))
                .collect::<Result<_, _>>()?,
            shm_size: self
                .shm_size
                .as_deref()
                .map(|size| {
                    units::parse_bytes(size).map_err(|e| Failure::usage(format!("--shm-size: {e}")))
                })
                .transpose()?,
        })
    }

    fn tags(&self) -> Result<Vec<Reference>, Failure> {
        let parse = |tag: &String| {
            Reference::parse(tag)
                .map(Reference::with_default_tag)
                .map_err(|error| Failure::usage(format!("--tag {tag}: {error}")))
        };
        self.tag.iter().map(parse).collect()
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

    fn contexts(&self) -> Result<BTreeMap<String, ContextSource>, Failure> {
        let mut contexts = BTreeMap::new();
        for argument in &self.build_context {
            let (name, source) = argument
                .split_once('=')
                .filter(|(name, source)| !name.is_empty() && !source.is_empty())
                .ok_or_else(|| {
                    Failure::usage(format!("--build-context {argument}: expected NAME=SOURCE"))
                        .hint("for example --build-context tools=host-tools:sh,ls,cat")
                })?;
            contexts.insert(name.to_lowercase(), context_source(source)?);
        }
        Ok(contexts)
    }

    fn secrets(&self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        self.secret
            .iter()
            .map(|secret| secret_content(secret))
            .collect()
    }
}

fn context_folder(path: &Path) -> Result<PathBuf, Failure> {
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

/// `NAME=VALUE`, or `NAME` with the value that `default` gives; a name without any value is left out.
fn pairs(
    option: &str,
    arguments: &[String],
    default: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), default(argument)),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "{option} {argument}: expected NAME=VALUE"
            )));
        }
        if let Some(value) = value {
            pairs.insert(name.to_owned(), value);
        }
    }
    Ok(pairs)
}

fn seconds(epoch: &str) -> Result<i64, Failure> {
    epoch.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "SOURCE_DATE_EPOCH: {epoch:?} is not a number of seconds"
        ))
    })
}

fn host_entry(entry: &str) -> Result<(String, String), Failure> {
    let (name, address) = entry
        .split_once(['=', ':'])
        .ok_or_else(|| Failure::usage(format!("--add-host {entry}: expected HOST:ADDRESS")))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: std::net::IpAddr = address.parse().map_err(|_| {
        Failure::usage(format!(
            "--add-host {entry}: {address} is not an IP address"
        ))
    })?;
    Ok((name.to_owned(), address.to_string()))
}

fn context_source(source: &str) -> Result<ContextSource, Failure> {
    if let Some(programs) = source.strip_prefix("host-tools:") {
        return Ok(ContextSource::HostTools(
            programs
                .split(',')
                .map(str::trim)
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect(),
        ));
    }
    if let Some(image) = source.strip_prefix("docker-image://") {
        return Ok(ContextSource::Image(image.to_owned()));
    }
    if let Some(stage) = source.strip_prefix("target:") {
        return Ok(ContextSource::Stage(stage.to_owned()));
    }
    if source.contains("://") {
        return Err(
            Failure::usage(format!("--build-context: {source} is not supported yet"))
                .hint("give a folder, host-tools:…, docker-image://… or target:…"),
        );
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
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| wrong("it needs id=ID"))?;
    let content = match (file, variable) {
        (Some(file), _) => {
            std::fs::read(&file).map_err(|error| wrong(&format!("{file}: {error}")))?
        }
        (None, Some(name)) => environment::variable(&name)
            .ok_or_else(|| wrong(&format!("{name} is not set")))?
            .into_bytes(),
        (None, None) => match environment::variable(&id) {
            Some(value) => value.into_bytes(),
            None => std::fs::read(&id).map_err(|error| wrong(&format!("{id}: {error}")))?,
        },
    };
    Ok((id, content))
}
