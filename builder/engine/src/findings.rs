//! What shows in a Dockerfile only while it is carried out: warnings that steps have, collected from all threads. Unaware of steps.

use kiln_parser::diagnostic::Diagnostic;
use std::sync::{Mutex, PoisonError};

/// Warnings of one build.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Vec<Diagnostic>>);

impl Findings {
    /// Adds one.
    pub fn add(&self, warning: Diagnostic) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(warning);
    }

    /// All of them in the order of the Dockerfile, each once: the same step may have run for several platforms.
    pub fn take(&self) -> Vec<Diagnostic> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_by(|a, b| (a.span, &a.message).cmp(&(b.span, &b.message)));
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_parser::source::Span;

    #[test]
    fn they_come_in_order_and_once() {
        let findings = Findings::default();
        for (start, message) in [(5, "b"), (1, "x"), (5, "a"), (5, "b")] {
            let span = Span {
                start,
                end: start + 1,
            };
            findings.add(Diagnostic::warning("DF0000", span, message));
        }
        let messages = |found: Vec<Diagnostic>| -> Vec<String> {
            found.into_iter().map(|found| found.message).collect()
        };
        assert_eq!(messages(findings.take()), ["x", "a", "b"]);
        assert!(findings.take().is_empty());
    }
}
