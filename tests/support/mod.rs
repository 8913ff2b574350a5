//! What all end-to-end tests share: a scratch space for each case, the runner of the binary, the reader of saved images.
//! Unaware of what the cases are about.

pub mod archive;
pub mod binary;
pub mod bucket;
pub mod contained;
pub mod disk;
pub mod emulator;
pub mod engine;
pub mod events;
pub mod golden;
pub mod hostile;
pub mod http;
pub mod image;
pub mod machines;
pub mod mode;
pub mod poison;
pub mod power;
pub mod process;
pub mod processes;
pub mod project;
pub mod random;
pub mod registry;
pub mod repository;
pub mod schema;
pub mod screen;
pub mod space;
pub mod tar;
pub mod traces;
pub mod unread;
pub mod users;

pub use image::Kind;
pub use mode::Mode;
#[allow(unused_imports)]
pub(crate) use mode::{cases, plain_cases, user_cases};
pub use process::{Finished, Kiln};
pub use space::Space;
