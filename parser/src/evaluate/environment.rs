//! The variables of a stage: `ENV` and the `ARG`s in scope.

use std::collections::HashMap;

use crate::words::Variables;

/// Variables in the order of their last assignment, as BuildKit gives them to processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// None where a later assignment took the place.
    entries: Vec<Option<(String, String)>>,
    /// Where each name is, and whether `ENV` set it. Looked up only, never iterated.
    places: HashMap<String, (usize, bool)>,
}

impl Environment {
    /// Sets a variable by `ENV` or from an image.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.put(key, value, true);
    }

    /// Sets a variable by `ARG`, unless `ENV` has set it: that always wins.
    pub(crate) fn set_argument(&mut self, key: &str, value: &str) {
        if !self.places.get(key).is_some_and(|&(_, by_env)| by_env) {
            self.put(key, value, false);
        }
    }

    fn put(&mut self, key: &str, value: &str, by_env: bool) {
        let place = self.entries.len();
        if let Some((old, _)) = self.places.insert(key.to_owned(), (place, by_env)) {
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
        let &(place, _) = self.places.get(name)?;
        self.entries[place]
            .as_ref()
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_assignment_decides_the_order() {
        let mut env = Environment::default();
        env.set_argument("A", "1");
        env.set("B", "2");
        env.set_argument("A", "3");
        env.set_argument("B", "4");
        assert_eq!(env.to_list(), ["B=2", "A=3"]);
        env.set("A", "5");
        env.set_argument("A", "6");
        assert_eq!(env.get("A"), Some("5"));
    }
}
