//! Types as variables and `convert` name them: `string`, `list(number)`, `object({a = bool})`. Unaware of values.

use crate::error::{Error, Result};
use crate::hcl::expression::{Call, Expression, Kind};
use crate::hcl::native;
use crate::value::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Any,
    String,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Tuple(Vec<Type>),
    /// Each attribute, and whether it may be missing.
    Object(BTreeMap<String, (Type, bool)>),
}

impl Type {
    /// Reads a type; JSON has it in a string.
    ///
    /// # Errors
    /// What is written is no type.
    pub fn of(written: &Expression) -> Result<Type> {
        match &written.kind {
            Kind::Literal(Value::String(text)) => {
                Type::of(&native::expression(text, written.place)?)
            }
            Kind::Variable(word) => Type::simple(word, written),
            Kind::Call(call) => Type::compound(call, written),
            _ => Err(wrong(written)),
        }
    }

    fn simple(word: &str, written: &Expression) -> Result<Type> {
        match word {
            "any" => Ok(Type::Any),
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "list" | "set" | "map" | "tuple" | "object" => Err(Error::at(
                written.place,
                format!("the type {word} needs an argument: {word}(…)"),
            )),
            _ => Err(wrong(written)),
        }
    }

    fn compound(call: &Call, written: &Expression) -> Result<Type> {
        let [argument] = &call.arguments[..] else {
            return Err(Error::at(written.place, "a type takes one argument"));
        };
        let inner = || Type::of(argument).map(Box::new);
        match (call.name.as_str(), &argument.kind) {
            ("list", _) => Ok(Type::List(inner()?)),
            ("set", _) => Ok(Type::Set(inner()?)),
            ("map", _) => Ok(Type::Map(inner()?)),
            ("tuple", Kind::List(items)) => {
                let items: Result<Vec<Type>> = items.iter().map(Type::of).collect();
                Ok(Type::Tuple(items?))
            }
            ("object", Kind::Object(items)) => {
                let items = items.iter().map(|(name, written)| field(name, written));
                Ok(Type::Object(items.collect::<Result<_>>()?))
            }
            _ => Err(wrong(written)),
        }
    }
}

/// An attribute of an object.
fn field(name: &Expression, written: &Expression) -> Result<(String, (Type, bool))> {
    let Kind::Literal(Value::String(name)) = &name.kind else {
        return Err(Error::at(name.place, "an attribute is named by a word"));
    };
    let optional = match &written.kind {
        Kind::Call(call) if call.name == "optional" => match &call.arguments[..] {
            [kind] => Some(kind),
            _ => {
                let what = "optional takes a type, and here no default";
                return Err(Error::at(written.place, what));
            }
        },
        _ => None,
    };
    let kind = Type::of(optional.unwrap_or(written))?;
    Ok((name.clone(), (kind, optional.is_some())))
}

fn wrong(written: &Expression) -> Error {
    let known =
        "types are any, string, number, bool, list(…), set(…), map(…), tuple([…]) and object({…})";
    Error::at(written.place, "this is no type").help(Some(known.to_owned()))
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("any type"),
            Type::String => f.write_str("string"),
            Type::Number => f.write_str("number"),
            Type::Bool => f.write_str("bool"),
            Type::List(of) => write!(f, "list of {of}"),
            Type::Set(of) => write!(f, "set of {of}"),
            Type::Map(of) => write!(f, "map of {of}"),
            Type::Tuple(_) => f.write_str("tuple"),
            Type::Object(_) => f.write_str("object"),
        }
    }
}
