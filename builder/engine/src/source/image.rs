//! Base images: what the store has, else what a registry has. Unaware of what is built on them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use kiln_cache::{ImageError, StoredImage, is_whole_id, on_threads};
use kiln_oci::{ImageConfig, Platform, Reference};
use kiln_parser::inputs::ImageRequest;

use crate::failure::MissingImage;
use crate::request::Pull;
use crate::session::Session;
use crate::transfer::remote::{RemoteError, pull};

/// Registries that are asked at once.
const AT_ONCE: usize = 8;

/// An image of the store with its config.
pub type Base = (StoredImage, ImageConfig);

/// Finds the images, in the order of the requests. Those that the store lacks, or has for another platform only, are pulled; `when` says
/// whether registries are asked about all of them, or about none. An image for another platform that is in no index is better than none,
/// as in BuildKit; the rule `InvalidBaseImagePlatform` tells of it.
pub fn find(
    session: &Session,
    requests: &[ImageRequest],
    when: Pull,
) -> Vec<Result<Base, MissingImage>> {
    let here = requests.iter().map(|request| in_store(session, request));
    if when == Pull::Never {
        return here.map(|found| found.map_err(unasked)).collect();
    }
    let here: Vec<_> = here.collect();
    let refresh = matches!(when, Pull::Always | Pull::Newer);
    let mut wanted: BTreeMap<(&str, String), &ImageRequest> = BTreeMap::new();
    for (request, found) in requests.iter().zip(&here) {
        // what is named by its ID, as an image from a layout, is no name that a registry knows
        let is_id = is_whole_id(&request.reference)
            || found.is_ok() && is_named_by_id(session, &request.reference);
        if !is_id && (refresh || !found.as_ref().is_ok_and(|base| fits(request, base))) {
            wanted.insert((&request.reference, request.platform.to_string()), request);
        }
    }
    if wanted.is_empty() || session.remote.is_offline() {
        return here;
    }
    let pulled = pull_all(session, &wanted);
    let outcome = |(request, here): (&ImageRequest, Result<Base, MissingImage>)| {
        let key = (request.reference.clone(), request.platform.to_string());
        match (pulled.get(&key), here) {
            (None, here) => here,
            (Some(None), _) => in_store(session, request),
            (Some(Some(failure)), here) => without(session, request, when, failure, here),
        }
    };
    requests.iter().zip(here).map(outcome).collect()
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

/// Pulls all at once; `None` for those that went well.
fn pull_all(
    session: &Session,
    wanted: &BTreeMap<(&str, String), &ImageRequest>,
) -> BTreeMap<(String, String), Option<PullFailure>> {
    let todo = Mutex::new(wanted.values().copied().collect::<Vec<_>>());
    let outcomes = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let next = todo.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(request) = next else { return };
            let outcome = pull_one(session, &request.reference, &request.platform).err();
            let failure = outcome.map(|error| PullFailure {
                problem: crate::chain_of_causes(&error),
                hint: error.hint(),
                is_not_found: error.is_not_found(),
            });
            let key = (request.reference.clone(), request.platform.to_string());
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            outcomes.insert(key, failure);
        }
    };
    on_threads(wanted.len().min(AT_ONCE), work);
    outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

fn pull_one(session: &Session, name: &str, platform: &Platform) -> Result<(), RemoteError> {
    let reference = Reference::parse(name)?;
    pull(&session.remote, &session.store, &reference, platform).map(drop)
}

/// The registry gave nothing. What was only ever made here is refreshed in vain, which is no failure.
fn without(
    session: &Session,
    request: &ImageRequest,
    when: Pull,
    failure: &PullFailure,
    here: Result<Base, MissingImage>,
) -> Result<Base, MissingImage> {
    match here {
        Ok(base) if failure.is_not_found || when == Pull::Newer || !fits(request, &base) => {
            session.events.warn(format!(
                "{}: {}; what the store has is used",
                request.reference,
                if failure.is_not_found {
                    "no registry has it"
                } else {
                    &failure.problem
                }
            ));
            Ok(base)
        }
        Ok(_) => Err(MissingImage {
            problem: Some(format!("it cannot be refreshed: {}", failure.problem)),
            hint: failure.hint.clone(),
            ..missing(request, None)
        }),
        Err(missing) => {
            let here = missing
                .problem
                .unwrap_or_else(|| "the store does not have it".to_owned());
            Err(MissingImage {
                problem: Some(format!(
                    "{here}, and it cannot be pulled: {}",
                    failure.problem
                )),
                hint: failure.hint.clone(),
                ..missing
            })
        }
    }
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
    }
}

fn in_store(session: &Session, request: &ImageRequest) -> Result<Base, MissingImage> {
    let missing = |problem| missing(request, problem);
    let image = session
        .store
        .images()
        .find_base(&request.reference, Some(&request.platform))
        .map_err(|error| match error {
            ImageError::NotFound { .. } => missing(None),
            other => missing(Some(crate::chain_of_causes(&other))),
        })?;
    let config =
        ImageConfig::parse(&image.config).map_err(|error| missing(Some(error.to_string())))?;
    Ok((image, config))
}

/// Whether an image is for the platform that is asked for.
fn fits(request: &ImageRequest, (_, config): &Base) -> bool {
    request.platform.rank(&config.platform()).is_some()
}
