//! The layers, one of them selected, or all. Unaware of files.

use super::super::keys::Action;
use super::super::subject::Subject;
use super::List;
use kiln_report::lifetimes::Scope;

/// The layers.
#[derive(Debug)]
pub struct Layers {
    /// The first row is all layers, each other one is a layer.
    pub list: List,
    /// Whether the layers below the selected one count too.
    pub with_lower: bool,
    /// Whether those of the base do not.
    pub without_base: bool,
}

impl Layers {
    /// So many; all are selected.
    pub const fn new(count: usize) -> Self {
        Layers {
            list: List::new(count + 1),
            with_lower: false,
            without_base: false,
        }
    }

    /// The position of the layer that is selected; none where all are.
    pub const fn selected(&self) -> Option<usize> {
        self.list.selected.checked_sub(1)
    }

    /// The layers that count.
    pub fn scope(&self, subject: &Subject) -> Scope {
        let whole = subject.whole(self.without_base);
        match self.selected() {
            None => whole,
            Some(at) if self.with_lower && at >= whole.from => Scope { to: at, ..whole },
            Some(at) => Scope { from: at, to: at },
        }
    }

    /// Chooses which layers count.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Alone => self.with_lower = false,
            Action::WithLower => self.with_lower = true,
            Action::Base => self.without_base = !self.without_base,
            _ => {}
        }
    }
}
