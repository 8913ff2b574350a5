//! What rules that need values find in a stage: whether it counts, and where it stands. What they look for is theirs.

use super::{NOT_ENVIRONMENT, StageBuilder};
use crate::diagnostic::{Diagnostic, Phase};
use crate::lint::{Rule, evaluated};
use crate::source::Span;
use crate::words::Expansion;

/// Warnings of one stage that are told: an undefined variable costs a look at all names.
const MAX_WARNINGS: usize = 100;

impl StageBuilder<'_> {
    /// A warning of a rule about what is being applied.
    pub(crate) fn warn(&mut self, rule: &Rule, span: Span, message: String) {
        if self.world.lint.asks(rule, self.comments) {
            self.note(rule.name, span, message);
        }
    }

    /// Warns of what breaks no rule.
    pub(crate) fn note(&mut self, code: &'static str, span: Span, message: String) {
        if self.warnings.len() >= MAX_WARNINGS {
            return;
        }
        let warning = Diagnostic::warning(code, self.place(span), message);
        self.warnings.push(Diagnostic {
            phase: Phase::Evaluate,
            ..warning
        });
    }

    /// Warns of a value, unless variables that are not known are part of it.
    pub(crate) fn warn_of_value(&mut self, rule: &Rule, span: Span, message: String) {
        if !self.is_guess {
            self.warn(rule, span, message);
        }
    }

    /// Warns of variables that are not set.
    pub(super) fn warn_of_unset(&mut self, expansion: &Expansion, span: Span) {
        for name in &expansion.unset {
            self.note_guess(name);
            if self.base_is_known
                && !self.arguments.contains(name)
                && !NOT_ENVIRONMENT.contains(&name.as_str())
                && self.warnings.len() < MAX_WARNINGS
            {
                let message = evaluated::undefined_var(name, self.env.names());
                self.warn(&evaluated::UNDEFINED_VAR, span, message);
            }
        }
    }

    /// Notes the use of a variable that is not set here: a base of which nothing is known may set it.
    pub(super) fn note_guess(&mut self, name: &str) {
        self.is_guess |= !self.base_is_known && !self.arguments.contains(name);
    }

    /// Where something of the instruction stands that is being applied: a trigger's text is no place in the Dockerfile.
    pub(super) fn place(&self, span: Span) -> Span {
        if self.is_trigger {
            self.plan.stages[self.index].span
        } else {
            span
        }
    }

    /// Notes an instruction that counts once; where the one of that kind stands that was there before.
    pub(crate) fn use_once(&mut self, kind: &'static str, span: Span) -> Option<Span> {
        self.used.insert(kind, self.place(span))
    }
}
