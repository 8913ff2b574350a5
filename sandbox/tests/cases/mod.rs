//! All cases, by subject.

mod basics;

use crate::harness::Case;

pub const ALL: &[Case] = &[(
    "a command runs and its output and exit code arrive",
    basics::output_and_code,
)];
