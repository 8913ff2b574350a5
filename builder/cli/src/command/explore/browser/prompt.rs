//! A line that is being written. Unaware of what becomes of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A pattern for paths.
    Filter,
    /// A part of a path.
    Search,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    /// What is written so far.
    pub text: String,
    /// What it was before, to which Esc returns.
    before: String,
}

/// Characters that a line has at most.
const LONGEST: usize = 1000;

impl Prompt {
    /// A line that begins with what it was before.
    pub fn new(purpose: Purpose, before: &str) -> Self {
        Prompt {
            purpose,
            text: before.to_owned(),
            before: before.to_owned(),
        }
    }

    /// Takes a key; whether the line is complete.
    pub fn press(&mut self, key: &KeyEvent) -> bool {
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return true,
            KeyCode::Esc => {
                let before = std::mem::take(&mut self.before);
                self.text = match self.purpose {
                    Purpose::Filter => before,
                    Purpose::Search => String::new(),
                };
                return true;
            }
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char('u') if is_ctrl => self.text.clear(),
            KeyCode::Char('f') if is_ctrl => return true,
            KeyCode::Char(letter) if !is_ctrl && self.text.len() < LONGEST => {
                self.text.push(letter)
            }
            _ => {}
        }
        false
    }
}
