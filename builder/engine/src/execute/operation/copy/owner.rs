//! Who owns what a COPY makes: `--chown`, whose names are those of the files below. Unaware of what is copied.

use crate::execute::operation::{owner_accounts, tell_unknown};
use crate::execute::step::Step;
use crate::execute::users::{Accounts, Owner};
use crate::failure::{CopyError, StepError};
use crate::plan::output::Stack;
use kiln_cache::Store;
use kiln_parser::graph::CopyOp;

/// Who owns the files, where the key needs it: with `--link`, whose key does not cover the files below that list the names.
///
/// # Errors
/// When an id is out of range, or the files below are not available.
pub(super) fn for_key(
    store: &Store,
    copy: &CopyOp,
    base: &Stack,
) -> Result<Option<Owner>, StepError> {
    match &copy.chown {
        Some(chown) if copy.link && Accounts::needed_for_owner(chown) => resolve(store, copy, base),
        _ => Ok(None),
    }
}

/// The ids for what is made now, `known` if the key needed them. Warns of unknown names.
pub(super) fn told(
    step: &Step<'_>,
    copy: &CopyOp,
    known: Option<&Owner>,
    base: &Stack,
) -> Result<Option<(u32, u32)>, StepError> {
    let resolved = match known {
        Some(_) => None,
        None => resolve(&step.session.store, copy, base)?,
    };
    let owner = known.or(resolved.as_ref());
    owner.iter().for_each(|owner| tell_unknown(step, owner));
    Ok(owner.map(|owner| (owner.uid, owner.gid)))
}

/// `--chown` by number, or by the names of the image itself.
fn resolve(store: &Store, copy: &CopyOp, base: &Stack) -> Result<Option<Owner>, StepError> {
    let Some(chown) = &copy.chown else {
        return Ok(None);
    };
    let names = owner_accounts(chown, || store.layers().chain(&base.layers))?;
    let owner = names.owner(chown).map_err(|source| CopyError::Owner {
        chown: chown.clone(),
        source,
    })?;
    Ok(Some(owner))
}
