//! How a command ended, as the last thing that it tells: in streams for machines as an event, so that nothing else stands there. Unaware of
//! what it did.

use super::{Progress, Sink, aside, json, rawjson};
use crate::failure::Failure;
use crate::printable::unstyled;
use clap::ValueEnum;
use jiff::Timestamp;
use kiln_engine::event::EVENT_VERSION;
use kiln_engine::without_codes;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

/// What tells how a command ended.
#[derive(Debug)]
pub struct Ending {
    progress: Progress,
    /// Where progress goes instead of standard error.
    logfile: Option<PathBuf>,
    build: String,
    began: Timestamp,
}

impl Ending {
    /// Of a command whose events carry the name `build`, and that begins now.
    pub fn new(progress: Progress, logfile: Option<PathBuf>, build: &str) -> Self {
        let began = Timestamp::now();
        if progress.is_for_machines() && logfile.is_none() {
            aside::begin(progress, build, began);
        }
        Ending {
            progress,
            logfile,
            build: build.to_owned(),
            began,
        }
    }

    /// Of a command line that was not understood, as far as it says how progress is shown.
    pub fn of_line(words: impl Iterator<Item = OsString>) -> Self {
        let mut progress = Progress::Auto;
        let mut is_value = false;
        for word in words {
            let word = word.to_string_lossy();
            let value = word.strip_prefix("--progress=");
            let value = value.or(Some(&*word).filter(|_| is_value));
            is_value = word == "--progress";
            let named = value.and_then(|name| Progress::from_str(name, false).ok());
            progress = named.unwrap_or(progress);
        }
        Ending::new(progress, None, "")
    }

    /// Tells it. A failure on standard error is told when the command reports it.
    ///
    /// # Errors
    /// Those of the command.
    pub fn tell(self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        let Some(line) = self.line(outcome.as_ref().err()) else {
            return outcome;
        };
        match (&self.logfile, outcome) {
            (Some(file), outcome) => {
                if let Ok(file) = File::options().append(true).open(file) {
                    tell(&Sink::file(file), &line);
                }
                outcome
            }
            (None, Err(failure)) => Err(failure.told_as(line)),
            (None, Ok(())) => {
                tell(&Sink::stderr(), &line);
                Ok(())
            }
        }
    }

    /// What stands in the stream; nothing in those for people.
    fn line(&self, failure: Option<&Failure>) -> Option<String> {
        match (self.progress, failure) {
            (Progress::Json, failure) => Some(self.ended(failure)),
            (Progress::RawJson, Some(failure)) => {
                let hints = failure.hints.iter().map(|hint| format!("hint: {hint}\n"));
                let hints: String = hints.collect();
                let details = unstyled(&failure.details);
                let message = failure.messages.join("; ");
                let more = format!("{}\n{hints}", details.trim_end());
                Some(rawjson::failure(self.began, &message, more.trim_start()))
            }
            _ => None,
        }
    }

    fn ended(&self, failure: Option<&Failure>) -> String {
        let mut event = json::object(&self.build, self.began, "ended");
        let code = failure.map_or(0, |failure| failure.kind() as u8);
        event.insert("version".to_owned(), EVENT_VERSION.into());
        event.insert("exit_code".to_owned(), code.into());
        if let Some(failure) = failure {
            let cause =
                |(message, line): &(String, u32)| json!({ "message": message, "line": line });
            let causes: Vec<Value> = failure.causes.iter().map(cause).collect();
            let messages = failure.messages.iter().map(|text| without_codes(text));
            event.insert("messages".to_owned(), messages.collect());
            event.insert("causes".to_owned(), causes.into());
            event.insert("hints".to_owned(), json!(failure.hints));
            let details = unstyled(&failure.details);
            event.insert("details".to_owned(), details.trim_end().into());
        }
        json::harmless(&Value::Object(event).to_string())
    }
}

fn tell(sink: &Sink, line: &str) {
    sink.line(line);
    sink.flush();
}
