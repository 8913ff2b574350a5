//! Commands, their streams, codes and errors.

use crate::harness::{Ground, note};

pub fn output_and_code(ground: &Ground) {
    let outcome = ground.sh("upper", "echo out; echo err >&2; exit 3");
    outcome.expect(3, "out\nerr\n");
    note(&format!(
        "{} {:?}",
        ground.entered.ids.key(),
        ground.entered.note
    ));
}
