//! Go templates, as far as scripts use them with `docker inspect -f` and `docker images --format`: fields, variables, pipelines,
//! `if`, `with`, `range`, Go's and docker's functions, trim markers. Pure: a text and a value go in, a text comes out. Unaware of
//! images and of terminals.
//!
//! The grammar and its meaning are those of Go's `text/template`, with docker's functions (`cli/templates`). `define`, `template`,
//! `block`, `call`, complex numbers and methods are not supported, and an error says so. Where Go prints a complaint into the
//! output (`%!d(…)`), this crate returns an error with its place. It is written by hand because no published crate keeps Go's rules
//! (nil, missing keys, `%v`).
//!
//! # Limits
//!
//! A template has at most [`MAX_TEXT`] bytes and nests at most 100 levels; its output and all intermediate texts together stay
//! below 64 MiB.
//!
//! # Example
//!
//! ```
//! use kiln_template::{Template, Value, field};
//!
//! let image = Value::record([
//!     field("ID", "4f53cda18c2b"),
//!     field("Tags", Value::texts(&["app:1", "app:latest"])),
//! ]);
//! let template = Template::parse(r#"{{upper .ID}}{{range .Tags}} {{.}}{{end}}"#)?;
//! assert_eq!(template.render(&image)?, "4F53CDA18C2B app:1 app:latest");
//!
//! let error = Template::parse("{{.ID | sort}}").unwrap_err();
//! assert_eq!(&"{{.ID | sort}}"[error.span], "sort");
//! # Ok::<(), kiln_template::TemplateError>(())
//! ```
#![forbid(unsafe_code)]

mod evaluate;
mod function;
mod lexer;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;
mod tokens;
mod value;

use syntax::{Node, Span};
use thiserror::Error;

pub use value::{Field, Value, field, optional};

/// Bytes of the longest template.
pub const MAX_TEXT: usize = 1 << 20;

/// A template, understood.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<Node>,
    indents: bool,
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

/// An error at a place.
fn wrong<T>(span: &Span, message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::new(span.clone(), message))
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// With the place of what cannot be understood.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        if text.len() > MAX_TEXT {
            return wrong(
                &(0..0),
                format!("a template of {} bytes is too long", text.len()),
            );
        }
        let nodes = parse::parse(text)?;
        Ok(Template {
            nodes,
            indents: false,
        })
    }

    /// The same template, whose function `json` writes as buildx's does: in lines with two spaces, and `<` as `\u003c`.
    #[must_use]
    pub fn indented(self) -> Template {
        Template {
            indents: true,
            ..self
        }
    }

    /// The text that it makes of a value.
    ///
    /// # Errors
    /// With the place of what cannot be done with this value.
    pub fn render(&self, data: &Value) -> Result<String, TemplateError> {
        evaluate::render(&self.nodes, data, self.indents)
    }
}
