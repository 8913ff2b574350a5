//! What all streams for machines do: every event is told, and the output of a step before the step's end. Unaware of their form.

use super::logs::{Logs, Output, ended_step};
use super::{Renderer, Sink, Stop};
use kiln_engine::event::Event;

/// A stream for machines.
pub trait Machine: Send {
    /// Tells an event.
    fn tell(&mut self, event: &Event);
    /// Tells that kiln ends at once, which nothing follows.
    fn end(&mut self, why: &str);
    /// Where lines go, the logs, and what tells a piece of one.
    fn output(&mut self) -> (Sink, &mut Logs, impl FnMut(Output<'_>));
}

impl<T: Machine> Renderer for T {
    fn handle(&mut self, event: &Event) {
        if let Some(step) = ended_step(&event.kind) {
            let (_, logs, show) = self.output();
            logs.end(step, show);
        }
        self.tell(event);
    }

    fn tick(&mut self) -> bool {
        let (sink, logs, show) = self.output();
        let is_behind = logs.look(show);
        sink.flush();
        is_behind
    }

    fn stop(&mut self, stop: Stop) {
        if stop == Stop::AtOnce {
            self.end(stop.words());
            self.finish();
        }
    }

    fn finish(&mut self) {
        let (sink, logs, show) = self.output();
        logs.end_all(show);
        sink.flush();
    }
}
