//! What rules that need values find in a stage: whether it counts, and where it is. Unaware of what the rules look for.

use super::{NOT_ENVIRONMENT, StageBuilder};
use crate::diagnostic::{Diagnostic, Phase};
use crate::lint::evaluated;
use crate::lint::rule::Rule;
use crate::source::Span;
use crate::words::Expansion;

/// The most warnings of one stage: an undefined variable costs a look at all names.
const MAX_WARNINGS: usize = 100;

impl StageBuilder<'_> {
    /// A warning of a rule about what is being applied.
    pub(crate) fn warn(&mut self, rule: &Rule, span: Span, message: String) {
        if self.scope.lint.asks(rule, self.comments) {
            self.note(rule.name, span, message);
        }
    }

    /// A warning that belongs to no rule.
    pub(crate) fn note(&mut self, code: &'static str, span: Span, message: String) {
        self.advise(code, span, message, None);
    }

    /// The same with a way out.
    pub(crate) fn advise(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        help: Option<String>,
    ) {
        if self.warnings.len() >= MAX_WARNINGS {
            return;
        }
        let mut warning = Diagnostic::warning(code, self.place(span), message);
        warning.help = help;
        self.warnings.push(warning.in_phase(Phase::Evaluate));
    }

    /// Warns of a value, unless unknown variables are part of it.
    pub(crate) fn warn_of_value(&mut self, rule: &Rule, span: Span, message: String) {
        if !self.is_guess {
            self.warn(rule, span, message);
        }
    }

    /// Warns of variables that are not set.
    pub(super) fn warn_of_unset(&mut self, expansion: &Expansion, span: Span) {
        for name in &expansion.unset {
            self.note_guess(name);
            if self.state.base_is_known
                && !self.state.arguments.contains(name)
                && !NOT_ENVIRONMENT.contains(&name.as_str())
                && self.warnings.len() < MAX_WARNINGS
            {
                let message = evaluated::undefined_var(name, self.state.env.names());
                self.warn(&evaluated::UNDEFINED_VAR, span, message);
            }
        }
    }

    /// Remembers the use of a variable that is not set here: an unknown base may set it.
    pub(super) fn note_guess(&mut self, name: &str) {
        self.is_guess |= !self.state.base_is_known && !self.state.arguments.contains(name);
    }

    /// The place in the Dockerfile of a part of the instruction: a trigger's text has none, so it is the `FROM`.
    pub(super) fn place(&self, span: Span) -> Span {
        if self.is_trigger { self.from } else { span }
    }

    /// Remembers an instruction that counts once; the place of the one of that kind before it.
    pub(crate) fn use_once(&mut self, kind: &'static str, span: Span) -> Option<Span> {
        self.used.insert(kind, self.place(span))
    }
}
