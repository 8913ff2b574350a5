//! What goes through collections: loops, splats, and what is taken of a value by name or number. Unaware of functions.

use super::{Locals, Scope};
use crate::error::{Error, Place, Result};
use crate::hcl::expression::{Expression, For, Kind, Names, Step, StepKind};
use crate::value::Value;
use std::collections::BTreeMap;

impl<'a> Scope<'a> {
    /// The keys and values of a collection: maps in the order of their keys.
    pub(super) fn items(&self, collection: &Expression) -> Result<Vec<(Value, Value)>> {
        match self.value(collection)? {
            Value::List(items) => {
                let items = items.into_iter().enumerate();
                // as many as a list has
                Ok(items
                    .map(|(at, item)| (Value::from(at as i128), item))
                    .collect())
            }
            Value::Map(items) => {
                let items = items.into_iter();
                Ok(items
                    .map(|(key, value)| (Value::String(key), value))
                    .collect())
            }
            other => {
                let what = format!("this is no collection, but {}", other.kind());
                Err(Error::at(collection.place, what))
            }
        }
    }

    /// The names of one turn of a loop.
    pub(super) fn named(&self, names: &Names, key: Value, value: Value) -> Locals<'a> {
        let mut locals = BTreeMap::from([(names.value.clone(), value)]);
        if let Some(name) = &names.key {
            locals.insert(name.clone(), key);
        }
        self.locals(locals)
    }

    pub(super) fn for_each(&self, read: &For) -> Result<Value> {
        let mut made = Made::new(read);
        for (key, value) in self.items(&read.collection)? {
            let locals = self.named(&read.names, key, value);
            let inner = self.within(&locals);
            if let Some(condition) = &read.condition {
                let truth = inner.value(condition)?.truth();
                if !truth.map_err(|why| Error::at(condition.place, why))? {
                    continue;
                }
            }
            let key = read.key.as_ref().map(|key| inner.key(key)).transpose()?;
            made.add(key, inner.value(&read.result)?, read.result.place)?;
        }
        Ok(made.value())
    }

    fn key(&self, key: &Expression) -> Result<String> {
        let name = self.value(key)?.text();
        name.map_err(|why| Error::at(key.place, why))
    }

    pub(super) fn traversal(&self, base: &Expression, steps: &[Step]) -> Result<Value> {
        if let Kind::Variable(root) = &base.kind
            && self.local(root).is_none()
            && self.globals.is_block(root)
        {
            return self.of_block(root, base.place, steps);
        }
        self.taken(self.value(base)?, steps)
    }

    /// `target.NAME.ATTRIBUTE…`
    fn of_block(&self, kind: &str, place: Place, steps: &[Step]) -> Result<Value> {
        let word = |step: &Step| match &step.kind {
            StepKind::Attribute(name) => Ok(Some(name.clone())),
            StepKind::Index(index) => self.key(index).map(Some),
            _ => Ok(None),
        };
        let name = steps.first().map(word).transpose()?.flatten();
        let Some(name) = name else {
            return Err(Error::at(
                place,
                format!("{kind} is followed by a name: {kind}.NAME.ATTRIBUTE"),
            ));
        };
        let attribute = steps.get(1).map(word).transpose()?.flatten();
        let used = 1 + usize::from(attribute.is_some());
        let value = self.globals.block(kind, &name, attribute.as_deref());
        self.taken(value.map_err(|error| error.or_at(place))?, &steps[used..])
    }

    /// What steps take of a value.
    fn taken(&self, value: Value, steps: &[Step]) -> Result<Value> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(value);
        };
        match &step.kind {
            StepKind::Attribute(name) => self.taken(attribute(value, name, step.place)?, rest),
            StepKind::Index(index) => {
                let index = self.value(index)?;
                self.taken(element(value, &index, step.place)?, rest)
            }
            StepKind::FullSplat => self.splat(value, rest),
            StepKind::AttributeSplat => {
                let is_attribute = |step: &&Step| matches!(step.kind, StepKind::Attribute(_));
                let count = rest.iter().take_while(is_attribute).count();
                let (of_each, of_all) = rest.split_at(count);
                self.taken(self.splat(value, of_each)?, of_all)
            }
        }
    }

    /// The same of each item; what is no list is a list of itself.
    fn splat(&self, value: Value, steps: &[Step]) -> Result<Value> {
        let items = match value {
            Value::List(items) => items,
            Value::Null => Vec::new(),
            other => vec![other],
        };
        let items = items.into_iter().map(|item| self.taken(item, steps));
        items.collect::<Result<_>>().map(Value::List)
    }
}

/// What a loop makes.
enum Made {
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Groups(BTreeMap<String, Value>),
}

impl Made {
    fn new(read: &For) -> Self {
        match (&read.key, read.groups) {
            (None, _) => Made::List(Vec::new()),
            (Some(_), false) => Made::Map(BTreeMap::new()),
            (Some(_), true) => Made::Groups(BTreeMap::new()),
        }
    }

    fn add(&mut self, key: Option<String>, value: Value, place: Place) -> Result<()> {
        match (self, key) {
            (Made::List(items), _) => items.push(value),
            (Made::Map(items), Some(key)) => {
                if items.contains_key(&key) {
                    let what = format!("two items have the key {key:?}");
                    let help = "end the value with ... to make lists of what has the same key";
                    return Err(Error::at(place, what).help(Some(help.to_owned())));
                }
                items.insert(key, value);
            }
            (Made::Groups(items), Some(key)) => {
                let group = items.entry(key).or_insert(Value::List(Vec::new()));
                if let Value::List(group) = group {
                    group.push(value);
                }
            }
            (Made::Map(_) | Made::Groups(_), None) => {}
        }
        Ok(())
    }

    fn value(self) -> Value {
        match self {
            Made::List(items) => Value::List(items),
            Made::Map(items) | Made::Groups(items) => Value::Map(items),
        }
    }
}

fn attribute(value: Value, name: &str, place: Place) -> Result<Value> {
    match value {
        Value::Map(mut items) => items
            .remove(name)
            .ok_or_else(|| Error::at(place, format!("there is no attribute named {name:?}"))),
        other => Err(Error::at(
            place,
            format!("{} has no attributes", other.kind()),
        )),
    }
}

/// An element by its number, or by its key.
pub fn element(value: Value, index: &Value, place: Place) -> Result<Value> {
    let wrong = |why: String| Error::at(place, why);
    match value {
        Value::List(mut items) => {
            let number = index.number().map_err(wrong)?;
            let at = number.index().filter(|at| *at < items.len());
            let at = at.ok_or_else(|| {
                wrong(format!(
                    "there is no element {number}: the list has {}",
                    items.len()
                ))
            })?;
            Ok(items.swap_remove(at))
        }
        Value::Map(mut items) => {
            let key = index.text().map_err(wrong)?;
            let found = items.remove(&key);
            found.ok_or_else(|| wrong(format!("there is no element with the key {key:?}")))
        }
        other => Err(wrong(format!("{} has no elements", other.kind()))),
    }
}
