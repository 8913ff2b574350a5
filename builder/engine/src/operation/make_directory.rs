//! `WORKDIR`: a directory and its missing parents, 0755, owned by the current USER. When all are there, nothing changes.

use super::accounts;
use crate::copy::CopyError;
use crate::copy::place::{Changes, Placement};
use crate::copy::write::write;
use crate::execute::{Execution, finish};
use crate::failure::StepError;
use crate::output::Done;
use crate::users::Accounts;
use kiln_parser::graph::{Node, NodeId};
use std::time::Instant;

/// Looks the step up or executes it.
///
/// # Errors
/// When USER is unknown, something else stands in the way, or the store fails.
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
    if let Some(done) = execution.cached(node, &base.stack, &key)? {
        return Ok(done);
    }
    let _lock = execution.lock(node)?;
    if let Some(done) = execution.cached(node, &base.stack, &key)? {
        return Ok(done);
    }
    execution.started(node, Some(&key));
    let begun = (Instant::now(), execution.now());
    let store = &execution.session.store;
    let below = store.chain(&base.stack.layers)?;
    let names = if Accounts::needed_for(user) {
        accounts(&below)?
    } else {
        Accounts::default()
    };
    let identity = names.identity(user)?;
    let changes = Changes {
        owner: Some((identity.uid, identity.gid)),
        chmod: None,
        now: begun.1,
        latest: execution.plan.graph.source_date_epoch,
    };
    let mut placement = Placement::new(&below, changes);
    let target = placement.resolve(path.as_bytes())?;
    placement.make_directories(&target)?;
    let layer = write(store.layer_writer(&below)?, &placement.finish(), &[])
        .map_err(|error: CopyError| StepError::Copy(error))?;
    execution.ran(node, begun.0);
    execution.settle(node, &base.stack, &key, layer.as_ref(), begun)
}
