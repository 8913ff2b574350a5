//! buildx's `imagetools`: images as registries have them, shown and put together. Nothing of them comes into the store. Unaware of builds.

mod combine;
pub mod create;
mod fields;
pub mod inspect;
mod whole;

use crate::environment::Globals;
use crate::failure::{Failure, Fault, Kind};
use crate::{network, render};
use kiln_engine::chain_of_causes;
use kiln_engine::event::Cancel;
use kiln_oci::http::{Notice, Observer};
use kiln_oci::registry::{Client, Error};
use kiln_oci::{Digest, DocumentError, Reference};

/// The way to registries.
fn registries(globals: &Globals) -> Result<Client, Failure> {
    if globals.offline {
        return Err(Failure::usage("--offline: this asks registries only"));
    }
    let observer = Observer::new(|notice| {
        if let Notice::Warning(text) = notice {
            render::warning(&text);
        }
    });
    network::client(
        globals,
        network::http(globals, &Cancel::default(), observer),
    )
}

/// A name as people write it; `latest` without a tag.
fn reference(text: &str) -> Result<Reference, Failure> {
    let reference = Reference::parse(text);
    let wrong = |error| Failure::usage(format!("{text}: {error}"));
    Ok(reference.map_err(wrong)?.with_default_tag())
}

/// What the repository of a name has under a digest.
fn under(name: &Reference, digest: Digest) -> Reference {
    Reference {
        digest: Some(digest),
        ..name.clone()
    }
}

/// What a registry says against it, in words.
fn refused(error: Error) -> Failure {
    let failure = Failure::new(Kind::Build, chain_of_causes(&error));
    let fault = Fault::among(&error);
    failure.hints(error.hint()).for_fault(fault)
}

fn malformed(error: DocumentError) -> Failure {
    Failure::new(Kind::Build, chain_of_causes(&error))
}
