//! The variables of a stage: `ENV` and the `ARG`s in scope. Unaware of how values are expanded.

use std::collections::HashMap;

use crate::words::Variables;

/// Variables in the order of their last assignment, as BuildKit gives them to processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// None where a later assignment took over.
    entries: Vec<Option<(String, String)>>,
    /// Where each name is. Looked up only, never iterated.
    places: HashMap<String, usize>,
}

impl Environment {
    /// Sets a variable, by `ENV`, by `ARG` or from an image: the last one wins. (Docker's reference says that `ENV` always wins over
    /// `ARG`; BuildKit lets a later `ARG` win, and Dockerfiles rely on that.)
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let place = self.entries.len();
        if let Some(old) = self.places.insert(key.to_owned(), place) {
            self.entries[old] = None;
        }
        self.entries.push(Some((key.to_owned(), value.to_owned())));
    }

    /// The names of all variables, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flatten().map(|(key, _)| key.as_str())
    }

    /// `KEY=value`, in order.
    pub(crate) fn to_list(&self) -> Vec<String> {
        let entries = self.entries.iter().flatten();
        entries
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}

impl Variables for Environment {
    fn get(&self, name: &str) -> Option<&str> {
        let &place = self.places.get(name)?;
        self.entries[place]
            .as_ref()
            .map(|(_, value)| value.as_str())
    }
}

/// `ENV` as the image's config stores it: a variable keeps the position of its first assignment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageEnv {
    entries: Vec<(String, String)>,
    /// Looked up only, never iterated.
    places: HashMap<String, usize>,
}

impl ImageEnv {
    /// Reads `KEY=value` entries. Of several with one key the last value counts.
    pub(crate) fn read(entries: &[String]) -> Self {
        let mut env = ImageEnv::default();
        for entry in entries {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            env.set(key, value);
        }
        env
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        match self.places.get(key) {
            Some(&place) => value.clone_into(&mut self.entries[place].1),
            None => {
                self.places.insert(key.to_owned(), self.entries.len());
                self.entries.push((key.to_owned(), value.to_owned()));
            }
        }
    }

    /// Whether a variable is set.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Keys and values, in order.
    pub(crate) fn entries(&self) -> &[(String, String)] {
        &self.entries
    }

    /// `KEY=value`, in order.
    pub(crate) fn to_list(&self) -> Vec<String> {
        self.entries
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}

/// The `ARG`s that a stage has declared, each once, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    entries: Vec<(String, Option<String>)>,
    /// Looked up only, never iterated.
    places: HashMap<String, usize>,
}

impl Arguments {
    /// Declares an argument; a later declaration changes the value.
    pub(crate) fn declare(&mut self, name: &str, value: Option<String>) {
        match self.places.get(name) {
            Some(&place) => self.entries[place].1 = value,
            None => {
                self.places.insert(name.to_owned(), self.entries.len());
                self.entries.push((name.to_owned(), value));
            }
        }
    }

    /// Whether an argument is declared.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Names and values, in order.
    pub(crate) fn entries(&self) -> &[(String, Option<String>)] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_assignment_decides_the_order() {
        let mut env = Environment::default();
        env.set("A", "1");
        env.set("B", "2");
        env.set("A", "3");
        env.set("B", "4");
        assert_eq!(env.to_list(), ["A=3", "B=4"]);
        env.set("A", "5");
        env.set("A", "6");
        assert_eq!(env.get("A"), Some("6"));
    }

    #[test]
    fn the_image_keeps_the_first_place() {
        let mut env = ImageEnv::read(&["A=1".to_owned(), "B".to_owned(), "A=2".to_owned()]);
        env.set("B", "3");
        env.set("C", "x=y");
        assert_eq!(env.to_list(), ["A=2", "B=3", "C=x=y"]);
        assert!(env.contains("C") && !env.contains("D"));
    }

    #[test]
    fn arguments_are_declared_once() {
        let mut arguments = Arguments::default();
        arguments.declare("A", None);
        arguments.declare("B", None);
        arguments.declare("A", Some("1".to_owned()));
        assert_eq!(
            arguments.entries()[0],
            ("A".to_owned(), Some("1".to_owned()))
        );
        assert_eq!(arguments.entries().len(), 2);
    }
}
