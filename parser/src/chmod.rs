//! `--chmod`: octal and symbolic modes. Unaware of files; it maps a mode to a mode.
//!
//! The symbolic grammar is chmod(1)'s without `=` of other classes (`g=u`):
//! `[ugoa]*([-+=][rwxXst]*)+` separated by commas. No umask is applied: an empty class is `a`.

use serde::Serialize;

/// A parsed `--chmod`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chmod {
    /// Replaces the mode, at most 0o7777.
    Octal(u32),
    /// Applied one after another.
    Symbolic(Vec<Clause>),
}

/// One step of a symbolic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Clause {
    /// The classes it touches, as the bits they own (`u` is 0o4700, `g` 0o2070, `o` 0o1007).
    pub who: u32,
    /// What to do with them.
    pub action: Action,
    /// The permissions, as bits of all classes.
    pub bits: u32,
    /// `X`: execution too, for directories and what somebody may execute already.
    pub execute_if: bool,
}

/// What a clause does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `+`
    Add,
    /// `-`
    Remove,
    /// `=`
    Set,
}

impl Chmod {
    /// Reads `0755`, `u=rwX,go=rX`, … None if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Chmod::Octal(mode));
        }
        let mut clauses = Vec::new();
        for group in text.split(',') {
            parse_group(group, &mut clauses)?;
        }
        Some(Chmod::Symbolic(clauses))
    }

    /// The new mode (07777) of something whose mode is `mode`.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Chmod::Octal(mode) => *mode,
            Chmod::Symbolic(clauses) => clauses.iter().fold(mode & 0o7777, |mode, clause| {
                clause.apply(mode, is_directory)
            }),
        }
    }
}

impl Clause {
    fn apply(self, mode: u32, is_directory: bool) -> u32 {
        let mut bits = self.bits;
        if self.execute_if && (is_directory || mode & 0o111 != 0) {
            bits |= 0o111;
        }
        let bits = bits & self.who;
        match self.action {
            Action::Add => mode | bits,
            Action::Remove => mode & !bits,
            Action::Set => (mode & !self.who) | bits,
        }
    }
}

fn parse_group(group: &str, clauses: &mut Vec<Clause>) -> Option<()> {
    let actions_at = group.find(['+', '-', '='])?;
    let (classes, mut actions) = group.split_at(actions_at);
    let mut who = 0;
    for class in classes.chars() {
        who |= match class {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => 0o7777,
            _ => return None,
        };
    }
    if classes.is_empty() {
        who = 0o7777;
    }
    while !actions.is_empty() {
        let rest = actions[1..]
            .find(['+', '-', '='])
            .map_or("", |at| &actions[at + 1..]);
        let this = &actions[..actions.len() - rest.len()];
        clauses.push(parse_action(who, this)?);
        actions = rest;
    }
    Some(())
}

fn parse_action(who: u32, text: &str) -> Option<Clause> {
    let action = match text.as_bytes().first()? {
        b'+' => Action::Add,
        b'-' => Action::Remove,
        _ => Action::Set,
    };
    let mut clause = Clause {
        who,
        action,
        bits: 0,
        execute_if: false,
    };
    for permission in text[1..].chars() {
        match permission {
            'r' => clause.bits |= 0o444,
            'w' => clause.bits |= 0o222,
            'x' => clause.bits |= 0o111,
            'X' => clause.execute_if = true,
            's' => clause.bits |= 0o6000,
            't' => clause.bits |= 0o1000,
            _ => return None,
        }
    }
    Some(clause)
}
