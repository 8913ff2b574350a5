//! The tokens of one action, taken one by one. Unaware of what they mean together.

use super::lexer::{Spanned, Token};
use super::syntax::Span;
use super::{TemplateError, wrong};
use std::iter::Peekable;
use std::vec::IntoIter;

/// Words that are no functions.
pub const KEYWORDS: [&str; 7] = ["if", "with", "range", "else", "end", "break", "continue"];

/// The tokens of one action.
pub struct Tokens {
    tokens: Peekable<IntoIter<Spanned>>,
    action: Span,
    /// Where the last token that was taken ends.
    pub last_end: usize,
}

impl Tokens {
    /// All of an action, which stands at `action`.
    pub fn new(tokens: Vec<Spanned>, action: Span) -> Self {
        Tokens {
            tokens: tokens.into_iter().peekable(),
            last_end: action.start,
            action,
        }
    }

    /// The next one, if there is one.
    pub fn peek(&mut self) -> Option<&Spanned> {
        self.tokens.peek()
    }

    /// Takes the next one.
    pub fn next(&mut self) -> Option<Spanned> {
        let next = self.tokens.next()?;
        self.last_end = next.span.end;
        Some(next)
    }

    /// Where the next token is; the whole action at its end.
    pub fn place(&mut self) -> Span {
        let action = self.action.clone();
        self.peek().map_or(action, |next| next.span.clone())
    }

    /// Takes the next one if it is this.
    pub fn take(&mut self, wanted: &Token) -> bool {
        let is_next = self.peek().is_some_and(|next| next.token == *wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Takes a keyword, if one is next.
    pub fn keyword(&mut self) -> Option<&'static str> {
        let Some(Spanned {
            token: Token::Name(name),
            ..
        }) = self.peek()
        else {
            return None;
        };
        let keyword = KEYWORDS.into_iter().find(|keyword| keyword == name)?;
        self.next();
        Some(keyword)
    }

    /// Takes `$x` or `$i, $x` where `:=` or `=` follows.
    pub fn bound_variables(&mut self) -> Vec<(String, Span)> {
        let mut ahead = self.tokens.clone();
        let mut names = Vec::new();
        while let Some(Spanned {
            token: Token::Variable(name),
            span,
            ..
        }) = ahead.next()
        {
            names.push((name, span));
            match ahead.next().map(|next| next.token) {
                Some(Token::Comma) => {}
                Some(Token::Declare | Token::Assign) => {
                    (1..names.len() * 2).for_each(|_| drop(self.next()));
                    return names;
                }
                _ => break,
            }
        }
        Vec::new()
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// With the place of what is.
    pub fn finish(&mut self) -> Result<(), TemplateError> {
        match self.next() {
            None => Ok(()),
            Some(next) => wrong(&next.span, "unexpected text"),
        }
    }
}
