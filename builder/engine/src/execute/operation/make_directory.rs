//! `WORKDIR`: a directory and its missing parents, 0755, owned by the current USER. When all are there, nothing changes.

use super::{owner_accounts, tell_unknown};
use crate::execute::copy::place::{Changes, Placement};
use crate::execute::copy::write::write;
use crate::execute::key::{BELOW, Key};
use crate::execute::step::Step;
use crate::failure::StepError;
use crate::plan::output::Stack;
use kiln_cache::Layer;
use kiln_oci::Digest;

/// What decides about the result: the operation, and the files below.
pub fn key(definition: Digest, below: Digest) -> Key {
    let key = Key::begin("make-directory", definition);
    key.input(BELOW, below).into()
}

/// Makes the directory on top of `base`.
///
/// # Errors
/// When USER is an impossible number, something else stands in the way, or the store fails.
pub fn make(
    step: &Step<'_>,
    base: &Stack,
    (path, user): (&str, &str),
    now: i64,
) -> Result<Option<Layer>, StepError> {
    let store = &step.session.store;
    let below = store.layers().chain(&base.layers)?;
    // As for --chown, and unlike in RUN, a number alone is the group's too: BuildKit makes the folder so.
    let owner = owner_accounts(user, || Ok(below.clone()))?.owner(user)?;
    tell_unknown(step, &owner);
    let changes = Changes {
        owner: Some((owner.uid, owner.gid)),
        chmod: None,
        now,
        epoch: step.epoch,
    };
    let mut placement = Placement::new(&below, changes);
    let target = placement.resolve(path.as_bytes())?;
    placement.make_directories(&target)?;
    let writer = store.layers().writer(&below)?;
    Ok(write(step, writer, &placement.finish(), (&[], &below))?)
}
