//! Expressions of HCL, as HCL and JSON write them. Unaware of what they are worth.

use crate::error::Place;
use crate::value::Value;

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub struct Expression {
    pub kind: Kind,
    pub place: Place,
}

impl Expression {
    pub fn new(kind: Kind, place: Place) -> Self {
        Expression { kind, place }
    }

    /// The one word that it is: the name of a parameter, or of a type.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Variable(name) => Some(name),
            _ => None,
        }
    }
}

/// What an expression is.
#[derive(Debug, Clone)]
pub enum Kind {
    Literal(Value),
    Template(Vec<Part>),
    List(Vec<Expression>),
    Object(Vec<(Expression, Expression)>),
    Variable(String),
    /// A value, and what is taken of it.
    Traversal(Box<Expression>, Vec<Step>),
    Call(Call),
    /// Condition, and what it is worth in either case.
    Conditional(Box<[Expression; 3]>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<[Expression; 2]>),
    For(Box<For>),
}

/// `name(arguments…)`.
#[derive(Debug, Clone)]
pub struct Call {
    pub name: String,
    pub arguments: Vec<Expression>,
    /// The last argument is a list of arguments.
    pub expands: bool,
}

/// `[for key, value in collection : result if condition]`, or the same with `key => result` in braces.
#[derive(Debug, Clone)]
pub struct For {
    pub names: Names,
    pub collection: Expression,
    /// What makes it an object.
    pub key: Option<Expression>,
    pub result: Expression,
    pub condition: Option<Expression>,
    /// `...`: what has the same key is a list.
    pub groups: bool,
}

/// The names that a loop gives to what it goes through.
#[derive(Debug, Clone)]
pub struct Names {
    pub key: Option<String>,
    pub value: String,
}

/// What is taken of a value.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: StepKind,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum StepKind {
    Attribute(String),
    Index(Expression),
    /// `.*`
    AttributeSplat,
    /// `[*]`
    FullSplat,
}

/// A part of a template.
#[derive(Debug, Clone)]
pub enum Part {
    Text(String),
    Interpolation(Expression),
    If(Box<IfPart>),
    For(Box<ForPart>),
}

/// `%{if condition}…%{else}…%{endif}`.
#[derive(Debug, Clone)]
pub struct IfPart {
    pub condition: Expression,
    pub then: Vec<Part>,
    pub otherwise: Vec<Part>,
}

/// `%{for key, value in collection}…%{endfor}`.
#[derive(Debug, Clone)]
pub struct ForPart {
    pub names: Names,
    pub collection: Expression,
    pub parts: Vec<Part>,
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}
