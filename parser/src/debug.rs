//! What the parser sees, as JSON: for tests against other implementations, and for tools. Unaware of input and output, which are the
//! command line's.

mod lines;
mod tree;

pub use lines::{ignore_line, words_line};
pub use tree::parse_json;
