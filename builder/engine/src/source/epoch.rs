//! The time that `SOURCE_DATE_EPOCH` names instead of saying it: of a commit, of a file's last change as its server tells it, or of the
//! newest file in an archive (BuildKit's rules). A folder has none of its own. Unaware of what becomes of the time.

use super::fetch::{Access, Fetches, Remote};
use super::open::{file, unpacked};
use crate::failure::BuildError;
use crate::plan;
use crate::request::options::{BuildOptions, ContextSource};
use crate::request::policy::apply as policy;
use crate::session::Session;
use kiln_cache::Store;
use kiln_oci::Digest;
use kiln_parser::EpochSource;
use kiln_parser::graph::CopySource;

/// The argument.
const NAME: &str = "SOURCE_DATE_EPOCH";

/// Whether the argument may name something; costs nothing for most builds.
pub(super) fn may_be_named(options: &BuildOptions) -> bool {
    match options.build_args.get(NAME) {
        Some(value) => !value.is_empty() && value.trim().parse::<i64>().is_err(),
        None => options.source_date_epoch.is_none() && options.dockerfile.text.contains(NAME),
    }
}

/// The options with the time that is named; none where nothing is.
///
/// # Errors
/// When something is named that is none, may not be used, or cannot be had.
pub(crate) fn resolved(
    session: &Session,
    options: &BuildOptions,
) -> Result<Option<BuildOptions>, BuildError> {
    if !may_be_named(options) {
        return Ok(None);
    }
    let parsed = kiln_parser::parse(&options.dockerfile.text);
    if parsed.has_errors() {
        return Ok(None); // which the build itself will tell
    }
    let named = kiln_parser::epoch_source(&parsed.dockerfile, &plan::inputs(options));
    let Some(source) = named.map_err(BuildError::Dockerfile)? else {
        return Ok(None);
    };
    let time = time_of(session, options, source)?;
    let mut options = options.clone();
    options.source_date_epoch = time;
    let value = time.map_or_else(String::new, |time| time.to_string());
    options.build_args.insert(NAME.to_owned(), value);
    Ok(Some(options))
}

fn time_of(
    session: &Session,
    options: &BuildOptions,
    source: EpochSource,
) -> Result<Option<i64>, BuildError> {
    match source {
        EpochSource::Context => Ok(options.context_time),
        EpochSource::Named(name) => match options.contexts.get(&name) {
            Some(ContextSource::File { url, checksum }) => {
                of_file(session, options, url, checksum.clone())
            }
            Some(ContextSource::Git(git)) => {
                of_remote(session, options, &CopySource::Git(git.clone()))
            }
            _ => Ok(None),
        },
        EpochSource::Added(mut source) => {
            policy::source(options, &mut source)?;
            of_remote(session, options, &source)
        }
    }
}

fn of_remote(
    session: &Session,
    options: &BuildOptions,
    source: &CopySource,
) -> Result<Option<i64>, BuildError> {
    match Remote::of(source) {
        Some(Remote::File(wanted)) => of_file(session, options, &wanted.url, wanted.checksum),
        Some(remote) => {
            let access = Access::of(session, options);
            Ok(Fetches::default().get(access, &remote)?.modified)
        }
        None => Ok(None),
    }
}

fn of_file(
    session: &Session,
    options: &BuildOptions,
    url: &str,
    checksum: Option<String>,
) -> Result<Option<i64>, BuildError> {
    let access = Access::of(session, options);
    let file = file(access, &Fetches::default(), url, checksum)?;
    if file.modified.is_some() {
        return Ok(file.modified);
    }
    match unpacked(&session.store, &file, url)? {
        Some(layer) => newest(&session.store, layer),
        None => Ok(None),
    }
}

/// The time of the newest file of an archive that became a layer.
pub(super) fn newest(store: &Store, layer: Option<Digest>) -> Result<Option<i64>, BuildError> {
    let chain = store.layers().chain(layer.as_slice())?;
    let entries = chain.layers().iter().flat_map(|(tree, _)| tree.entries());
    let files = entries.filter(|entry| entry.is_file());
    Ok(files.map(|file| file.mtime).max())
}
