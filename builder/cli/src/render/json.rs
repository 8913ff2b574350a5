//! Events as JSON, one a line, for machines. The shape is `kiln_engine::event::Event`.

use super::{Renderer, Sink};
use kiln_engine::event::Event;

/// Prints each event.
#[derive(Debug)]
pub struct Json {
    sink: Sink,
}

impl Json {
    /// To this place.
    pub fn new(sink: Sink) -> Self {
        Json { sink }
    }
}

impl Renderer for Json {
    fn handle(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            self.sink.line(&line);
        }
    }

    fn tick(&mut self) -> bool {
        self.sink.flush();
        false
    }

    fn finish(&mut self) {
        self.sink.flush();
    }
}
