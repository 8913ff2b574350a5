//! The files that the selected layers have: what each weighs there, which are admitted, in which order they stand and which folders are
//! open. Unaware of how layers are selected.

use super::super::keys::Action;
use super::super::subject::Subject;
use super::List;
use kiln_report::classify::Class;
use kiln_report::folders::is_named;
use kiln_report::lifetimes::{Lifetimes, Measure, NodeId, Scope, State};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The largest.
    #[default]
    Size,
    /// What wastes most.
    Waste,
    /// The first by name.
    Name,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Order::Size => Order::Waste,
            Order::Waste => Order::Name,
            Order::Name => Order::Size,
        }
    }
}

/// A path in sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which one.
    pub node: NodeId,
    /// How many folders it is in.
    pub depth: usize,
    /// Whether what is in it is shown; nothing for what is empty, and for what is no folder.
    pub is_open: Option<bool>,
}

/// The files.
#[derive(Debug, Default)]
pub struct Files {
    /// The rows.
    pub list: List,
    /// The paths of the rows.
    pub rows: Vec<Row>,
    /// What each path weighs, with all that is admitted in it.
    pub measures: Vec<Measure>,
    /// What each path alone weighs.
    alone: Vec<Measure>,
    /// What comes first.
    pub order: Order,
    /// The only class that counts.
    pub class: Option<Class>,
    /// What paths have to match; everything does where it is empty.
    pub pattern: String,
    /// States that are not shown.
    pub hidden: BTreeSet<State>,
    /// Whether modes and owners are shown.
    pub has_attributes: bool,
    /// Whether folders are open unless something else was said of them.
    is_open: bool,
    /// Folders of which something else was said.
    others: BTreeSet<NodeId>,
}

impl Files {
    /// None yet. What layers leave as it is, is hidden at first.
    pub fn new() -> Self {
        Files {
            hidden: BTreeSet::from([State::Unchanged]),
            ..Files::default()
        }
    }

    /// Takes the files of these layers.
    pub fn look(&mut self, subject: &Subject, scope: Scope) {
        self.alone = subject.paths.measure(&subject.classified, scope);
        self.refresh(subject);
    }

    /// The path that is selected.
    pub fn selected(&self) -> Option<NodeId> {
        let row = self.rows.get(self.list.selected);
        row.map(|row| row.node)
    }

    /// Bytes that count of a path.
    pub fn bytes(&self, measure: &Measure) -> u64 {
        let classes = &measure.classes;
        self.class
            .map_or_else(|| classes.total(), |class| classes.get(class))
    }

    /// Counts everything.
    pub fn admit_all(&mut self) {
        self.pattern.clear();
        self.class = None;
    }

    /// Does what a key asks for.
    pub fn act(&mut self, paths: &Lifetimes, action: Action) {
        match action {
            Action::Open => self.open(),
            Action::Close => self.close(paths),
            Action::Toggle => self.toggle(),
            Action::ToggleAll => {
                self.is_open = !self.is_open;
                self.others.clear();
            }
            Action::Show(state) if self.hidden.remove(&state) => {}
            Action::Show(state) => _ = self.hidden.insert(state),
            Action::Attributes => self.has_attributes = !self.has_attributes,
            Action::Order => self.order = self.order.next(),
            Action::NextClass => self.class = next(self.class, Subject::classes()),
            Action::LastClass => {
                let classes: Vec<Class> = Subject::classes().collect();
                self.class = next(self.class, classes.into_iter().rev());
            }
            _ => {}
        }
    }

    /// Makes the rows anew; what was selected stays so where it is still there.
    pub fn refresh(&mut self, subject: &Subject) {
        let selected = self.selected();
        let paths = &subject.paths;
        let admits = |id: NodeId, measure: &Measure| self.admits(paths, id, measure);
        self.measures = paths.sum(&self.alone, admits);
        let rows = self.unfold(paths, |files, id| files.is_open(id));
        self.rows = rows;
        self.list.recount(self.rows.len());
        let same = self.rows.iter().position(|row| Some(row.node) == selected);
        self.list.select(same.unwrap_or(self.list.selected));
    }

    /// Goes to the next path whose name has `text` in it, wherever it is, or to the one before.
    pub fn search(&mut self, paths: &Lifetimes, text: &str, is_forward: bool) {
        let all = self.unfold(paths, |_, _| true);
        let here = all.iter().position(|row| Some(row.node) == self.selected());
        let (here, count) = (here.unwrap_or_default(), all.len());
        let step = |step: usize| match is_forward {
            true => (here + step) % count,
            false => (here + count - step) % count,
        };
        let mut places = (1..=count).map(|distance| all[step(distance)].node);
        let fits = |id: &NodeId| contains(&paths.node(*id).name, text);
        let Some(found) = places.find(|id| !text.is_empty() && fits(id)) else {
            return;
        };
        let mut above = found;
        while above != 0 {
            above = paths.node(above).parent;
            self.set_open(above, true);
        }
        self.rows = self.unfold(paths, |files, id| files.is_open(id));
        self.list.recount(self.rows.len());
        let row = self.rows.iter().position(|row| row.node == found);
        self.list.select(row.unwrap_or_default());
    }

    fn admits(&self, paths: &Lifetimes, id: NodeId, measure: &Measure) -> bool {
        let is_shown = measure
            .state
            .is_some_and(|state| !self.hidden.contains(&state));
        let has_class = self
            .class
            .is_none_or(|class| measure.classes.get(class) > 0);
        is_shown && has_class && (self.pattern.is_empty() || fits(&self.pattern, &paths.path(id)))
    }

    /// The rows, if folders are open for which `is_open` is true.
    fn unfold(&self, paths: &Lifetimes, is_open: impl Fn(&Self, NodeId) -> bool) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut todo = vec![(0, 0)];
        while let Some((node, depth)) = todo.pop() {
            let mut children = self.children(paths, node);
            let opens = node == 0 || is_open(self, node);
            rows.push(Row {
                node,
                depth,
                is_open: (!children.is_empty()).then_some(opens),
            });
            if opens {
                self.sort(&mut children);
                todo.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
            }
        }
        rows
    }

    /// What is admitted in a folder, by name.
    fn children(&self, paths: &Lifetimes, node: NodeId) -> Vec<NodeId> {
        let children = paths.node(node).children.values().copied();
        children
            .filter(|child| self.measures[*child].is_admitted)
            .collect()
    }

    fn sort(&self, children: &mut [NodeId]) {
        let measure = |child: &NodeId| &self.measures[*child];
        let size = |child: &NodeId| (self.bytes(measure(child)), measure(child).hidden);
        match self.order {
            Order::Name => {}
            Order::Size => children.sort_by_key(|child| Reverse(size(child))),
            Order::Waste => {
                children
                    .sort_by_key(|child| Reverse((measure(child).classes.waste(), size(child))));
            }
        }
    }

    fn is_open(&self, id: NodeId) -> bool {
        let by_default = self.is_open || !self.pattern.is_empty();
        id == 0 || by_default != self.others.contains(&id)
    }

    fn set_open(&mut self, id: NodeId, opens: bool) {
        if self.is_open(id) != opens && !self.others.remove(&id) {
            self.others.insert(id);
        }
    }

    fn toggle(&mut self) {
        if let Some(Row {
            node,
            is_open: Some(is_open),
            ..
        }) = self.row()
        {
            self.set_open(node, !is_open);
        }
    }

    fn open(&mut self) {
        match self.row() {
            Some(Row {
                is_open: Some(true),
                ..
            }) => self.list.select(self.list.selected + 1),
            Some(Row {
                node,
                is_open: Some(false),
                ..
            }) => self.set_open(node, true),
            _ => {}
        }
    }

    fn close(&mut self, paths: &Lifetimes) {
        match self.row() {
            Some(Row {
                node,
                is_open: Some(true),
                ..
            }) if node != 0 => self.set_open(node, false),
            Some(Row { node, .. }) => {
                let parent = paths.node(node).parent;
                let row = self.rows.iter().position(|row| row.node == parent);
                self.list.select(row.unwrap_or_default());
            }
            None => {}
        }
    }

    fn row(&self) -> Option<Row> {
        self.rows.get(self.list.selected).copied()
    }
}

/// The one after another; none after the last.
fn next(class: Option<Class>, mut classes: impl Iterator<Item = Class>) -> Option<Class> {
    match class {
        None => classes.next(),
        Some(class) => classes.skip_while(|other| *other != class).nth(1),
    }
}

/// Whether a path matches what a person wrote: a pattern, or a part of it.
fn fits(pattern: &str, path: &[u8]) -> bool {
    match pattern.contains(['*', '?', '[', '\\']) {
        true => is_named(path, pattern),
        false => contains(path, pattern),
    }
}

/// Whether some text is in a path, in whatever case.
fn contains(path: &[u8], text: &str) -> bool {
    let path = String::from_utf8_lossy(path).to_lowercase();
    path.contains(&text.to_lowercase())
}
