//! Expansion of an instruction's words with the stage's variables. Unaware of the instruction.

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
        self.expand_in(text, Style::new(self.scope.escape), span)
    }

    fn expand_in(&mut self, text: &str, style: Style, span: Span) -> Result<String, Diagnostic> {
        let expansion = words::expand(text, style, &self.state.env);
        let expansion = expansion.map_err(|why| self.cannot_expand(text, span, &why))?;
        self.warn_of_unset(&expansion, span);
        self.spend_expansion(&expansion, span)?;
        Ok(expansion.text)
    }

    /// Expands an argument and splits it at blanks. Does not warn of variables that are not set, as BuildKit does not in `EXPOSE`.
    pub(crate) fn expand_words(&mut self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        let style = Style::new(self.scope.escape);
        let expanded = words::expand_words(&word.text, style, &self.state.env);
        let failed = |why| self.cannot_expand(&word.text, word.span, &why);
        let (words, expansion) = expanded.map_err(failed)?;
        let unset = expansion.unset.iter();
        unset.for_each(|name| self.note_guess(name));
        self.spend_expansion(&expansion, word.span)?;
        Ok(words)
    }

    /// Expands the body of a heredoc, where quotes have no meaning and the escape is `\`.
    pub(crate) fn expand_heredoc(&mut self, text: &str, line: &Line) -> Result<String, Diagnostic> {
        let style = Style {
            quotes: Quotes::Literal,
            ..Style::new('\\')
        };
        self.expand_in(text, style, line.head_span())
    }

    fn spend_expansion(&mut self, expansion: &Expansion, span: Span) -> Result<(), Diagnostic> {
        self.spend(expansion.text.len() + size_of::<String>());
        self.check_budget(span)
    }

    fn cannot_expand(&mut self, text: &str, span: Span, why: &WordError) -> Diagnostic {
        const SHOWN: usize = 80;
        if let WordError::Required { name, .. } = why
            && self.state.env.get(name).is_none()
        {
            self.note_guess(name);
        }
        let shown: String = text.chars().take(SHOWN).collect();
        let message = format!("failed to process {shown:?}: {why}");
        Diagnostic::error(code::EXPANSION, Phase::Evaluate, span, message)
    }
}
