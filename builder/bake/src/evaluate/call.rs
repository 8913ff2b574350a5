//! Calls: of functions of the files, of those of the library, and of the few that look at their arguments themselves. Unaware of what library
//! functions do.

use super::{Function, Scope};
use crate::error::{Error, Place, Result, Worded};
use crate::function;
use crate::hcl::expression::{Call, Expression};
use crate::value::{Type, Value};
use std::collections::BTreeMap;

impl Scope<'_> {
    pub(super) fn call(&self, call: &Call, place: Place) -> Result<Value> {
        match (call.name.as_str(), &call.arguments[..]) {
            ("try", arguments) if !arguments.is_empty() => return self.first(arguments, place),
            ("can", [argument]) => return Ok(Value::Bool(self.value(argument).is_ok())),
            ("convert", [value, kind]) => {
                let kind = Type::of(kind)?;
                let converted = self.value(value)?.to(&kind);
                return converted.map_err(|why| Error::at(place, why));
            }
            _ => {}
        }
        let arguments = self.arguments(call)?;
        match self.globals.function(&call.name) {
            Some(defined) => self.defined(&defined, arguments, place),
            None => self.library(&call.name, &arguments, place),
        }
    }

    /// The first that has a value.
    fn first(&self, arguments: &[Expression], place: Place) -> Result<Value> {
        let mut whys = Vec::new();
        for argument in arguments {
            match self.value(argument) {
                Ok(value) => return Ok(value),
                Err(error) => whys.push(error.to_string()),
            }
        }
        let whys = whys.join("; ");
        Err(Error::at(
            place,
            format!("no expression of try has a value: {whys}"),
        ))
    }

    fn arguments(&self, call: &Call) -> Result<Vec<Value>> {
        let values = call.arguments.iter().map(|argument| self.value(argument));
        let mut values = values.collect::<Result<Vec<Value>>>()?;
        if call.expands {
            match values.pop() {
                Some(Value::List(items)) => values.extend(items),
                other => {
                    let kind = other.map_or("nothing", |value| value.kind());
                    return Err(Error::new(format!("... takes a list, and this is {kind}")));
                }
            }
        }
        Ok(values)
    }

    fn library(&self, name: &str, arguments: &[Value], place: Place) -> Result<Value> {
        let Some(known) = function::known(name) else {
            let near = kiln_parser::suggest::help(name, function::names());
            let what = format!("there is no function named {name:?}");
            return Err(Error::at(place, what).help(near));
        };
        let answer = known.call(arguments, self.globals.host());
        answer.map_err(|why| Error::at(place, format!("{name}: {why}")))
    }

    fn defined(&self, defined: &Function, arguments: Vec<Value>, place: Place) -> Result<Value> {
        let name = &defined.name;
        let locals = defined.locals(arguments);
        let locals = locals.map_err(|why| Error::at(place, format!("{name} {why}")))?;
        let running = &self.globals.effort().running;
        if running.borrow().contains(name) {
            let what = format!("the function {name} calls itself");
            return Err(Error::at(place, what));
        }
        running.borrow_mut().push(name.clone());
        let global = Scope::new(self.globals);
        let value = global.within(&global.locals(locals)).value(&defined.result);
        running.borrow_mut().pop();
        value
    }
}

impl Function {
    /// The values of its parameters.
    fn locals(&self, arguments: Vec<Value>) -> Worded<BTreeMap<String, Value>> {
        let mut arguments = arguments.into_iter();
        let mut locals = BTreeMap::new();
        for parameter in &self.parameters {
            let missing = || format!("needs a value for {parameter}");
            locals.insert(parameter.clone(), arguments.next().ok_or_else(missing)?);
        }
        match &self.variadic {
            Some(variadic) => {
                locals.insert(variadic.clone(), Value::List(arguments.collect()));
            }
            None if arguments.len() > 0 => {
                return Err(format!("takes {} arguments", self.parameters.len()));
            }
            None => {}
        }
        Ok(locals)
    }
}
