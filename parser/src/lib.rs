//! Dockerfile text to stage graph. Pure: no I/O, no clock, no environment.
#![forbid(unsafe_code)]

pub mod chmod;
pub mod diagnostic;
pub mod graph;
pub mod image;
pub mod inputs;
pub mod source;
