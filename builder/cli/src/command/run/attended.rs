//! A container is attended: here, or in the background. Unaware of how it was made.

use crate::attendant::background::{InBackground, UNSEEN};
use crate::attendant::{self, Streams};
use crate::containers;
use crate::failure::Failure;
use kiln_engine::Session;
use kiln_engine::trial::{Held, Writer};
use kiln_sandbox::Exit;

/// Attends it to its end. In the background, which `line` asks for, that is what is said when it runs.
///
/// # Errors
/// It cannot be started.
pub fn attended(session: Session, held: Held, line: Option<String>) -> Result<Exit, Failure> {
    let draft = &held.record.draft;
    let (is_interactive, stop_signal) = (draft.is_interactive, draft.stop_signal);
    let Some(line) = line else {
        let has_terminal = draft.container.terminal.is_some();
        Streams::check(is_interactive, has_terminal)?;
        let streams = Streams::new(is_interactive, has_terminal, stop_signal);
        return attendant::attended(session, streams, |session, streams| {
            held.run(session, streams.size(), streams)
        });
    };
    let log = Writer::open(&session.store, &held.record.id).map_err(containers::failure)?;
    let background = InBackground::new(line, log, stop_signal, is_interactive);
    attendant::attended(session, background, |session, background| {
        held.run(session, Some(UNSEEN), background)
    })
}
