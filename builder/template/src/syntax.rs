//! A template as the parser leaves it. Unaware of how it is written and of what it works on.

use super::value::Value;
use std::ops::Range;

/// Bytes of the template's text.
pub type Span = Range<usize>;

/// A part of a template.
#[derive(Debug)]
pub enum Node {
    /// Shown as it is.
    Text(String),
    /// `{{pipeline}}`: its value is shown, unless it is given to a variable.
    Action(Pipeline),
    /// `{{if}}`, `{{with}}`, `{{range}}`.
    Block(Block),
    /// `{{break}}`.
    Break,
    /// `{{continue}}`.
    Continue,
}

/// What a block does with its pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// The body once, if it is true.
    If,
    /// The body once with it as the dot, if it is true.
    With,
    /// The body for each of its items.
    Range,
}

/// A block with its two bodies.
#[derive(Debug)]
pub struct Block {
    pub kind: BlockKind,
    pub pipeline: Pipeline,
    pub body: Vec<Node>,
    /// What `{{else}}` gives.
    pub otherwise: Vec<Node>,
}

/// What a pipeline does with variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `$x := …`, or `$i, $x := …` of a range.
    Declare,
    /// `$x = …`.
    Assign,
}

/// Commands of which each gets the value of the one before as its last argument.
#[derive(Debug)]
pub struct Pipeline {
    /// Names with their `$`; none when the value is not kept.
    pub variables: Vec<String>,
    pub binding: Binding,
    pub commands: Vec<Command>,
    pub span: Span,
}

/// An operand, or a function and its arguments.
#[derive(Debug)]
pub struct Command {
    pub first: Term,
    pub arguments: Vec<Term>,
}

/// An operand and the fields asked of it.
#[derive(Debug)]
pub struct Term {
    pub operand: Operand,
    pub fields: Vec<(String, Span)>,
    pub span: Span,
}

/// What a term begins with.
#[derive(Debug)]
pub enum Operand {
    /// `.`
    Dot,
    /// `$` or `$name`.
    Variable(String),
    /// Text, number, boolean or nil.
    Literal(Value),
    /// The place of a function in the table of functions.
    Function(usize),
    /// A pipeline in parentheses.
    Group(Box<Pipeline>),
}
