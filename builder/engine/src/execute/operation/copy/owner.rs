//! Who owns what a COPY makes: `--chown`, whose names are those of the files below. Unaware of what is copied.

use super::super::{accounts, tell_unknown};
use crate::execute::Execution;
use crate::execute::users::{Accounts, Owner};
use crate::failure::{CopyError, StepError};
use crate::plan::output::Stack;
use kiln_cache::{Chain, StoreError};
use kiln_parser::graph::{CopyOp, Node};

/// Who owns the files, where names say so and the files below, which list them, are no part of the key: of `--link`.
///
/// # Errors
/// When an id is out of range, or the files below cannot be had.
pub(super) fn for_key(
    execution: &Execution<'_>,
    copy: &CopyOp,
    base: &Stack,
) -> Result<Option<Owner>, StepError> {
    match &copy.chown {
        Some(chown) if copy.link && Accounts::needed_for_owner(chown) => resolve(copy, || {
            execution.session.store.layers().chain(&base.layers)
        }),
        _ => Ok(None),
    }
}

/// The ids for what is made now, as far as the key did not need them; who is unknown is told.
///
/// # Errors
/// As [`for_key`].
pub(super) fn told(
    execution: &Execution<'_>,
    node: &Node,
    copy: &CopyOp,
    known: Option<Owner>,
    base: &Stack,
) -> Result<Option<(u32, u32)>, StepError> {
    let owner = match known {
        Some(owner) => Some(owner),
        None => resolve(copy, || {
            execution.session.store.layers().chain(&base.layers)
        })?,
    };
    if let Some(owner) = &owner {
        tell_unknown(execution, node, owner);
    }
    Ok(owner.map(|owner| (owner.uid, owner.gid)))
}

/// `--chown` by number, or by the names of the image itself.
///
/// # Errors
/// As [`for_key`].
fn resolve(
    copy: &CopyOp,
    files: impl FnOnce() -> Result<Chain, StoreError>,
) -> Result<Option<Owner>, StepError> {
    let Some(chown) = &copy.chown else {
        return Ok(None);
    };
    let names = if Accounts::needed_for_owner(chown) {
        accounts(&files()?)?
    } else {
        Accounts::default()
    };
    let owner = names.owner(chown).map_err(|source| CopyError::Owner {
        chown: chown.clone(),
        source,
    })?;
    Ok(Some(owner))
}
