//! What a container in the background has printed, and prints. Unaware of builds.

use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::printable::printed;
use crate::{containers, moment, stdout};
use clap::Args;
use jiff::Timestamp;
use kiln_cache::Store;
use kiln_engine::trial::{Kept, Line, LoggedLine, Logs, Stream};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

/// How often a log is looked at that is followed.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
#[group(skip)]
pub struct Flags {
    /// Of a container: go on until it ends
    #[arg(short, long, add = Takes::Switch)]
    follow: bool,
    /// Of a container: show only the last so many lines, or all
    #[arg(short = 'n', long, value_name = "NUMBER", add = Takes::Single)]
    tail: Option<String>,
    /// Of a container: say when each line was printed
    #[arg(short, long, add = Takes::Switch)]
    timestamps: bool,
    /// Of a container: show only what was printed at this time or later, such as 10m (ago) or 2026-01-31T12:00:00
    #[arg(long, value_name = "TIME", add = Takes::Single)]
    since: Option<String>,
    /// Of a container: show only what was printed until this time, and follow no longer
    #[arg(long, value_name = "TIME", add = Takes::Single)]
    until: Option<String>,
    /// No effect: containers have no labels that could be shown
    #[arg(long, hide = true, add = Takes::Switch)]
    details: bool,
}

/// What is shown of a log.
struct Shown {
    logs: Logs,
    since: Timestamp,
    until: Timestamp,
    /// Whether what comes was printed after all of it.
    is_over: bool,
}

impl Shown {
    /// The next line; none where no more is written now, or is shown.
    fn next_line(&mut self) -> Result<Option<LoggedLine>, Failure> {
        while !self.is_over
            && let Some(line) = self.logs.next_line().map_err(damaged)?
        {
            let at = line.time.parse().unwrap_or(self.since);
            self.is_over = at > self.until;
            if (self.since..=self.until).contains(&at) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

impl Flags {
    /// That they are not given for a build.
    ///
    /// # Errors
    /// One is.
    pub fn refuse(&self) -> Result<(), Failure> {
        let times = [&self.tail, &self.since, &self.until];
        if !self.follow && !self.timestamps && times.iter().all(|given| given.is_none()) {
            return Ok(());
        }
        let message = "--follow, --tail, --timestamps, --since and --until are for containers";
        Err(Failure::usage(message).hint("`kiln ps -a` lists containers"))
    }

    /// Shows what a container has printed.
    ///
    /// # Errors
    /// It has no log, or that cannot be read.
    pub fn show(&self, store: &Store, kept: &Kept) -> Result<(), Failure> {
        let tail = self.tail()?;
        let since = time("--since", self.since.as_deref())?.unwrap_or(Timestamp::MIN);
        let until = time("--until", self.until.as_deref())?.unwrap_or(Timestamp::MAX);
        let Some(logs) = Logs::open(store, &kept.record.id) else {
            let message = format!("the container {} has no log", kept.title());
            let failure = Failure::new(Kind::Build, message);
            return Err(failure.hint("only a container in the background (-d) has one"));
        };
        let mut logs = Shown {
            logs,
            since,
            until,
            is_over: false,
        };
        self.show_last(&mut logs, tail)?;
        if self.follow && kept.runs() {
            self.follow(&mut logs, Line::to(store, kept).ok())?;
        }
        Ok(())
    }

    fn tail(&self) -> Result<Option<usize>, Failure> {
        match self.tail.as_deref() {
            None | Some("all") => Ok(None),
            Some(text) => {
                let wrong = |_| Failure::usage(format!("--tail {text}: expected a number or all"));
                // docker's -1 means all
                let count: i64 = text.parse().map_err(wrong)?;
                Ok(usize::try_from(count).ok())
            }
        }
    }

    /// Shows what there is.
    fn show_last(&self, logs: &mut Shown, tail: Option<usize>) -> Result<(), Failure> {
        let Some(count) = tail else {
            return self.show_all(logs);
        };
        let mut last: VecDeque<LoggedLine> = VecDeque::new();
        while let Some(line) = logs.next_line()? {
            last.push_back(line);
            if last.len() > count {
                last.pop_front();
            }
        }
        last.iter().for_each(|line| self.print(line));
        Ok(())
    }

    fn show_all(&self, logs: &mut Shown) -> Result<(), Failure> {
        while let Some(line) = logs.next_line()? {
            self.print(&line);
        }
        Ok(())
    }

    /// Shows what is added until the container ends, or the time until which is shown; without a line to it, it has ended meanwhile.
    fn follow(&self, logs: &mut Shown, mut line: Option<Line>) -> Result<(), Failure> {
        while let Some(open) = &mut line
            && stdout::is_open()
            && !logs.is_over
        {
            // before the last look at what was printed by then
            let is_late = Timestamp::now() > logs.until;
            let ended = open.wait(Some(LOOK)).map_err(containers::failure)?;
            if ended.is_some() || is_late {
                line = None;
            }
            self.show_all(logs)?;
        }
        self.show_all(logs)
    }

    fn print(&self, line: &LoggedLine) {
        let mut text = match self.timestamps {
            true => format!("{} ", line.time).into_bytes(),
            false => Vec::new(),
        };
        match stdout::is_terminal() {
            true => text.extend(on_terminal(&line.text).into_bytes()),
            false => text.extend(&line.text),
        }
        match line.stream {
            Stream::Out => stdout::print(&text),
            // nobody may read it
            Stream::Err => drop(io::stderr().write_all(&text)),
        }
    }
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let wrong = |text: &str| {
        Failure::usage(format!(
            "{flag} {text}: expected a time such as 10m or 2026-01-31"
        ))
    };
    let read = |text| moment::read(text).ok_or_else(|| wrong(text));
    text.map(read).transpose()
}

/// No control bytes, but for the end of the line.
fn on_terminal(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let body = text.trim_end_matches(['\n', '\r']);
    let end = if text.ends_with('\n') { "\n" } else { "" };
    format!("{}{end}", printed(body))
}

fn damaged(error: io::Error) -> Failure {
    let message = format!("the log of the container cannot be read: {error}");
    Failure::new(Kind::Environment, message)
}
