//! Layers: foreign tars, our own, and the way from tree to tar to directory and back.

mod commit;
mod copied;
mod foreign;
mod forms;
mod roundtrip;
