//! Events as JSON, one a line, on standard error, for machines. The shape is `kiln_engine::event::Event`.

use super::Renderer;
use kiln_engine::event::Event;
use std::io::Write;

/// Prints each event.
#[derive(Debug)]
pub struct Json;

impl Renderer for Json {
    fn handle(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            // A reader that went away must not end the build.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }
}
