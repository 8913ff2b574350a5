//! Blocks become groups and targets: a matrix makes several of one, and what is no field is warned about. Unaware of inheritance.

use super::names::Names;
use super::plan::Group;
use super::{Definition, check_name};
use crate::error::{Error, Finding, Result, Worded};
use crate::evaluate::{Locals, Scope};
use crate::hcl::{Attribute, Block, Body};
use crate::target::{FIELDS, Field, Given, Shape, Target, known, unique};
use crate::value::Value;
use kiln_parser::suggest;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Targets that a matrix makes at most.
const MOST: usize = 10_000;

/// A block with one choice of its matrix.
#[derive(Debug)]
pub struct Instance<'a> {
    pub name: String,
    pub block: &'a Block,
    chosen: BTreeMap<String, Value>,
}

impl Instance<'_> {
    /// What the matrix says.
    pub fn locals<'s>(&self, scope: &Scope<'s>) -> Locals<'s> {
        scope.locals(self.chosen.clone())
    }
}

/// Evaluates groups and targets.
///
/// # Errors
/// Something in them is wrong.
pub fn evaluated<'a>(
    names: &Names<'a>,
    bodies: &'a [Body],
    definition: &mut Definition,
) -> Result<()> {
    let is_ours = |block: &&Block| matches!(block.kind.as_str(), "target" | "group");
    let blocks: Vec<&Block> = bodies.iter().flat_map(|body| &body.blocks).collect();
    let mut instances = Vec::new();
    for block in blocks.iter().copied().filter(is_ours) {
        let made = instances_of(names, block).map_err(|error| error.or_at(block.place))?;
        instances.extend(made.into_iter().map(Rc::new));
    }
    names.blocks.borrow_mut().clone_from(&instances);
    for instance in &instances {
        add_places(instance, definition);
        take(names, instance, definition).map_err(|error| error.or_at(instance.block.place))?;
    }
    add_groups(&blocks, &instances, definition);
    other_kinds(&blocks, definition);
    Ok(())
}

/// What a matrix makes has the name of its block as a group.
fn add_groups(blocks: &[&Block], instances: &[Rc<Instance<'_>>], definition: &mut Definition) {
    for block in blocks.iter().filter(|block| block.kind == "target") {
        let made = instances
            .iter()
            .filter(|made| made.block.labels == block.labels);
        let made = made.filter(|made| made.block.kind == "target");
        let made = made.map(|made| made.name.clone()).collect();
        add_matrix(label(block), made, definition);
    }
}

fn add_matrix(old: &str, made: Vec<String>, definition: &mut Definition) {
    let made = unique(made);
    let is_renamed = made.iter().any(|name| name != old) || made.is_empty();
    if is_renamed && definition.group(old).is_none() {
        definition.groups.push(Group {
            name: old.to_owned(),
            description: String::new(),
            targets: made,
        });
    }
}

fn take(names: &Names<'_>, instance: &Instance<'_>, definition: &mut Definition) -> Result<()> {
    if instance.block.kind == "target" {
        let target = target(names, instance, definition)?;
        definition.add_target(instance.name.clone(), target);
        return Ok(());
    }
    let mut fields = target(names, instance, definition)?;
    let text = |given| match given {
        Some(Given::Text(text)) => text,
        _ => String::new(),
    };
    let targets = match fields.remove("targets") {
        Some(Given::List(targets)) => unique(targets),
        _ => {
            let what = format!("the group {} has no targets", instance.name);
            return Err(Error::at(instance.block.place, what));
        }
    };
    definition.add_group(Group {
        name: instance.name.clone(),
        description: text(fields.remove("description")),
        targets,
    });
    Ok(())
}

/// Where it names others.
fn add_places(instance: &Instance<'_>, definition: &mut Definition) {
    for field in ["inherits", "contexts", "targets"] {
        if let Some(attribute) = instance.block.body.attribute(field) {
            definition.add_place(&instance.name, field, attribute.value.place);
        }
    }
}

/// The names of a block's targets, with what each chooses of the matrix.
fn instances_of<'a>(names: &Names<'a>, block: &'a Block) -> Result<Vec<Instance<'a>>> {
    check_name(label(block))?;
    let (matrix, name) = renaming(block)?;
    let scope = Scope::new(names);
    let choices = matrix.map(|matrix| {
        let chosen = choices(scope.value(&matrix.value)?);
        chosen.map_err(|why| Error::at(matrix.value.place, why))
    });
    let (mut made, mut seen) = (Vec::new(), BTreeSet::new());
    for chosen in choices.unwrap_or_else(|| Ok(vec![BTreeMap::new()]))? {
        let locals = scope.locals(chosen.clone());
        let written = name.map(|name| scope.within(&locals).value(&name.value));
        let name = named(written.transpose()?, label(block))?;
        if !seen.insert(name.clone()) {
            return Err(Error::new(format!("duplicate name {name:?}")));
        }
        made.push(Instance {
            name,
            block,
            chosen,
        });
    }
    Ok(made)
}

fn label(block: &Block) -> &str {
    block.labels.first().map_or("", String::as_str)
}

/// The name that is written, else that of the block.
fn named(written: Option<Value>, label: &str) -> Result<String> {
    let name = written.map_or(Ok(label.to_owned()), |value| value.text());
    let name = name.map_err(Error::new)?;
    check_name(&name).map(|()| name)
}

/// The matrix of a block, and how its targets are called.
fn renaming(block: &Block) -> Result<(Option<&Attribute>, Option<&Attribute>)> {
    let of_block = |name: &str| block.body.attribute(name);
    let (matrix, name) = (of_block("matrix"), of_block("name"));
    if let Some(wrong) = matrix.or(name).filter(|_| block.kind == "group") {
        let what = format!("{} is not supported for groups", wrong.name);
        return Err(Error::at(wrong.place, what));
    }
    match (name, matrix) {
        (Some(name), None) => Err(Error::at(name.place, "name requires matrix")),
        _ => Ok((matrix, name)),
    }
}

/// Every combination of what a matrix has.
fn choices(matrix: Value) -> Worded<Vec<BTreeMap<String, Value>>> {
    let Value::Map(axes) = matrix else {
        return Err("a matrix is a map of lists".to_owned());
    };
    let mut choices = vec![BTreeMap::new()];
    for (name, values) in axes {
        let Value::List(values) = values else {
            return Err("a matrix is a map of lists".to_owned());
        };
        if choices.len().saturating_mul(values.len()) > MOST {
            return Err(format!("this matrix makes more than {MOST} targets"));
        }
        let with = |value: &Value| {
            let value = value.clone();
            let name = name.clone();
            choices.iter().map(move |chosen: &BTreeMap<String, Value>| {
                let mut chosen = chosen.clone();
                chosen.insert(name.clone(), value.clone());
                chosen
            })
        };
        choices = values.iter().flat_map(with).collect();
    }
    Ok(choices)
}

/// What a block gives of the fields of a target, or of a group.
fn target(
    names: &Names<'_>,
    instance: &Instance<'_>,
    definition: &mut Definition,
) -> Result<Target> {
    let Instance { name, block, .. } = instance;
    let mut target = Target::default();
    let is_field = |attribute: &&Attribute| !["matrix", "name"].contains(&attribute.name.as_str());
    for attribute in block.body.attributes.iter().filter(is_field) {
        let Some(field) = field(block, &attribute.name) else {
            definition.warn_unknown(block, attribute);
            continue;
        };
        let value = names.of_instance(instance, attribute)?;
        let given = field.given(&value).map_err(|why| {
            let what = format!("{} of {} {name:?}: {why}", attribute.name, block.kind);
            Error::at(attribute.value.place, what)
        })?;
        if let Some(given) = given {
            target.set(field.name, given);
        }
    }
    Ok(target)
}

/// What a group has.
const OF_GROUP: [Field; 2] = [
    Field {
        name: "targets",
        shape: Shape::List,
    },
    Field {
        name: "description",
        shape: Shape::Text,
    },
];

fn field(block: &Block, name: &str) -> Option<&'static Field> {
    match block.kind.as_str() {
        "group" => OF_GROUP.iter().find(|field| field.name == name),
        _ => known(name),
    }
}

impl Definition {
    fn warn_unknown(&mut self, block: &Block, attribute: &Attribute) {
        let (kind, name) = (&block.kind, &attribute.name);
        let fields = FIELDS.iter().map(|field| field.name);
        let warning = Finding {
            message: format!("a {kind} has no attribute {name:?}: it is ignored"),
            place: Some(attribute.place),
            help: suggest::help(name, fields),
        };
        // a matrix comes by several times
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Blocks that mean nothing are warned about.
fn other_kinds(blocks: &[&Block], definition: &mut Definition) {
    for block in blocks {
        if super::BLOCKS.contains(&block.kind.as_str()) {
            continue;
        }
        definition.warnings.push(Finding {
            message: format!("bake has no block {:?}: it is ignored", block.kind),
            place: Some(block.place),
            help: suggest::help(&block.kind, super::BLOCKS),
        });
    }
}
