//! What a command says beside its events, as text for people and as an event where a program reads standard error. Unaware of what is said.

use super::{Progress, Renderer, Sink, json, rawjson};
use crate::printable::printable;
use jiff::Timestamp;
use kiln_engine::event::{Event, EventKind};
use std::sync::OnceLock;

/// The stream for programs that is on standard error, if there is one: its form, its name, its beginning.
static STREAM: OnceLock<(Progress, String, Timestamp)> = OnceLock::new();

/// From now on a program reads standard error.
pub fn begin(progress: Progress, build: &str, began: Timestamp) {
    // a command has one stream
    let _ = STREAM.set((progress, build.to_owned(), began));
}

/// Says something that nobody has to act upon.
pub fn note(text: &str) {
    say("note", text, text);
}

/// Says something that may matter later.
pub fn warning(text: &str) {
    say("warning", text, &format!("warning: {text}"));
}

fn say(event: &str, message: &str, text: &str) {
    let sink = Sink::stderr();
    let (message, text) = (printable(message, false), printable(text, false));
    sink.line(&match STREAM.get() {
        Some((Progress::Json, build, began)) => {
            let mut object = json::object(build, *began, event);
            object.insert("message".to_owned(), message.into());
            json::harmless(&serde_json::Value::Object(object).to_string())
        }
        Some((Progress::RawJson, _, began)) => rawjson::failure(*began, "", &text),
        _ => text,
    });
    sink.flush();
}

/// Shows nothing but what may matter to those who do not want to see any work.
#[derive(Debug)]
pub struct Asides;

impl Renderer for Asides {
    fn handle(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Warning { message } => warning(message),
            EventKind::Note { message } => note(message),
            _ => {}
        }
    }
}
