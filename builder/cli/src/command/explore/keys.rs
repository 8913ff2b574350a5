//! The keys of `kiln explore`: one table, which the help is made from too. They are dive's where dive has them. A terminal sends Ctrl-M as
//! Enter and Ctrl-Space as NUL. Unaware of what an action does.

use kiln_report::lifetimes::State;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A list that can have the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The layers.
    Layers,
    /// The files.
    Files,
}

impl Pane {
    /// The one that Tab goes to.
    pub fn other(self) -> Self {
        match self {
            Pane::Layers => Pane::Files,
            Pane::Files => Pane::Layers,
        }
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ends the browser.
    Quit,
    /// Stops it, until the shell continues it.
    Suspend,
    /// Shows or hides the keys.
    Help,
    /// Gives the keys to the other list.
    NextPane,
    /// Moves in the list.
    Move(Motion),
    /// Opens a folder, or goes to the first thing in it.
    Open,
    /// Closes a folder, or goes to the one above.
    Close,
    /// Opens or closes a folder.
    Toggle,
    /// Opens or closes all folders.
    ToggleAll,
    /// Shows or hides what the layers leave in this state.
    Show(State),
    /// Shows or hides modes and owners.
    Attributes,
    /// Sorts by the next order.
    Order,
    /// Counts only bytes of the next class.
    NextClass,
    /// Counts only bytes of the class before.
    LastClass,
    /// Asks for a pattern that paths have to match.
    Filter,
    /// Asks for a part of a path to go to.
    Search,
    /// Goes to the next path that was searched for.
    Next,
    /// Goes to the one before.
    Previous,
    /// Shows what the selected layer does.
    Alone,
    /// Shows what the selected layer and those below it do.
    WithLower,
    /// Leaves the base's layers out, or not.
    Base,
    /// Closes the help, or takes filter and class away.
    Cancel,
}

/// A way to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// One up.
    Up,
    /// One down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
}

/// Keys that ask for the same.
#[derive(Debug)]
pub struct Binding {
    keys: &'static [Key],
    /// How the help calls them.
    pub name: &'static str,
    /// The list that must have the focus; either one if this is not set.
    pub pane: Option<Pane>,
    /// What they ask for.
    pub action: Action,
    /// What that is, in a few words; nothing where the help has it in the line before.
    pub what: &'static str,
}

type Key = (KeyModifiers, KeyCode);

const fn key(code: KeyCode) -> Key {
    (KeyModifiers::NONE, code)
}

const fn plain(character: char) -> Key {
    key(KeyCode::Char(character))
}

const fn ctrl(character: char) -> Key {
    (KeyModifiers::CONTROL, KeyCode::Char(character))
}

const fn bind(
    pane: Option<Pane>,
    keys: &'static [Key],
    action: Action,
    (name, what): (&'static str, &'static str),
) -> Binding {
    Binding {
        keys,
        name,
        pane,
        action,
        what,
    }
}

const FILES: Option<Pane> = Some(Pane::Files);
const LAYERS: Option<Pane> = Some(Pane::Layers);

/// All keys; of those that both lists know, the first that fits counts.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    bind(None, &[key(KeyCode::Tab), key(KeyCode::BackTab)], Action::NextPane, ("Tab", "the other list")),
    bind(None, &[key(KeyCode::Up), plain('k')], Action::Move(Motion::Up), ("Up Down j k", "move")),
    bind(None, &[key(KeyCode::Down), plain('j')], Action::Move(Motion::Down), ("", "")),
    bind(None, &[key(KeyCode::PageUp), plain('u')], Action::Move(Motion::PageUp), ("PgUp PgDn u d", "move by a page")),
    bind(None, &[key(KeyCode::PageDown), plain('d')], Action::Move(Motion::PageDown), ("", "")),
    bind(None, &[key(KeyCode::Home), plain('g')], Action::Move(Motion::First), ("Home End g G", "first, last")),
    bind(None, &[key(KeyCode::End), plain('G')], Action::Move(Motion::Last), ("", "")),
    bind(None, &[ctrl('f')], Action::Filter, ("Ctrl-F", "filter by a pattern")),
    bind(None, &[plain('/')], Action::Search, ("/ n N", "search, next, previous")),
    bind(None, &[plain('n')], Action::Next, ("", "")),
    bind(None, &[plain('N')], Action::Previous, ("", "")),
    bind(None, &[plain('c')], Action::NextClass, ("c C", "only one class")),
    bind(None, &[plain('C')], Action::LastClass, ("", "")),
    bind(None, &[plain('s'), ctrl('o')], Action::Order, ("s Ctrl-O", "sort: size, waste, name")),
    bind(None, &[plain('b')], Action::Base, ("b", "with or without base")),
    bind(None, &[key(KeyCode::Esc)], Action::Cancel, ("Esc", "no filter, all classes")),
    bind(None, &[plain('?'), plain('h'), key(KeyCode::F(1))], Action::Help, ("?", "these keys")),
    bind(None, &[ctrl('z')], Action::Suspend, ("Ctrl-Z", "back to the shell")),
    bind(None, &[plain('q'), ctrl('c')], Action::Quit, ("q Ctrl-C", "quit")),
    bind(LAYERS, &[ctrl('l')], Action::Alone, ("Ctrl-L", "what this layer does")),
    bind(LAYERS, &[ctrl('a')], Action::WithLower, ("Ctrl-A", "with the layers below")),
    bind(FILES, &[plain(' ')], Action::Toggle, ("Space", "open or close")),
    bind(FILES, &[ctrl(' ')], Action::ToggleAll, ("Ctrl-Space", "open or close all")),
    bind(FILES, &[key(KeyCode::Right), plain('l')], Action::Open, ("Right Left", "open, close, go up")),
    bind(FILES, &[key(KeyCode::Left)], Action::Close, ("", "")),
    bind(FILES, &[ctrl('a')], Action::Show(State::Added), ("Ctrl-A", "show + added")),
    bind(FILES, &[ctrl('r')], Action::Show(State::Removed), ("Ctrl-R", "show - removed")),
    bind(FILES, &[ctrl('m'), key(KeyCode::Enter)], Action::Show(State::Changed), ("Ctrl-M", "show ~ changed")),
    bind(FILES, &[ctrl('u')], Action::Show(State::Unchanged), ("Ctrl-U", "show unchanged")),
    bind(FILES, &[ctrl('b')], Action::Attributes, ("Ctrl-B", "mode and owner")),
];

/// What a key asks for in a list.
pub fn action(pressed: &KeyEvent, pane: Pane) -> Option<Action> {
    let modifiers = pressed.modifiers - KeyModifiers::SHIFT;
    let is_for = |binding: &&Binding| binding.pane.is_none_or(|only| only == pane);
    let mut bindings = BINDINGS.iter().filter(is_for);
    let found = bindings.find(|binding| binding.keys.contains(&(modifiers, pressed.code)));
    found.map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_one_thing_in_a_list() {
        for pane in [Pane::Layers, Pane::Files] {
            let bindings = BINDINGS
                .iter()
                .filter(|one| one.pane.is_none_or(|only| only == pane));
            let mut keys: Vec<_> = bindings.flat_map(|binding| binding.keys).collect();
            let count = keys.len();
            keys.sort_by_key(|key| format!("{key:?}"));
            keys.dedup();
            assert_eq!(keys.len(), count);
        }
    }

    #[test]
    fn dives_keys_do_what_they_do_there() {
        let pressed = |modifiers, code| KeyEvent::new(code, modifiers);
        let ctrl = |character| pressed(KeyModifiers::CONTROL, KeyCode::Char(character));
        let files = |key| action(&key, Pane::Files);
        assert_eq!(files(ctrl('a')), Some(Action::Show(State::Added)));
        assert_eq!(action(&ctrl('a'), Pane::Layers), Some(Action::WithLower));
        assert_eq!(files(ctrl(' ')), Some(Action::ToggleAll));
        let enter = pressed(KeyModifiers::NONE, KeyCode::Enter);
        assert_eq!(files(enter), files(ctrl('m')));
        let last = pressed(KeyModifiers::SHIFT, KeyCode::Char('G'));
        assert_eq!(files(last), Some(Action::Move(Motion::Last)));
    }
}
