//! The functions that templates may call: Go's and docker's, in one table. To add one: a line here and its body in a file of
//! its topic. Unaware of syntax.

mod compare;
mod format;
mod list;
mod text;

use super::syntax::Span;
use super::value::Value;
use super::{TemplateError, wrong};

/// What a call has cost so far, in bytes of text, and what it may cost.
#[derive(Debug)]
pub struct Cost {
    /// What it has cost.
    pub spent: usize,
    /// What it may cost.
    pub most: usize,
    /// Whether JSON is written in lines.
    pub indents: bool,
}

impl Cost {
    /// Before so many bytes are made.
    ///
    /// # Errors
    /// They are too many.
    pub fn add(&mut self, bytes: usize) -> Result<(), String> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.most {
            return Err("this produces too much text".to_owned());
        }
        Ok(())
    }
}

/// What ends the evaluation of arguments early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    /// The first false one.
    And,
    /// The first true one.
    Or,
}

type Apply = fn(&[Value], &mut Cost) -> Result<Value, String>;

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// How few and how many arguments it takes.
    counts: (usize, usize),
    /// Whether arguments are evaluated only while they are needed.
    pub logic: Option<Logic>,
    /// What it does, given the right number of arguments.
    pub apply: Apply,
}

const fn function(name: &'static str, least: usize, most: usize, apply: Apply) -> Function {
    Function {
        name,
        counts: (least, most),
        logic: None,
        apply,
    }
}

const fn logic(name: &'static str, logic: Logic) -> Function {
    Function {
        logic: Some(logic),
        ..function(name, 1, ANY, compare::last)
    }
}

const ANY: usize = usize::MAX;

/// All of them, by topic.
pub static FUNCTIONS: [Function; 28] = [
    logic("and", Logic::And),
    logic("or", Logic::Or),
    function("not", 1, 1, compare::not),
    function("eq", 2, ANY, compare::eq),
    function("ne", 2, 2, compare::ne),
    function("lt", 2, 2, compare::lt),
    function("le", 2, 2, compare::le),
    function("gt", 2, 2, compare::gt),
    function("ge", 2, 2, compare::ge),
    function("index", 1, ANY, list::index),
    function("slice", 1, 3, list::slice),
    function("len", 1, 1, list::len),
    function("join", 2, 2, list::join),
    function("split", 2, 2, list::split),
    function("json", 1, 1, text::json),
    function("print", 0, ANY, text::print),
    function("println", 0, ANY, text::println),
    function("printf", 1, ANY, format::printf),
    function("upper", 1, 1, text::upper),
    function("lower", 1, 1, text::lower),
    function("title", 1, 1, text::title),
    function("pad", 3, 3, text::pad),
    function("truncate", 2, 2, text::truncate),
    function("html", 1, ANY, text::html),
    function("js", 1, ANY, text::js),
    function("urlquery", 1, ANY, text::urlquery),
    function("trim", 1, 1, text::trim),
    function("replace", 3, 3, text::replace),
];

/// The place of a function in the table.
pub fn find(name: &str) -> Option<usize> {
    FUNCTIONS.iter().position(|function| function.name == name)
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

impl Function {
    /// Checks the number of arguments.
    ///
    /// # Errors
    /// It is not right.
    pub fn check_count(&self, count: usize, span: &Span) -> Result<(), TemplateError> {
        let (least, most) = self.counts;
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let wanted = match (least, most) {
            (_, ANY) => format!("at least {least}"),
            (0, most) => format!("at most {most}"),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        let message = format!("{} takes {wanted} arguments, not {count}", self.name);
        wrong(span, message)
    }
}

/// An argument that must be a text.
fn text_of(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("expected a text, not {}", other.kind())),
    }
}

/// An argument that must be a whole number.
fn int_of(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) | Value::Duration(number) => Ok(*number),
        other => Err(format!("expected a whole number, not {}", other.kind())),
    }
}
