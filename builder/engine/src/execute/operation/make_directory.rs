//! `WORKDIR`: a directory and its missing parents, 0755, owned by the current USER. When all are there, nothing changes.

use super::{accounts, tell_unknown};
use crate::execute::copy::place::{Changes, Placement};
use crate::execute::copy::write::write;
use crate::execute::users::Accounts;
use crate::execute::{Execution, finish};
use crate::failure::StepError;
use crate::plan::output::{Done, Stack};
use kiln_cache::Layer;
use kiln_parser::graph::{Node, NodeId};

/// Looks the step up or executes it.
///
/// # Errors
/// When USER is an impossible number, something else stands in the way, or the store fails.
pub fn execute(
    execution: &Execution<'_>,
    node: &Node,
    base: NodeId,
    path: &str,
    user: &str,
) -> Result<Done, StepError> {
    let base = execution.done(base)?;
    let key = finish(
        execution
            .key("make-directory", node)
            .input("files below", base.stack.content),
    );
    execution.look_up_or_make(node, &base.stack, &key, |now| {
        make(execution, node, &base.stack, path, user, now)
    })
}

fn make(
    execution: &Execution<'_>,
    node: &Node,
    base: &Stack,
    path: &str,
    user: &str,
    now: i64,
) -> Result<Option<Layer>, StepError> {
    let store = &execution.session.store;
    let below = store.layers().chain(&base.layers)?;
    let names = if Accounts::needed_for_owner(user) {
        accounts(&below)?
    } else {
        Accounts::default()
    };
    // As for --chown, and unlike in RUN, a number alone is the group's too: BuildKit makes the folder so.
    let owner = names.owner(user)?;
    tell_unknown(execution, node, &owner);
    let changes = Changes {
        owner: Some((owner.uid, owner.gid)),
        chmod: None,
        now,
        latest: execution.plan.graph.source_date_epoch,
    };
    let mut placement = Placement::new(&below, changes);
    let target = placement.resolve(path.as_bytes())?;
    placement.make_directories(&target)?;
    Ok(write(
        store.layers().writer(&below)?,
        &placement.finish(),
        &[],
        &below,
    )?)
}
