//! What happens in a build, sorted into the few things that people see of it. Unaware of how these are shown.

use super::steps::Steps;
use super::transfers::{self, Transfer};
use kiln_engine::event::{Event, EventKind, Outcome, Reason};

/// Shows a build to people.
pub trait View {
    /// What is known of the steps.
    fn steps(&mut self) -> &mut Steps;
    /// Shows a line of kiln's own; what it quotes may hold anything.
    fn say(&mut self, line: &str);
    /// Text in a colour, if there are colours.
    fn paint(&self, code: &str, text: &str) -> String;
    /// A step begins, because of what changed.
    fn started(&mut self, step: usize, because: Option<&str>);
    /// A step's command has ended.
    fn finished(&mut self, step: usize, outcome: Outcome, took_us: u64);
    /// A step failed.
    fn failed(&mut self, step: usize, message: &str);
    /// A blob is on its way, or has come.
    fn transfer(&mut self, transfer: &Transfer<'_>);
    /// A stage was kept as an image.
    fn kept(&mut self, stage: &str, id: &str);
    /// The image is built: its name, and lines about it.
    fn image(&mut self, name: &str, lines: &[String]);
    /// How a digest is written: in full, where nothing says otherwise.
    fn digest_as(&self) -> fn(&str) -> &str {
        |digest| digest
    }
    /// What not every view shows.
    fn other(&mut self, _kind: &EventKind) {}
}

/// Shows an event.
pub fn show(view: &mut impl View, event: &Event) {
    view.steps().note(event);
    if let Some(transfer) = Transfer::of(&event.kind) {
        view.transfer(&transfer);
    }
    if let Some(line) = transfers::line(&event.kind, view.digest_as()) {
        view.say(&line);
    }
    match &event.kind {
        EventKind::Started {
            step,
            because,
            reasons,
        } => {
            let because = because.as_deref().filter(|_| tells(reasons));
            view.started(*step, because);
        }
        EventKind::Finished {
            step,
            outcome,
            took_us,
            ..
        } => view.finished(*step, *outcome, *took_us),
        EventKind::Failed { step, message, .. } => view.failed(*step, message),
        EventKind::Warning { message } => said(view, "1;33", "warning", message),
        EventKind::Waiting { host, what } => view.say(&format!("waiting for {host}: {what}")),
        EventKind::Note { message } => said(view, "1;36", "note", message),
        EventKind::StageKept { stage, id, .. } => view.kept(stage, id),
        EventKind::Image {
            id,
            tags,
            layers,
            bytes,
            ..
        } => {
            let (name, lines) = view.steps().image(event.at_us, tags, id, *layers, *bytes);
            view.image(&name, &lines);
        }
        other => view.other(other),
    }
}

/// Whether reasons say more than what somebody has asked for on the command line.
fn tells(reasons: &[Reason]) -> bool {
    let is_asked_for = |reason| matches!(reason, &Reason::NoCache { .. });
    !reasons.iter().all(is_asked_for)
}

fn said(view: &mut impl View, code: &str, word: &str, message: &str) {
    view.say(&format!("{}: {message}", view.paint(code, word)));
}
