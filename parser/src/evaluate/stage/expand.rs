//! Expansion of an instruction's words with the stage's variables.

use super::StageBuilder;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::line::{Line, Word};
use crate::lint::{Rule, evaluated};
use crate::source::Span;
use crate::words::{self, Expansion, Quotes, Style};

/// Warnings of one stage that are told: an undefined variable costs a look at all names.
const MAX_WARNINGS: usize = 100;

impl StageBuilder<'_> {
    /// Expands an argument with the variables as they are now.
    pub(crate) fn expand(&mut self, word: &Word) -> Result<String, Diagnostic> {
        self.expand_text(&word.text, word.span)
    }

    /// Expands a text of the Dockerfile.
    pub(crate) fn expand_text(&mut self, text: &str, span: Span) -> Result<String, Diagnostic> {
        let style = Style::new(self.world.dockerfile.escape);
        let expansion =
            words::expand(text, style, &self.env).map_err(|why| cannot_expand(text, span, &why))?;
        self.expanded(&expansion, span)?;
        Ok(expansion.text)
    }

    /// Expands an argument and splits it at blanks.
    pub(crate) fn expand_words(&mut self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        let style = Style::new(self.world.dockerfile.escape);
        let expanded = words::expand_words(&word.text, style, &self.env);
        let (words, expansion) =
            expanded.map_err(|why| cannot_expand(&word.text, word.span, &why))?;
        self.expanded(&expansion, word.span)?;
        Ok(words)
    }

    /// Expands the body of a heredoc: quotes have no meaning there, and the escape is `\`.
    pub(crate) fn expand_heredoc(&mut self, text: &str, line: &Line) -> Result<String, Diagnostic> {
        let style = Style {
            quotes: Quotes::Literal,
            ..Style::new('\\')
        };
        let span = line.head_span();
        let expansion =
            words::expand(text, style, &self.env).map_err(|why| cannot_expand(text, span, &why))?;
        self.expanded(&expansion, span)?;
        Ok(expansion.text)
    }

    /// Counts an expansion and warns of variables that are not set.
    fn expanded(&mut self, expansion: &Expansion, span: Span) -> Result<(), Diagnostic> {
        for name in &expansion.unset {
            if self.base_is_known
                && !self.arguments.contains(name)
                && self.warnings.len() < MAX_WARNINGS
            {
                let declared = self
                    .arguments
                    .entries()
                    .iter()
                    .map(|(name, _)| name.as_str());
                let known = self.env.names().chain(declared);
                let warning = evaluated::undefined_var(name, known, span);
                self.warnings.push(warning);
            }
        }
        self.spend(expansion.text.len() + size_of::<String>());
        self.check_budget(span)
    }

    /// A warning of a rule about what is being applied.
    pub(crate) fn warn(&mut self, rule: &Rule, span: Span, message: String) {
        self.note(rule.name, span, message);
    }

    /// Warns of what breaks no rule.
    pub(crate) fn note(&mut self, code: &'static str, span: Span, message: String) {
        if self.warnings.len() >= MAX_WARNINGS {
            return;
        }
        let warning = Diagnostic::warning(code, span, message);
        self.warnings.push(Diagnostic {
            phase: Phase::Evaluate,
            ..warning
        });
    }
}

fn cannot_expand(text: &str, span: Span, why: &words::WordError) -> Diagnostic {
    const SHOWN: usize = 80;
    let shown: String = text.chars().take(SHOWN).collect();
    let message = format!("failed to process {shown:?}: {why}");
    Diagnostic::error(code::EXPANSION, Phase::Evaluate, span, message)
}
