//! The arguments of a call, as what a function takes them for. Unaware of functions.

use crate::Host;
use crate::error::Worded;
use crate::value::{Number, Value};
use std::collections::BTreeMap;

/// The arguments of a call.
pub struct Arguments<'a> {
    pub values: &'a [Value],
    pub host: &'a dyn Host,
}

/// Why an argument is not what is taken.
fn wrong(at: usize, why: &str) -> String {
    format!("argument {}: {why}", at + 1)
}

impl<'a> Arguments<'a> {
    /// An argument, whatever it is.
    pub fn any(&self, at: usize) -> &'a Value {
        self.values.get(at).unwrap_or(&Value::Null)
    }

    pub fn text(&self, at: usize) -> Worded<String> {
        self.any(at).text().map_err(|why| wrong(at, &why))
    }

    pub fn number(&self, at: usize) -> Worded<Number> {
        self.any(at).number().map_err(|why| wrong(at, &why))
    }

    pub fn truth(&self, at: usize) -> Worded<bool> {
        self.any(at).truth().map_err(|why| wrong(at, &why))
    }

    /// A whole number.
    pub fn integer(&self, at: usize) -> Worded<i128> {
        let whole = self.number(at)?.integer();
        whole.ok_or_else(|| wrong(at, "a whole number is required"))
    }

    /// A number of things.
    pub fn count(&self, at: usize) -> Worded<usize> {
        usize::try_from(self.integer(at)?).map_err(|_| wrong(at, "it is negative or too large"))
    }

    pub fn list(&self, at: usize) -> Worded<&'a [Value]> {
        match self.any(at) {
            Value::List(items) => Ok(items),
            other => Err(wrong(
                at,
                &format!("list required, but have {}", other.kind()),
            )),
        }
    }

    pub fn texts(&self, at: usize) -> Worded<Vec<String>> {
        let texts = self.list(at)?.iter().map(Value::text);
        texts.collect::<Worded<_>>().map_err(|why| wrong(at, &why))
    }

    pub fn map(&self, at: usize) -> Worded<&'a BTreeMap<String, Value>> {
        match self.any(at) {
            Value::Map(items) => Ok(items),
            other => Err(wrong(
                at,
                &format!("map required, but have {}", other.kind()),
            )),
        }
    }

    /// All arguments, as lists.
    pub fn lists(&self) -> Worded<Vec<&'a [Value]>> {
        (0..self.values.len()).map(|at| self.list(at)).collect()
    }
}
