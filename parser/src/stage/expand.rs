//! Expansion of an instruction's words with the stage's variables.

use super::StageBuilder;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::line::{Line, Word};
use crate::source::Span;
use crate::words::{self, Expansion, Quotes, Style, Variables, WordError};

impl StageBuilder<'_> {
    /// Expands an argument with the variables as they are now.
    pub(crate) fn expand(&mut self, word: &Word) -> Result<String, Diagnostic> {
        self.expand_text(&word.text, word.span)
    }

    /// Expands a text of the Dockerfile.
    pub(crate) fn expand_text(&mut self, text: &str, span: Span) -> Result<String, Diagnostic> {
        let style = Style::new(self.world.dockerfile.escape);
        let expansion = words::expand(text, style, &self.env);
        let expansion = expansion.map_err(|why| self.cannot_expand(text, span, &why))?;
        self.expanded(&expansion, span)?;
        Ok(expansion.text)
    }

    /// Expands an argument and splits it at blanks. Variables that are not set are not told, as BuildKit tells none of `EXPOSE`.
    pub(crate) fn expand_words(&mut self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        let style = Style::new(self.world.dockerfile.escape);
        let expanded = words::expand_words(&word.text, style, &self.env);
        let (words, expansion) =
            expanded.map_err(|why| self.cannot_expand(&word.text, word.span, &why))?;
        expansion
            .unset
            .iter()
            .for_each(|name| self.note_guess(name));
        self.spend_expansion(&expansion, word.span)?;
        Ok(words)
    }

    /// Expands the body of a heredoc: quotes have no meaning there, and the escape is `\`.
    pub(crate) fn expand_heredoc(&mut self, text: &str, line: &Line) -> Result<String, Diagnostic> {
        let style = Style {
            quotes: Quotes::Literal,
            ..Style::new('\\')
        };
        let span = line.head_span();
        let expansion = words::expand(text, style, &self.env);
        let expansion = expansion.map_err(|why| self.cannot_expand(text, span, &why))?;
        self.expanded(&expansion, span)?;
        Ok(expansion.text)
    }

    /// Counts an expansion and warns of variables that are not set.
    fn expanded(&mut self, expansion: &Expansion, span: Span) -> Result<(), Diagnostic> {
        self.warn_of_unset(expansion, span);
        self.spend_expansion(expansion, span)
    }

    fn spend_expansion(&mut self, expansion: &Expansion, span: Span) -> Result<(), Diagnostic> {
        self.spend(expansion.text.len() + size_of::<String>());
        self.check_budget(span)
    }

    fn cannot_expand(&mut self, text: &str, span: Span, why: &WordError) -> Diagnostic {
        const SHOWN: usize = 80;
        if let WordError::Required { name, .. } = why
            && self.env.get(name).is_none()
        {
            self.note_guess(name);
        }
        let shown: String = text.chars().take(SHOWN).collect();
        let message = format!("failed to process {shown:?}: {why}");
        Diagnostic::error(code::EXPANSION, Phase::Evaluate, span, message)
    }
}
