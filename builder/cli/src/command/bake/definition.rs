//! Which files are read, and what is said where they are wrong. Unaware of what they define.

use super::Arguments;
use super::remote::Remote;
use crate::diagnostics;
use crate::environment;
use crate::failure::{Failure, Kind};
use crate::pflag::boolean;
use crate::render::{self, Progress};
use kiln_bake::{Base, Definition, Error, Finding, Host, Options, Source};
use kiln_oci::Platform;
use kiln_parser::source::Span;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is read where no file is named, if it is there.
const USUAL: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];
/// A file of more bytes is refused.
const LARGEST: u64 = 8 << 20;

/// Files that were read, and what they define.
pub struct Read {
    sources: Vec<Source>,
    definition: Definition,
}

/// Reads the files, which are in the remote tree if there is one.
///
/// # Errors
/// One is not there, or wrong.
pub fn read(arguments: &Arguments, remote: Option<&Remote>) -> Result<Read, Failure> {
    let sources = sources(arguments, remote)?;
    let options = options(arguments, remote)?;
    let definition = kiln_bake::read(&sources, &Machine(remote), &options);
    match definition {
        Ok(definition) => Ok(Read {
            sources,
            definition,
        }),
        Err(error) => Err(failure(&sources, &error)),
    }
}

impl Read {
    /// What the files define.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// What is said of an error.
    pub fn failure(&self, error: &Error) -> Failure {
        failure(&self.sources, error)
    }

    /// Tells what is odd in the files.
    pub fn warn(&self, progress: Progress) {
        if progress == Progress::Quiet {
            return;
        }
        for found in self.definition.warnings() {
            let place = found
                .place
                .and_then(|place| place_of(&self.sources, place.file, place));
            let at = place.map_or(String::new(), |(source, span)| {
                let column = source.text[..span.start()].rsplit('\n').next();
                let column = column.map_or(1, |before| before.chars().count() + 1);
                format!("{}:{}:{column}: ", source.name, source.line(span.start()))
            });
            let help = found.help.iter().map(|help| format!(" ({help})"));
            let help: String = help.collect();
            render::warning(&format!("{at}{}{help}", found.message));
        }
    }
}

fn place_of(
    sources: &[Source],
    file: usize,
    place: kiln_bake::Place,
) -> Option<(diagnostics::Source<'_>, Span)> {
    let Source { name, text } = sources.get(file)?;
    // a part of a text may be cut where there is no character
    let start = text.floor_char_boundary(place.start);
    let end = text.ceil_char_boundary(place.end.max(start));
    Some((diagnostics::Source { name, text }, Span::new(start, end)))
}

fn failure(sources: &[Source], error: &Error) -> Failure {
    let Finding {
        message,
        place,
        help,
    } = error.finding();
    let color = environment::color(std::io::stderr().is_terminal());
    let place = place.and_then(|place| place_of(sources, place.file, place));
    let Some((source, span)) = place else {
        return Failure::new(Kind::Build, message).hints(help.clone());
    };
    let help: Vec<String> = help.iter().cloned().collect();
    let shown = diagnostics::Place {
        help: &help,
        ..diagnostics::Place::new(source, span)
    };
    let line = source.line(span.start());
    Failure::new(Kind::Build, format!("{} cannot be used", source.name))
        .details(shown.point(message, color))
        .causes([(message.clone(), line)])
}

fn sources(arguments: &Arguments, remote: Option<&Remote>) -> Result<Vec<Source>, Failure> {
    let named = match arguments.file.is_empty() {
        true => of_environment(),
        false => arguments.file.clone(),
    };
    let mut sources = Vec::new();
    let is_local = |name: &&String| remote.is_none() || name.starts_with("cwd://");
    let (local, in_tree): (Vec<_>, Vec<_>) = named.iter().partition(is_local);
    if let Some(remote) = remote {
        sources.extend(remote.sources(&in_tree, &USUAL)?);
    }
    for name in local {
        sources.push(source(name.strip_prefix("cwd://").unwrap_or(name))?);
    }
    if named.is_empty() && remote.is_none() {
        for name in USUAL.iter().filter(|name| Path::new(name).exists()) {
            sources.push(source(name)?);
        }
    }
    match sources.is_empty() {
        true => Err(Failure::new(Kind::Build, "couldn't find a bake definition")
            .hint("name files with -f FILE; docker-bake.hcl and docker-bake.json are found")),
        false => Ok(sources),
    }
}

/// The files of `BUILDX_BAKE_FILE`.
fn of_environment() -> Vec<String> {
    let files = environment::variable("BUILDX_BAKE_FILE").unwrap_or_default();
    let separator = environment::variable("BUILDX_BAKE_PATH_SEPARATOR");
    let separator = separator.filter(|text| !text.is_empty());
    let separator = separator.unwrap_or_else(|| ":".to_owned());
    let files = files.split(separator.as_str()).map(str::trim);
    files
        .filter(|file| !file.is_empty())
        .map(str::to_owned)
        .collect()
}

fn source(name: &str) -> Result<Source, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Failure::new(Kind::Build, format!("there is no file {name}")),
        _ => Failure::of_file(Path::new(name), &error),
    };
    let mut bytes = Vec::new();
    let read = match name {
        "-" => std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes),
        name => File::open(name).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
    };
    read.map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("{name} has more than {LARGEST} bytes");
        return Err(Failure::new(Kind::Build, message));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Failure::new(Kind::Build, format!("{name} is no UTF-8")))?;
    Ok(Source {
        name: if name == "-" { "stdin" } else { name }.to_owned(),
        text,
    })
}

/// `--var`.
fn variables(arguments: &Arguments) -> Result<BTreeMap<String, String>, Failure> {
    let mut variables = BTreeMap::new();
    for text in &arguments.var {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let wrong = || Failure::usage(format!("--var {text}: expected NAME=VALUE"));
        let (name, value) = pair.ok_or_else(wrong)?;
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

fn options(arguments: &Arguments, remote: Option<&Remote>) -> Result<Options, Failure> {
    let platform = Platform::host().to_string();
    let built_in = [
        (
            "BAKE_CMD_CONTEXT",
            remote.map_or("cwd://", Remote::command_context).to_owned(),
        ),
        ("BAKE_LOCAL_PLATFORM", platform),
    ];
    let ignores = environment::variable("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP");
    Ok(Options {
        variables: variables(arguments)?,
        built_in: built_in
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ignores_environment: ignores.as_deref().and_then(boolean) == Some(true),
        base: remote.map_or(Base::Here, Remote::base),
    })
}

/// What definitions ask of this machine, but for files that are where they are.
struct Machine<'a>(Option<&'a Remote>);

impl Host for Machine<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        environment::variable(name)
    }

    fn read(&self, path: &str) -> Result<String, String> {
        if let Some(remote) = self.0.filter(|_| path != ".env") {
            return remote.text(path);
        }
        let unread = |error: std::io::Error| error.to_string();
        let file = File::open(path).map_err(unread)?;
        let mut text = String::new();
        file.take(LARGEST)
            .read_to_string(&mut text)
            .map_err(unread)?;
        Ok(text)
    }

    fn home(&self) -> Option<String> {
        environment::variable("HOME")
    }

    fn seconds(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let _ = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
        bytes
    }
}
