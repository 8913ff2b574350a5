//! The state of `kiln explore`: what is selected, filtered and open, and how each action changes it. Unaware of terminals and of how it is
//! drawn, but for how many rows its lists have.

mod files;
mod layers;
mod list;
mod prompt;

use super::keys::{self, Action, Pane};
use super::subject::Subject;
pub use files::{Files, Order, Row};
pub use layers::Layers;
pub use list::List;
pub use prompt::{Prompt, Purpose};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What has to happen outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is drawn again.
    Draw,
    /// It ends.
    Quit,
    /// It stops until the shell continues it.
    Suspend,
}

/// A browser of one image.
#[derive(Debug)]
pub struct Browser {
    /// The image.
    pub subject: Subject,
    /// The list that has the keys.
    pub pane: Pane,
    /// The layers, one of them selected.
    pub layers: Layers,
    /// The files, one of them selected.
    pub files: Files,
    /// What is being written, if something is.
    pub prompt: Option<Prompt>,
    /// What was searched for.
    pub sought: String,
    /// Whether the keys are shown.
    pub shows_help: bool,
}

impl Browser {
    /// Of an image: all of its layers are shown.
    pub fn new(subject: Subject) -> Self {
        let mut browser = Browser {
            pane: Pane::Layers,
            layers: Layers::new(subject.image.layers.len()),
            files: Files::new(),
            prompt: None,
            sought: String::new(),
            shows_help: false,
            subject,
        };
        browser.look();
        browser
    }

    /// The lists have so many rows from now on.
    pub fn resize(&mut self, layers: usize, files: usize) {
        self.layers.list.resize(layers);
        self.files.list.resize(files);
    }

    /// What a key does.
    pub fn press(&mut self, key: &KeyEvent) -> Outcome {
        let is_interrupt = *key == KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        if self.prompt.is_some() && !is_interrupt {
            self.write(key);
            return Outcome::Draw;
        }
        match keys::action(key, self.pane) {
            Some(Action::Quit) => return Outcome::Quit,
            Some(Action::Suspend) => return Outcome::Suspend,
            _ if self.shows_help => self.shows_help = false,
            Some(action) => self.act(action),
            None => {}
        }
        Outcome::Draw
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Quit | Action::Suspend => {}
            Action::Help => self.shows_help = true,
            Action::Cancel => self.files.admit_all(),
            Action::NextPane => self.pane = self.pane.other(),
            Action::Filter => self.prompt = Some(Prompt::new(Purpose::Filter, &self.files.pattern)),
            Action::Search => self.prompt = Some(Prompt::new(Purpose::Search, "")),
            Action::Next => self.files.search(&self.subject.paths, &self.sought, true),
            Action::Previous => self.files.search(&self.subject.paths, &self.sought, false),
            Action::Move(motion) if self.pane == Pane::Files => self.files.list.go(motion),
            Action::Move(motion) => {
                self.layers.list.go(motion);
                return self.look();
            }
            Action::Alone | Action::WithLower | Action::Base => {
                self.layers.act(action);
                return self.look();
            }
            action => self.files.act(&self.subject.paths, action),
        }
        self.files.refresh(&self.subject);
    }

    /// Takes the files of the selected layers.
    fn look(&mut self) {
        let scope = self.layers.scope(&self.subject);
        self.files.look(&self.subject, scope);
    }

    /// Gives a key to what is being written; a filter counts at once.
    fn write(&mut self, key: &KeyEvent) {
        let Some(mut prompt) = self.prompt.take() else {
            return;
        };
        let is_done = prompt.press(key);
        match prompt.purpose {
            Purpose::Filter => self.files.pattern.clone_from(&prompt.text),
            Purpose::Search if is_done && !prompt.text.is_empty() => {
                self.sought.clone_from(&prompt.text);
                self.files.search(&self.subject.paths, &self.sought, true);
            }
            Purpose::Search => {}
        }
        self.prompt = (!is_done).then_some(prompt);
        self.files.refresh(&self.subject);
    }
}

#[cfg(test)]
pub mod tests;
