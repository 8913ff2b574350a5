//! What the parser sees, as JSON: for tests against other implementations, and for tools.
//! Pure functions; the command line reads and prints.

mod lines;
mod tree;

pub use lines::{ignore_line, words_line};
pub use tree::parse_json;
