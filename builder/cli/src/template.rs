//! Go templates, as far as scripts use them with `docker inspect -f` and `docker images --format`: fields, variables, pipelines,
//! `if`, `with`, `range`, Go's and docker's functions, trim markers. Pure: text and a value in, text out.
//!
//! The grammar and its meaning are those of Go's `text/template`, with docker's functions (`cli/templates`). Not there, and said
//! so: `define`, `template`, `block`, `call`, complex numbers, methods. Where Go prints a complaint into the output (`%!d(…)`),
//! this is an error with its place. Written by hand because no published crate keeps Go's rules (nil, missing keys, `%v`).
//!
//! Limits against templates that blow up: [`MAX_TEXT`] bytes of template, [`parse::MAX_DEPTH`] levels, and
//! [`evaluate::BUDGET`] steps and bytes of output and of intermediate texts together.

mod evaluate;
mod function;
mod lexer;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;
mod tokens;
pub mod value;

use syntax::{Node, Span};
use thiserror::Error;
use value::Value;

/// Bytes of the longest template.
pub const MAX_TEXT: usize = 1 << 20;

/// A template, understood.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<Node>,
}

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Bytes of the template.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
}

impl TemplateError {
    fn new(span: Span, message: impl Into<String>) -> Self {
        TemplateError {
            span,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// With the place of what cannot be understood.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        if text.len() > MAX_TEXT {
            return Err(TemplateError::new(
                0..0,
                format!("a template of {} bytes is too long", text.len()),
            ));
        }
        let nodes = parse::parse(text)?;
        Ok(Template { nodes })
    }

    /// The text that it makes of a value.
    ///
    /// # Errors
    /// With the place of what cannot be done with this value.
    pub fn render(&self, data: &Value) -> Result<String, TemplateError> {
        evaluate::render(&self.nodes, data)
    }
}
