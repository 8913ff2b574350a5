//! What a caller asks of one build: plain data. Unaware of how the command line spells it and of how it is done.

pub mod annotations;
pub mod options;
pub mod policy;
