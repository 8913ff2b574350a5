//! Expansion of an instruction's words with the stage's variables.

use std::collections::BTreeSet;

use super::StageBuilder;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::line::{Line, Word};
use crate::source::Span;
use crate::suggest;
use crate::words::{self, Quotes, Style};

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
        self.warn_of_unset(&expansion.unset, span);
        Ok(expansion.text)
    }

    /// Expands an argument and splits it at blanks.
    pub(crate) fn expand_words(&mut self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        let style = Style::new(self.world.dockerfile.escape);
        let expanded = words::expand_words(&word.text, style, &self.env);
        let (words, expansion) =
            expanded.map_err(|why| cannot_expand(&word.text, word.span, &why))?;
        self.warn_of_unset(&expansion.unset, word.span);
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
        self.warn_of_unset(&expansion.unset, span);
        Ok(expansion.text)
    }

    fn warn_of_unset(&mut self, unset: &BTreeSet<String>, span: Span) {
        for name in unset {
            if self.arguments.iter().any(|(declared, _)| declared == name) {
                continue;
            }
            let near = suggest::nearest(name, self.env.names().chain(self.declared()));
            let mut message = format!("Usage of undefined variable '${name}'");
            if let Some(near) = near {
                message.push_str(&format!(" (did you mean ${near}?)"));
            }
            let warning = Diagnostic::warning("UndefinedVar", span, message);
            self.warnings.push(Diagnostic {
                phase: Phase::Evaluate,
                ..warning
            });
        }
    }

    fn declared(&self) -> impl Iterator<Item = &str> {
        self.arguments.iter().map(|(name, _)| name.as_str())
    }
}

fn cannot_expand(text: &str, span: Span, why: &words::WordError) -> Diagnostic {
    const SHOWN: usize = 80;
    let shown: String = text.chars().take(SHOWN).collect();
    let message = format!("failed to process {shown:?}: {why}");
    Diagnostic::error(code::EXPANSION, Phase::Evaluate, span, message)
}
