//! What expressions of bake files may name: variables, attributes outside of blocks, functions, and what blocks say. All of it is evaluated when it
//! is named, whatever the order of the files. Unaware of what targets are for.

use super::blocks::Instance;
use super::{Options, variables};
use crate::Host;
use crate::error::{Error, Place, Result};
use crate::evaluate::{Effort, Function, Globals, Scope};
use crate::hcl::expression::{Expression, Kind};
use crate::hcl::{Attribute, Block, Body, native};
use crate::target;
use crate::value::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// All names.
pub struct Names<'a> {
    host: &'a dyn Host,
    pub options: &'a Options,
    pub variables: BTreeMap<&'a str, &'a Block>,
    attributes: BTreeMap<&'a str, &'a Attribute>,
    functions: BTreeMap<&'a str, Rc<Function>>,
    /// Blocks with their names, as soon as these are known.
    pub blocks: RefCell<Vec<Rc<Instance<'a>>>>,
    values: RefCell<BTreeMap<String, Value>>,
    /// What is being evaluated.
    running: RefCell<Vec<String>>,
    effort: Effort,
}

impl<'a> Names<'a> {
    /// The names of all files; the later one counts of equal ones.
    ///
    /// # Errors
    /// A function is not defined as one.
    pub fn new(bodies: &'a [Body], host: &'a dyn Host, options: &'a Options) -> Result<Self> {
        let mut names = Names {
            host,
            options,
            variables: BTreeMap::new(),
            attributes: BTreeMap::new(),
            functions: BTreeMap::new(),
            blocks: RefCell::default(),
            values: RefCell::default(),
            running: RefCell::default(),
            effort: Effort::default(),
        };
        for body in bodies {
            let attributes = body.attributes.iter();
            names
                .attributes
                .extend(attributes.map(|one| (one.name.as_str(), one)));
            for block in &body.blocks {
                names.add(block)?;
            }
        }
        Ok(names)
    }

    fn add(&mut self, block: &'a Block) -> Result<()> {
        match (block.kind.as_str(), &block.labels[..]) {
            ("variable", [name]) => drop(self.variables.insert(name, block)),
            ("function", [name]) => {
                let function = function(name, block)?;
                self.functions.insert(name, Rc::new(function));
            }
            ("variable" | "function" | "target" | "group", labels) if labels.len() != 1 => {
                let what = format!("a {} has one name in quotes", block.kind);
                return Err(Error::at(block.place, what));
            }
            _ => {}
        }
        Ok(())
    }

    /// Evaluates what stands outside of blocks.
    ///
    /// # Errors
    /// Something has no value.
    pub fn attributes(&self) -> Result<()> {
        for (name, attribute) in &self.attributes {
            if !self.is_block(name) {
                let value = self.variable(name).unwrap_or(Ok(Value::Null));
                value.map_err(|error| error.or_at(attribute.place))?;
            }
        }
        Ok(())
    }

    /// What stands outside of blocks under a name.
    pub fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.attributes.get(name).copied()
    }

    /// Evaluates something once; not while it is being evaluated.
    fn once(
        &self,
        key: &str,
        shown: &str,
        evaluate: impl FnOnce() -> Result<Value>,
    ) -> Result<Value> {
        if let Some(value) = self.values.borrow().get(key) {
            return Ok(value.clone());
        }
        if self.running.borrow().iter().any(|running| running == key) {
            return Err(Error::new(format!(
                "the value of {shown} depends on itself"
            )));
        }
        self.running.borrow_mut().push(key.to_owned());
        let value = evaluate();
        self.running.borrow_mut().pop();
        let value = value?;
        self.values
            .borrow_mut()
            .insert(key.to_owned(), value.clone());
        Ok(value)
    }

    /// The value of an attribute of a block.
    ///
    /// # Errors
    /// It has none.
    pub fn of_instance(&self, instance: &Instance<'_>, attribute: &Attribute) -> Result<Value> {
        let Instance { name, block, .. } = instance;
        // blocks of several files may have the same name
        let Attribute {
            name: of, place, ..
        } = attribute;
        let key = format!("{}.{name}.{of}", block.kind);
        let known = format!("{key} {} {}", place.file, place.start);
        let scope = Scope::new(self);
        let value = || {
            scope
                .within(&instance.locals(&scope))
                .value(&attribute.value)
        };
        self.once(&known, &key, value)
    }

    fn instances(&self, kind: &str, name: &str) -> Vec<Rc<Instance<'a>>> {
        let blocks = self.blocks.borrow();
        let of = |block: &&Rc<Instance<'a>>| block.block.kind == kind && block.name == name;
        blocks.iter().rev().filter(of).cloned().collect()
    }
}

impl Globals for Names<'_> {
    fn variable(&self, name: &str) -> Option<Result<Value>> {
        if let Some(text) = self.options.built_in.get(name) {
            return Some(Ok(Value::from(text.as_str())));
        }
        let is_known = self.variables.contains_key(name) || self.attributes.contains_key(name);
        is_known.then(|| self.once(name, name, || variables::value(self, name)))
    }

    fn is_block(&self, name: &str) -> bool {
        matches!(name, "target" | "group")
    }

    fn block(&self, kind: &str, name: &str, attribute: Option<&str>) -> Result<Value> {
        let found = self.instances(kind, name);
        if found.is_empty() {
            return Err(Error::new(format!("there is no {kind} named {name:?}")));
        }
        let value = |attribute: &str| {
            found.iter().find_map(|instance| {
                let written = instance.block.body.attribute(attribute)?;
                Some(self.of_instance(instance, written))
            })
        };
        match attribute {
            Some("name") => Ok(Value::from(name)),
            Some(attribute) if !is_known(kind, attribute) => Err(unknown(kind, attribute)),
            Some(attribute) => value(attribute).unwrap_or(Ok(Value::Null)),
            None => {
                let fields = target::FIELDS.iter();
                let all = fields.filter_map(|field| Some((field.name, value(field.name)?)));
                let all = all.map(|(name, value)| Ok((name.to_owned(), value?)));
                all.collect::<Result<_>>().map(Value::Map)
            }
        }
    }

    fn function(&self, name: &str) -> Option<Rc<Function>> {
        self.functions.get(name).cloned()
    }

    fn host(&self) -> &dyn Host {
        self.host
    }

    fn effort(&self) -> &Effort {
        &self.effort
    }

    fn near(&self, name: &str) -> Option<String> {
        let known = self.variables.keys().chain(self.attributes.keys());
        kiln_parser::suggest::help(name, known.copied())
    }
}

fn is_known(kind: &str, attribute: &str) -> bool {
    kind == "group" && attribute == "targets" || target::known(attribute).is_some()
}

fn unknown(kind: &str, attribute: &str) -> Error {
    Error::new(format!("a {kind} has no attribute named {attribute:?}"))
}

/// A function that a block defines.
fn function(name: &str, block: &Block) -> Result<Function> {
    let needed = |attribute: &str| {
        let found = block.body.attribute(attribute);
        found.ok_or_else(|| {
            let what = format!("the function {name} has no {attribute}");
            Error::at(block.place, what)
        })
    };
    let parameters = &needed("params")?.value;
    let Kind::List(parameters) = &parameters.kind else {
        return Err(Error::at(parameters.place, "params is a list of names"));
    };
    let variadic = block.body.attribute("variadic_params");
    Ok(Function {
        name: name.to_owned(),
        parameters: parameters.iter().map(word).collect::<Result<_>>()?,
        variadic: variadic.map(|name| word(&name.value)).transpose()?,
        result: needed("result")?.value.clone(),
    })
}

/// The name of a parameter; JSON has it in a string.
fn word(written: &Expression) -> Result<String> {
    let wrong = |place: Place| Error::at(place, "a parameter is one word");
    let inner = match &written.kind {
        Kind::Literal(Value::String(text)) => native::expression(text, written.place)?,
        _ => written.clone(),
    };
    let word = inner.word().map(str::to_owned);
    word.ok_or_else(|| wrong(written.place))
}
