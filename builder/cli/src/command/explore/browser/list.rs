//! A list of which one row is selected and some are in sight. Unaware of what the rows are.

use super::super::keys::Motion;

/// Where a list stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct List {
    /// How many rows there are.
    pub count: usize,
    /// The one that is selected.
    pub selected: usize,
    /// The first one in sight.
    pub top: usize,
    /// How many are in sight.
    height: usize,
}

impl List {
    /// Of so many rows, the first one selected.
    pub const fn new(count: usize) -> Self {
        List {
            count,
            selected: 0,
            top: 0,
            height: 1,
        }
    }

    /// The rows in sight.
    pub fn sight(&self) -> std::ops::Range<usize> {
        self.top..self.count.min(self.top + self.height)
    }

    /// So many rows are in sight from now on.
    pub fn resize(&mut self, height: usize) {
        self.height = height.max(1);
        self.select(self.selected);
    }

    /// There are so many rows from now on.
    pub fn recount(&mut self, count: usize) {
        self.count = count;
        self.select(self.selected);
    }

    /// Moves.
    pub fn go(&mut self, motion: Motion) {
        let page = self.height.saturating_sub(1).max(1);
        self.select(match motion {
            Motion::Up => self.selected.saturating_sub(1),
            Motion::Down => self.selected + 1,
            Motion::PageUp => self.selected.saturating_sub(page),
            Motion::PageDown => self.selected + page,
            Motion::First => 0,
            Motion::Last => self.count,
        });
    }

    /// Selects a row, or the last one, and brings it in sight.
    pub fn select(&mut self, row: usize) {
        self.selected = row.min(self.count.saturating_sub(1));
        let lowest = (self.selected + 1).saturating_sub(self.height.max(1));
        let last_page = self.count.saturating_sub(self.height);
        self.top = self.top.min(last_page).clamp(lowest, self.selected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_selected_is_in_sight() {
        let mut list = List::new(10);
        list.resize(4);
        let steps = [
            (Motion::Up, 0, 0..4),
            (Motion::PageDown, 3, 0..4),
            (Motion::Down, 4, 1..5),
            (Motion::Last, 9, 6..10),
            (Motion::PageUp, 6, 6..10),
            (Motion::Up, 5, 5..9),
            (Motion::First, 0, 0..4),
        ];
        for (motion, selected, sight) in steps {
            list.go(motion);
            assert_eq!(
                (list.selected, list.sight()),
                (selected, sight),
                "{motion:?}"
            );
        }
        list.go(Motion::Last);
        list.resize(20);
        assert_eq!(list.sight(), 0..10);
        list.recount(0);
        assert_eq!((list.selected, list.sight()), (0, 0..0));
    }
}
