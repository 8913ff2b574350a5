//! What an expression is worth. Names that are no locals, and all functions, are somebody else's: [`Globals`]. Unaware of targets.
//!
//! Whatever a file says, this ends: what is evaluated has a depth, a number of steps and a size that it may not exceed.

mod call;
mod collection;
mod operator;
mod template;

pub use collection::element;

use crate::Host;
use crate::error::{Error, Place, Result};
use crate::hcl::expression::{Expression, Kind};
use crate::value::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Expressions in expressions, by way of variables and functions too.
const DEEPEST: usize = 250;
/// Expressions that are evaluated in all.
const MOST_STEPS: usize = 2_000_000;
/// Bytes of a value.
const LARGEST: usize = 32 << 20;

/// What expressions may name.
pub trait Globals {
    /// The value of a variable, if there is one of that name.
    fn variable(&self, name: &str) -> Option<Result<Value>>;
    /// Whether a name stands for blocks: `target`.
    fn is_block(&self, name: &str) -> bool;
    /// An attribute of a block; without its name all of them.
    fn block(&self, kind: &str, name: &str, attribute: Option<&str>) -> Result<Value>;
    /// A function that the files define.
    fn function(&self, name: &str) -> Option<Rc<Function>>;
    /// What is asked of the machine.
    fn host(&self) -> &dyn Host;
    /// How much was evaluated.
    fn effort(&self) -> &Effort;
    /// A name that was probably meant.
    fn near(&self, name: &str) -> Option<String>;
}

/// How much was evaluated.
#[derive(Debug, Default)]
pub struct Effort {
    depth: Cell<usize>,
    steps: Cell<usize>,
    /// Functions that are being evaluated.
    running: std::cell::RefCell<Vec<String>>,
}

/// A function of a file.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<String>,
    /// What takes all further arguments.
    pub variadic: Option<String>,
    pub result: Expression,
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    globals: &'a dyn Globals,
    locals: Option<&'a Locals<'a>>,
}

/// Names that count in a part of an expression.
pub struct Locals<'a> {
    names: BTreeMap<String, Value>,
    outer: Option<&'a Locals<'a>>,
}

impl<'a> Scope<'a> {
    /// Where only globals have names.
    pub fn new(globals: &'a dyn Globals) -> Self {
        Scope {
            globals,
            locals: None,
        }
    }

    /// The names of a part of this scope.
    pub fn locals(&self, names: BTreeMap<String, Value>) -> Locals<'a> {
        Locals {
            names,
            outer: self.locals,
        }
    }

    /// The same with more names.
    pub fn within<'b>(&self, locals: &'b Locals<'b>) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            globals: self.globals,
            locals: Some(locals),
        }
    }

    fn local(&self, name: &str) -> Option<&Value> {
        let mut locals = self.locals;
        while let Some(inner) = locals {
            if let Some(value) = inner.names.get(name) {
                return Some(value);
            }
            locals = inner.outer;
        }
        None
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// It has none.
    pub fn value(&self, expression: &Expression) -> Result<Value> {
        let effort = self.globals.effort();
        let depth = effort.depth.get();
        effort.steps.set(effort.steps.get() + 1);
        if depth >= DEEPEST || effort.steps.get() > MOST_STEPS {
            let what = "this is nested too deeply, or takes too many steps";
            return Err(Error::at(expression.place, what));
        }
        effort.depth.set(depth + 1);
        let value = self.of(expression);
        effort.depth.set(depth);
        let value = value.map_err(|error| error.or_at(expression.place))?;
        bounded(value, expression.place)
    }

    fn of(&self, expression: &Expression) -> Result<Value> {
        match &expression.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Template(parts) => self.template(parts),
            Kind::List(items) => {
                let items = items.iter().map(|item| self.value(item));
                items.collect::<Result<_>>().map(Value::List)
            }
            Kind::Object(items) => self.object(items),
            Kind::Variable(name) => self.variable(name, expression.place),
            Kind::Traversal(base, steps) => self.traversal(base, steps),
            Kind::Call(call) => self.call(call, expression.place),
            Kind::Conditional(parts) => self.conditional(parts),
            Kind::Not(inner) => {
                let truth = self.value(inner)?.truth();
                Ok(Value::Bool(!truth.map_err(Error::new)?))
            }
            Kind::Negative(inner) => {
                let number = self.value(inner)?.number();
                Ok(Value::Number(number.map_err(Error::new)?.negative()))
            }
            Kind::Binary(operator, sides) => self.binary(*operator, sides),
            Kind::For(read) => self.for_each(read),
        }
    }

    fn variable(&self, name: &str, place: Place) -> Result<Value> {
        if let Some(value) = self.local(name) {
            return Ok(value.clone());
        }
        if self.globals.is_block(name) {
            let what = format!("{name} is no value: name one, as in {name}.NAME.ATTRIBUTE");
            return Err(Error::at(place, what));
        }
        self.globals.variable(name).unwrap_or_else(|| {
            let error = Error::at(place, format!("there is no variable named {name:?}"));
            Err(error.help(self.globals.near(name)))
        })
    }

    fn object(&self, items: &[(Expression, Expression)]) -> Result<Value> {
        let mut object = BTreeMap::new();
        for (key, value) in items {
            let name = self.value(key)?.text();
            let name = name.map_err(|why| Error::at(key.place, format!("as a key, a {why}")))?;
            object.insert(name, self.value(value)?);
        }
        Ok(Value::Map(object))
    }

    /// Both sides are evaluated, since they have one type; what fails on the other side does not matter.
    fn conditional(&self, [condition, then, otherwise]: &[Expression; 3]) -> Result<Value> {
        let truth = self.value(condition)?.truth();
        let truth = truth.map_err(|why| Error::at(condition.place, why))?;
        let (taken, other) = if truth {
            (then, otherwise)
        } else {
            (otherwise, then)
        };
        let value = self.value(taken)?;
        let Ok(other) = self.value(other) else {
            return Ok(value);
        };
        unified(value, &other)
    }
}

/// A value in the type that it has in common with another.
fn unified(value: Value, other: &Value) -> Result<Value> {
    use std::mem::discriminant;
    let same = discriminant(&value) == discriminant(other);
    match (&value, other) {
        (Value::Null, _) | (_, Value::Null) => Ok(value),
        _ if same => Ok(value),
        (Value::String(_), other) if other.is_primitive() => Ok(value),
        (_, Value::String(_)) if value.is_primitive() => {
            value.text().map(Value::String).map_err(Error::new)
        }
        _ => Err(Error::new(format!(
            "both results of a condition must be of one type, and they are {} and {}",
            value.kind(),
            other.kind()
        ))),
    }
}

fn bounded(value: Value, place: Place) -> Result<Value> {
    match value {
        Value::String(_) | Value::List(_) | Value::Map(_) if value.weight() > LARGEST => {
            Err(Error::at(place, "this value is too large"))
        }
        value => Ok(value),
    }
}
