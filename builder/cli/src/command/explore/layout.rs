//! Where the parts of `kiln explore` are on a screen of any size. A small one loses the details first, then one of the two lists. Unaware
//! of what is in them.

use super::browser::Browser;
use super::keys::Pane;
use ratatui::layout::Rect;

/// Rows of the details of a layer, and of a path, with their borders.
const DETAILS: [u16; 2] = [7, 6];
/// Rows that the list of layers has beside details.
const FEWEST: u16 = 6;
/// Columns that both lists need.
const NARROWEST: u16 = 60;
/// Columns that the layers have at most.
const WIDEST: u16 = 84;

/// The parts; what has no room is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// The image, in one line.
    pub title: Rect,
    /// The list of layers.
    pub layers: Rect,
    /// What is said of the selected layer.
    pub layer: Rect,
    /// What is said of the selected path.
    pub path: Rect,
    /// The tree.
    pub files: Rect,
    /// Keys, or what is being written, in one line.
    pub footer: Rect,
}

impl Parts {
    /// The parts of a screen.
    pub fn of(screen: Rect, pane: Pane) -> Self {
        let row = |y, height| Rect {
            y,
            height,
            ..screen
        };
        let height = screen.height.saturating_sub(2);
        let middle = row(screen.y + screen.height.min(1), height);
        let mut parts = Parts {
            title: row(screen.y, screen.height.min(1)),
            footer: row(middle.bottom(), screen.height.saturating_sub(1).min(1)),
            ..Parts::default()
        };
        if screen.width < NARROWEST {
            match pane {
                Pane::Layers => parts.layers = middle,
                Pane::Files => parts.files = middle,
            }
            return parts;
        }
        let width = (screen.width * 41 / 80).min(WIDEST);
        parts.files = Rect {
            x: screen.x + width,
            width: screen.width - width,
            ..middle
        };
        parts.stack(Rect { width, ..middle });
        parts
    }

    /// The layers above their details above those of a path.
    fn stack(&mut self, column: Rect) {
        let mut left = column.height;
        let mut take = |wanted: u16| match left >= wanted + FEWEST {
            true => {
                left -= wanted;
                wanted
            }
            false => 0,
        };
        let tall = column.height / 3;
        let (path, layer) = (take(DETAILS[1].max(tall)), take(DETAILS[0]));
        let part = |y, height| Rect {
            y,
            height,
            ..column
        };
        self.layers = part(column.y, left);
        self.layer = part(self.layers.bottom(), layer);
        self.path = part(self.layer.bottom(), path);
    }

    /// The rows that a browser's lists have here.
    pub fn resize(&self, browser: &mut Browser) {
        let rows = |part: Rect| usize::from(part.height.saturating_sub(2));
        // the tree has a heading
        browser.resize(rows(self.layers), rows(self.files).saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_screen_has_its_list_and_nothing_overlaps() {
        for (width, height) in (0..220)
            .step_by(7)
            .flat_map(|x| (0..70).map(move |y| (x, y)))
        {
            let screen = Rect::new(0, 0, width, height);
            let parts = Parts::of(screen, Pane::Files);
            let all = [
                parts.title,
                parts.layers,
                parts.layer,
                parts.path,
                parts.files,
                parts.footer,
            ];
            let areas = all.iter().map(|part| part.area());
            assert!(
                areas.sum::<u32>() <= screen.area(),
                "{width}x{height} {parts:?}"
            );
            for (at, part) in all.iter().enumerate() {
                assert_eq!(
                    part.intersection(screen),
                    *part,
                    "{width}x{height} {parts:?}"
                );
                assert!(all[..at].iter().all(|other| !other.intersects(*part)));
            }
        }
        let parts = Parts::of(Rect::new(0, 0, 80, 24), Pane::Layers);
        let heights = [parts.layers, parts.layer, parts.path, parts.files].map(|part| part.height);
        assert_eq!(heights, [8, 7, 7, 22]);
    }
}
