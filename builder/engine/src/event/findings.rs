//! What is found in a Dockerfile and does not stop its build: by rules before it begins, and by steps while they run, on all
//! threads. It is kept, so that it is shown even when the build fails later. Unaware of steps.

use kiln_parser::diagnostic::Diagnostic;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Warnings of one build.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    by_rules: Vec<Diagnostic>,
    by_steps: Vec<Diagnostic>,
}

impl Findings {
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what rules found, in the order in which it is shown.
    pub fn by_rules(&self, warnings: Vec<Diagnostic>) {
        self.lock().by_rules.extend(warnings);
    }

    /// Adds what a step found. False if it is known: the same step may have run for several platforms.
    pub fn by_step(&self, warning: &Diagnostic) -> bool {
        let mut found = self.lock();
        let is_new = !found.by_steps.contains(warning);
        if is_new {
            found.by_steps.push(warning.clone());
        }
        is_new
    }

    /// All of them: first those of rules, then those of steps in the order of the Dockerfile.
    #[must_use]
    pub fn all(&self) -> Vec<Diagnostic> {
        let found = self.lock();
        let mut by_steps = found.by_steps.clone();
        by_steps.sort_by(|a, b| (a.span, &a.message).cmp(&(b.span, &b.message)));
        found.by_rules.iter().cloned().chain(by_steps).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_parser::source::Span;

    #[test]
    fn what_steps_find_comes_in_order_and_once() {
        let findings = Findings::default();
        let found = |start: usize, message: &str| {
            let span = Span::new(start, start + 1);
            Diagnostic::warning("DF0000", span, message)
        };
        for (start, message) in [(5, "b"), (1, "x"), (5, "a")] {
            assert!(findings.by_step(&found(start, message)));
        }
        assert!(!findings.by_step(&found(5, "b")));
        findings.by_rules(vec![found(9, "r"), found(9, "r")]);
        let all = findings.all().into_iter();
        let messages: Vec<String> = all.map(|found| found.message).collect();
        assert_eq!(messages, ["r", "r", "x", "a", "b"]);
    }
}
