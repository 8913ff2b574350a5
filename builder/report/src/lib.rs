//! Sizes and differences of images: what people who make images smaller want to know. Reads the store; unaware of builds,
//! mounts and terminals.
#![forbid(unsafe_code)]

pub mod history;
pub mod sharing;
