//! Failures of the store, of its images and of archives, with what to do about them. Unaware of commands.

use super::{Failure, Fault, Kind};
use crate::units::bytes;
use kiln_cache::{ImageError, LayerError, StoreError};
use kiln_engine::archive::ArchiveError;
use kiln_engine::chain_of_causes;
use kiln_oci::archive::{LoadError, SaveError};
use std::io::ErrorKind;

const SPACE: &str = "free some space, or shrink the store with `kiln prune --max-size SIZE`; `kiln df` shows what is in it";
const NO_ARCHIVE: &str = "kiln load takes what docker save, podman save, skopeo and kiln save write, also compressed; a root file system goes to kiln import";
const DAMAGED: &str = "`kiln fsck --repair` removes what is damaged; the next build makes it again";
const DATABASE_LOST: &str = "`kiln fsck --repair` rebuilds the database from what is left: images come back by ID; names and results of \
    steps, are lost";

/// What helps.
pub(super) fn hint(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::NoSpace { .. } => SPACE,
        StoreError::Owner { .. }
        | StoreError::NotAStore { .. }
        | StoreError::NetworkFilesystem { .. } => {
            "choose another folder with --store DIR or KILN_STORE"
        }
        StoreError::Link { .. } => {
            "set --store DIR to the folder that the link points to, or remove the link"
        }
        StoreError::Newer { .. } => "use that kiln, or another folder with --store DIR",
        StoreError::Version { .. } => {
            "use the version of kiln that created it, or another folder with --store DIR"
        }
        StoreError::DatabaseLost { .. } => DATABASE_LOST,
        StoreError::InUse { .. } => "wait until other kiln processes have ended",
        StoreError::Io { source, .. } if is_forbidden(source.kind()) => {
            "choose a folder that this user can write to, with --store DIR or KILN_STORE"
        }
        StoreError::Missing { .. } | StoreError::Damaged { .. } => DAMAGED,
        _ => return None,
    })
}

fn is_forbidden(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether what came from outside is wrong, not the store.
fn is_of_archive(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Layer(
            LayerError::Tar(_)
                | LayerError::BadName { .. }
                | LayerError::TooMuch { .. }
                | LayerError::LinkTarget { .. }
                | LayerError::Unsupported { .. },
        ) | StoreError::DigestMismatch { .. }
            | StoreError::SizeMismatch { .. }
    )
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::new(Kind::Environment, chain_of_causes(&error)).hints(hint(&error))
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Store(error) => error.into(),
            ImageError::NotFound { .. } => Failure::new(Kind::Build, error.to_string())
                .hint("`kiln images` lists what there is"),
            other => {
                let failure = Failure::new(Kind::Build, chain_of_causes(&other));
                failure.for_fault(Fault::among(&other))
            }
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let fault = Fault::among(&error);
        of_archive(error).for_fault(fault)
    }
}

/// Who is to blame, unless the machine failed.
fn of_archive(error: ArchiveError) -> Failure {
    let text = chain_of_causes(&error);
    let of_kind = |kind| Failure::new(kind, text);
    match error {
        ArchiveError::Image(error) => error.into(),
        ArchiveError::Store(error) if !is_of_archive(&error) => error.into(),
        ArchiveError::MissingBase { ref bases, .. } => of_kind(Kind::Build).hint(missing(bases)),
        ArchiveError::Space { path, needed, free } => {
            let (needed, free, path) = (bytes(needed), bytes(free), path.display());
            let what = format!("they need at least {needed} in {path}, which has {free}");
            let message = format!("no space left for the layers of the archive: {what}");
            Failure::new(Kind::Environment, message).hint(SPACE)
        }
        ArchiveError::Change { .. } => of_kind(Kind::Usage),
        ArchiveError::Load(LoadError::Tar(_)) => of_kind(Kind::Build).hint(NO_ARCHIVE),
        ArchiveError::Save(SaveError::Write(_) | SaveError::Header(_)) => {
            of_kind(Kind::Environment)
        }
        ArchiveError::Save(
            SaveError::Blob { .. } | SaveError::BlobSize { .. } | SaveError::BlobDigest { .. },
        ) => of_kind(Kind::Environment).hint(DAMAGED),
        _ => of_kind(Kind::Build),
    }
}

impl From<kiln_report::image::ImageError> for Failure {
    fn from(error: kiln_report::image::ImageError) -> Self {
        use kiln_report::image::ImageError as Error;
        let (text, fault) = (chain_of_causes(&error), Fault::among(&error));
        match error {
            Error::Store(error) => error.into(),
            Error::LeftOut(_) => {
                Failure::new(Kind::Build, text).hint("load it, and name the image of the store")
            }
            _ => Failure::new(Kind::Build, text).for_fault(fault),
        }
    }
}

fn missing(bases: &[String]) -> String {
    let base = match bases {
        [] => "the base image".to_owned(),
        bases => bases.join(" or "),
    };
    format!("load {base} first, or ask for an archive without --base")
}
