//! The time that `SOURCE_DATE_EPOCH` names instead of saying it: of a commit, of a file's last change as its server tells it, or of the
//! newest file in an archive (BuildKit's rules). A folder has none of its own. Unaware of what becomes of the time.

use crate::failure::BuildError;
use crate::request::ContextSource;
use crate::session::Session;
use crate::source::fetch::{Fetches, RemoteSource};
use crate::source::fetched::{file, unpacked};
use crate::source::main_context::MainContext;
use crate::source::open::Build;
use crate::source::policy;
use kiln_cache::Store;
use kiln_oci::Digest;
use kiln_parser::graph::CopySource;
use kiln_parser::inputs::Inputs;
use kiln_parser::{Dockerfile, EpochSource};

/// The argument.
const NAME: &str = "SOURCE_DATE_EPOCH";

/// Puts the time in the place of what the argument names, if it names something.
///
/// # Errors
/// When it names something that does not exist, may not be used or cannot be fetched.
pub(super) fn resolve(
    session: &Session,
    build: &Build,
    dockerfile: &Dockerfile,
    inputs: &mut Inputs,
) -> Result<(), BuildError> {
    if !may_be_named(build) {
        return Ok(());
    }
    let named = kiln_parser::epoch_source(dockerfile, inputs).map_err(BuildError::Dockerfile)?;
    if let Some(source) = named {
        let time = time_of(session, build, source)?;
        let value = time.map_or_else(String::new, |time| time.to_string());
        inputs.language.source_date_epoch = time;
        inputs.language.build_args.insert(NAME.to_owned(), value);
    }
    Ok(())
}

/// Whether the argument may name something; costs nothing for most builds.
fn may_be_named(build: &Build) -> bool {
    match build.language.build_args.get(NAME) {
        Some(value) => !value.is_empty() && value.trim().parse::<i64>().is_err(),
        None => build.language.source_date_epoch.is_none() && build.dockerfile.text.contains(NAME),
    }
}

fn time_of(
    session: &Session,
    build: &Build,
    source: EpochSource,
) -> Result<Option<i64>, BuildError> {
    match source {
        EpochSource::Context => of_context(&session.store, &build.context),
        EpochSource::Named(name) => match build.contexts.get(&name) {
            Some(ContextSource::File { url, checksum }) => {
                of_file(session, build, url, checksum.clone())
            }
            Some(ContextSource::Git(git)) => {
                of_remote(session, build, &CopySource::Git(git.clone()))
            }
            _ => Ok(None),
        },
        EpochSource::Added(mut source) => {
            policy::source(&build.policies, &mut source)?;
            of_remote(session, build, &source)
        }
    }
}

fn of_context(store: &Store, context: &MainContext) -> Result<Option<i64>, BuildError> {
    match context {
        MainContext::Folder(_) => Ok(None),
        MainContext::Files(files) if files.is_archive && files.modified.is_none() => {
            newest(store, files.layer)
        }
        MainContext::Files(files) => Ok(files.modified),
    }
}

fn of_remote(
    session: &Session,
    build: &Build,
    source: &CopySource,
) -> Result<Option<i64>, BuildError> {
    match RemoteSource::of(source) {
        Some(RemoteSource::File(wanted)) => of_file(session, build, &wanted.url, wanted.checksum),
        Some(remote) => {
            let fetched = Fetches::default().get(build.access(session), &remote)?;
            Ok(fetched.modified)
        }
        None => Ok(None),
    }
}

fn of_file(
    session: &Session,
    build: &Build,
    url: &str,
    checksum: Option<String>,
) -> Result<Option<i64>, BuildError> {
    let file = file(build.access(session), &Fetches::default(), url, checksum)?;
    if file.modified.is_some() {
        return Ok(file.modified);
    }
    match unpacked(&session.store, &file, url)? {
        Some(layer) => newest(&session.store, layer),
        None => Ok(None),
    }
}

/// The time of the newest file of an archive that became a layer.
fn newest(store: &Store, layer: Option<Digest>) -> Result<Option<i64>, BuildError> {
    let chain = store.layers().chain(layer.as_slice())?;
    let entries = chain.layers().iter().flat_map(|(tree, _)| tree.entries());
    let files = entries.filter(|entry| entry.is_file());
    Ok(files.map(|file| file.mtime).max())
}
