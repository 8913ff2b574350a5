//! Events as JSON, one a line, for machines: those of the build, what steps print, and how the command ended. docs/events.md tells the
//! shapes; those of the build's events are `kiln_engine::event::Event`. Unaware of what the events mean.

use super::Sink;
use super::logs::{Logs, Output};
use super::machine::Machine;
use crate::signals;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use kiln_engine::event::{EVENT_VERSION, Event};
use serde_json::{Map, Value, json};

/// Prints each event.
#[derive(Debug)]
pub struct Json {
    sink: Sink,
    logs: Logs,
    /// The build, and when it began, as events tell.
    build: String,
    began: Option<Timestamp>,
}

impl Json {
    /// To this place.
    pub fn new(sink: Sink) -> Self {
        Json {
            sink,
            logs: Logs::default(),
            build: String::new(),
            began: None,
        }
    }

    fn learn(&mut self, event: &Event) {
        if self.began.is_none() {
            self.build.clone_from(&event.build);
            let micros = i64::try_from(event.at_us).unwrap_or_default();
            self.began = Some(event.time - jiff::SignedDuration::from_micros(micros));
        }
    }
}

impl Machine for Json {
    fn tell(&mut self, event: &Event) {
        self.learn(event);
        self.logs.note(event);
        if let Ok(line) = serde_json::to_string(event) {
            self.sink.line(&harmless(&line));
        }
    }

    fn end(&mut self, why: &str) {
        let mut event = object(&self.build, self.began.unwrap_or_default(), "ended");
        event.insert("version".to_owned(), EVENT_VERSION.into());
        let code = signals::received().map_or(0, |kind| kind as u8);
        event.insert("exit_code".to_owned(), code.into());
        event.insert("messages".to_owned(), json!([why]));
        event.insert("causes".to_owned(), json!([]));
        event.insert("hints".to_owned(), json!([]));
        event.insert("details".to_owned(), "".into());
        self.sink.line(&harmless(&Value::Object(event).to_string()));
    }

    fn output(&mut self) -> (Sink, &mut Logs, impl FnMut(Output<'_>)) {
        let Json { sink, logs, .. } = self;
        let (to, build, began) = (&*sink, &self.build, self.began.unwrap_or_default());
        let show = move |piece: Output<'_>| {
            let mut event = object(build, began, "output");
            event.insert("step".to_owned(), piece.step.into());
            let (name, text) = match std::str::from_utf8(piece.bytes) {
                Ok(text) => ("text", text.to_owned()),
                Err(_) => ("base64", BASE64_STANDARD.encode(piece.bytes)),
            };
            event.insert(name.to_owned(), text.into());
            to.line(&harmless(&Value::Object(event).to_string()));
        };
        (sink.clone(), logs, show)
    }
}

/// An event of the command line's own, which happens now.
pub fn object(build: &str, began: Timestamp, event: &str) -> Map<String, Value> {
    let now = Timestamp::now().max(began);
    let at_us = now.duration_since(began).as_micros();
    let head = json!({
        "build": build,
        "time": now.to_string(),
        "at_us": u64::try_from(at_us).unwrap_or_default(),
        "event": event,
    });
    match head {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// JSON that steers no terminal: control characters that it may hold as they are (DEL, C1) are escaped. It has none outside of strings.
pub fn harmless(json: &str) -> String {
    let is_control = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
    if !json.contains(is_control) {
        return json.to_owned();
    }
    let escaped = |c: char| match is_control(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_ten_thousand_steps_comes_before_their_ends() {
        use crate::render::Renderer;
        use kiln_engine::event::{EventKind, Events, LogFile, Outcome};
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stream");
        let (log, mut out) = LogFile::new(folder.path()).unwrap();
        out.write_all(b"one\ntwo").unwrap();
        let mut json = Json::new(Sink::file(std::fs::File::create(&file).unwrap()));
        let (events, stream) = Events::new("b".to_owned());
        for step in 0..10_000 {
            let path = log.clone();
            events.send(EventKind::Log { step, path });
            events.send(EventKind::Finished {
                step,
                outcome: Outcome::Ran,
                took_us: 1,
                bytes: None,
                key: None,
                used: None,
            });
        }
        drop(events);
        while let Ok(event) = stream.next(std::time::Duration::ZERO) {
            json.handle(&event);
        }
        json.finish();
        let text = std::fs::read_to_string(&file).unwrap();
        let told: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(told.len(), 40_000);
        for (step, told) in told.chunks(4).enumerate() {
            assert!(told.iter().all(|event| event["step"] == step));
            let kinds: Vec<&str> = told
                .iter()
                .filter_map(|event| event["event"].as_str())
                .collect();
            assert_eq!(kinds, ["log", "output", "output", "finished"]);
            assert_eq!(
                (&told[1]["text"], &told[2]["text"]),
                (&json!("one\n"), &json!("two"))
            );
        }
    }

    #[test]
    fn no_control_character_is_left_and_none_is_lost() {
        let text = "a\u{1b}\u{7f}\u{9b}é\n";
        let line = harmless(&Value::from(text).to_string());
        assert!(!line.contains(char::is_control), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
