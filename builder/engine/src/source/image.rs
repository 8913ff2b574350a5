//! Base images: what the store has, else what a registry has. A store that is only read takes nothing: what the registry says counts then, without
//! a copy. Unaware of what is built on them.

use std::collections::BTreeMap;

use kiln_cache::{ImageError, StoreError, StoredImage, is_whole_id, parallel};
use kiln_oci::{Digest, ImageConfig, Platform, Reference};
use kiln_parser::inputs::ImageRequest;

use super::daemon::Held;
use crate::failure::{MissingImage, RemoteError, chain_of_causes};
use crate::request::Pull;
use crate::session::Session;
use crate::transfer::remote::{Looked, look, pull};

/// Registries that are asked at once.
const AT_ONCE: usize = 8;

/// An image of the store with its config.
pub type Base = (StoredImage, ImageConfig);

/// Finds the images, in the order of the requests. Those that the store lacks, or has for another platform only, are taken from the
/// session's daemon or pulled; `when` says whether registries are asked about all of them, or about none. An image for another platform that is
/// in no index is better than none, as in BuildKit; the rule `InvalidBaseImagePlatform` reports it.
///
/// # Errors
/// The store fails: that says nothing of what it has.
pub fn find(
    session: &Session,
    requests: &[ImageRequest],
    when: Pull,
) -> Result<Vec<Result<Base, MissingImage>>, StoreError> {
    let here = requests
        .iter()
        .map(|request| at_hand(session, request, when));
    let here = here.collect::<Result<Vec<_>, _>>()?;
    if when == Pull::Never {
        let here = here.into_iter().map(|found| found.map_err(unasked));
        return Ok(here.collect());
    }
    let both = requests.iter().zip(&here);
    let wanted = both.filter(|(request, found)| is_wanted(session, request, found, when));
    let wanted: BTreeMap<Name, _> = wanted
        .map(|(request, _)| (name(request), request))
        .collect();
    if wanted.is_empty() || session.remote.is_offline() {
        return Ok(here);
    }
    let pulled = pull_all(session, wanted)?;
    let outcome = |(request, here): (&ImageRequest, Result<Base, MissingImage>)| match pulled
        .get(&name(request))
    {
        None => Ok(here),
        Some(Ok(None)) => in_store(session, request),
        Some(Ok(Some(looked))) => Ok(as_base(request, looked)),
        Some(Err(failure)) => Ok(without(session, request, when, failure, here)),
    };
    requests.iter().zip(here).map(outcome).collect()
}

/// What the daemon means by the name, else what the store does: as in the daemon's own builder, no registry is asked then but with `--pull`.
fn at_hand(
    session: &Session,
    request: &ImageRequest,
    when: Pull,
) -> Result<Result<Base, MissingImage>, StoreError> {
    let own = in_store(session, request)?;
    let is_id = is_whole_id(&request.reference);
    if when == Pull::Always || is_id || session.remote.daemon.is_none() {
        return Ok(own);
    }
    match Held::find(session, request) {
        None => Ok(own),
        Some(held) if own.as_ref().is_ok_and(|own| held.is(own)) => Ok(own),
        Some(held) => of_daemon(session, request, &held, own),
    }
}

/// An image that the daemon has. What came from there before has no name in the store, but the daemon's ID. If it does not come, what the store
/// has must do.
fn of_daemon(
    session: &Session,
    request: &ImageRequest,
    held: &Held,
    own: Result<Base, MissingImage>,
) -> Result<Result<Base, MissingImage>, StoreError> {
    let known = in_store(session, &by_id(request, held.id().to_owned()))?;
    if known.is_ok() || session.store.is_read_only() {
        return Ok(known.or(own));
    }
    let problem = match held.take(session) {
        Ok(id) => return in_store(session, &by_id(request, id)),
        Err(problem) => format!("the daemon has it, but it does not come: {problem}"),
    };
    if own.is_ok() {
        let name = &request.reference;
        let warning = format!("{name}: {problem}; what the store has is used");
        session.events.warn(warning);
    }
    Ok(own.map_err(|missing| MissingImage {
        problem: Some(problem),
        ..missing
    }))
}

fn by_id(request: &ImageRequest, reference: String) -> ImageRequest {
    ImageRequest {
        reference,
        ..request.clone()
    }
}

/// What is pulled once: a reference for a platform.
type Name = (String, String);

fn name(request: &ImageRequest) -> Name {
    (request.reference.clone(), request.platform.to_string())
}

/// Whether registries are asked for an image. They know nothing of one that is named by its ID, as an image from a layout is.
fn is_wanted(
    session: &Session,
    request: &ImageRequest,
    found: &Result<Base, MissingImage>,
    when: Pull,
) -> bool {
    let is_id = is_whole_id(&request.reference)
        || found.is_ok() && is_named_by_id(session, &request.reference);
    let refresh = matches!(when, Pull::Always | Pull::Newer);
    !is_id && (refresh || !found.as_ref().is_ok_and(|base| fits(request, base)))
}

/// Whether the image of the store has this ID, rather than this name.
fn is_named_by_id(session: &Session, reference: &str) -> bool {
    let meant = session.store.images().meant_by_id(reference);
    meant.is_ok_and(|meant| meant.is_some())
}

/// Why an image could not be pulled, in words.
struct PullFailure {
    problem: String,
    hint: Option<String>,
    is_not_found: bool,
}

impl PullFailure {
    fn why(&self) -> &str {
        match self.is_not_found {
            true => "no registry has it",
            false => &self.problem,
        }
    }
}

/// What came of pulling an image: it is in the store now, or what it is where the store takes nothing.
type PulledBase = Result<Option<Looked>, PullFailure>;

/// Pulls several at once.
fn pull_all(
    session: &Session,
    wanted: BTreeMap<Name, &ImageRequest>,
) -> Result<BTreeMap<Name, PulledBase>, StoreError> {
    let requests: Vec<&ImageRequest> = wanted.values().copied().collect();
    let pulled = parallel(&requests, AT_ONCE, |request| {
        match pull_one(session, &request.reference, &request.platform) {
            Ok(looked) => Ok(Ok(looked)),
            Err(RemoteError::Store(error) | RemoteError::Image(ImageError::Store(error)))
                if error.is_of_store() =>
            {
                Err(error)
            }
            Err(error) => Ok(Err(PullFailure {
                problem: chain_of_causes(&error),
                hint: error.hint(),
                is_not_found: error.is_not_found(),
            })),
        }
    });
    let pulled = pulled.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(wanted.into_keys().zip(pulled).collect())
}

fn pull_one(
    session: &Session,
    name: &str,
    platform: &Platform,
) -> Result<Option<Looked>, RemoteError> {
    let (remote, store) = (&session.remote, &session.store);
    let reference = Reference::parse(name)?;
    match store.is_read_only() {
        true => look(remote, &reference, platform).map(Some),
        false => pull(remote, store, &reference, platform).map(|_| None),
    }
}

/// An image that is only looked at.
fn as_base(request: &ImageRequest, looked: &Looked) -> Result<Base, MissingImage> {
    let config = ImageConfig::parse(&looked.config);
    let config = config.map_err(|error| missing(request, Some(error.to_string())))?;
    let image = StoredImage {
        manifest_digest: Digest::of(&looked.manifest),
        manifest: looked.manifest.clone(),
        config_digest: Digest::of(&looked.config),
        config: looked.config.clone(),
        diff_ids: config.rootfs.diff_ids.clone(),
        index: None,
    };
    Ok((image, config))
}

/// What there is when the registry gives nothing. An image that was only ever made here cannot be refreshed, which is no failure.
fn without(
    session: &Session,
    request: &ImageRequest,
    when: Pull,
    failure: &PullFailure,
    here: Result<Base, MissingImage>,
) -> Result<Base, MissingImage> {
    let problem = &failure.problem;
    let (missing, problem) = match here {
        Ok(base) if failure.is_not_found || when == Pull::Newer || !fits(request, &base) => {
            let (name, why) = (&request.reference, failure.why());
            let warning = format!("{name}: {why}; what the store has is used");
            session.events.warn(warning);
            return Ok(base);
        }
        Ok(_) => {
            let problem = format!("it cannot be refreshed: {problem}");
            (missing(request, None), problem)
        }
        Err(missing) => {
            let here = missing.problem.as_deref();
            let here = here.unwrap_or("the store does not have it");
            let problem = format!("{here}, and it cannot be pulled: {problem}");
            (missing, problem)
        }
    };
    Err(MissingImage {
        problem: Some(problem),
        hint: failure.hint.clone(),
        ..missing
    })
}

/// What is not here, and no registry may be asked for.
fn unasked(missing: MissingImage) -> MissingImage {
    let problem = "the store does not have it, and --pull=never asks no registry";
    MissingImage {
        hint: Some(format!("pull it before: kiln pull {}", missing.reference)),
        problem: missing.problem.or_else(|| Some(problem.to_owned())),
        ..missing
    }
}

fn missing(request: &ImageRequest, problem: Option<String>) -> MissingImage {
    MissingImage {
        reference: request.reference.clone(),
        span: request.span,
        problem,
        hint: None,
        near: None,
    }
}

fn in_store(
    session: &Session,
    request: &ImageRequest,
) -> Result<Result<Base, MissingImage>, StoreError> {
    let missing = |problem| missing(request, problem);
    let images = session.store.images();
    let image = match images.find_base(&request.reference, Some(&request.platform)) {
        Ok(image) => image,
        Err(ImageError::NotFound { .. }) => return Ok(Err(missing(None))),
        Err(ImageError::Store(error)) if error.is_of_store() => return Err(error),
        Err(other) => return Ok(Err(missing(Some(chain_of_causes(&other))))),
    };
    let config = ImageConfig::parse(&image.config);
    let config = config.map_err(|error| missing(Some(error.to_string())));
    Ok(config.map(|config| (image, config)))
}

/// Whether an image is for the platform that is asked for.
fn fits(request: &ImageRequest, (_, config): &Base) -> bool {
    request.platform.rank(&config.platform()).is_some()
}
