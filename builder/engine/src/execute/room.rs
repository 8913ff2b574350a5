//! Room on a full disk, in the middle of a build: what fails for want of it is done once more, after the store was cut back by all that no
//! build holds. Unaware of what is written.

use crate::failure::{StepError, chain_of_causes};
use crate::session::Session;
use kiln_oci::units::bytes;

/// Does something that writes, and once more where there was no room and some could be made.
///
/// # Errors
/// Those of the work.
pub fn with_room<T>(
    session: &Session,
    work: impl Fn() -> Result<T, StepError>,
) -> Result<T, StepError> {
    match work() {
        Err(error) if error.is_full() && is_made(session) => work(),
        done => done,
    }
}

/// Makes room; whether there was something to remove.
pub fn is_made(session: &Session) -> bool {
    match session.store.garbage().rescue(&session.budget) {
        Ok(0) => false,
        Ok(freed) => {
            let text = format!(
                "the disk is full: {} of the store that no build needs are removed",
                bytes(freed)
            );
            session.events.note(text);
            true
        }
        Err(error) => {
            tracing::warn!("no room can be made: {}", chain_of_causes(&error));
            false
        }
    }
}
