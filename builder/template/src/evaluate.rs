//! Runs a template over a value, within a budget. Unaware of how templates are written and of what functions do.

use super::function::{self, Cost, Logic};
use super::syntax::{Binding, Block, BlockKind, Command, Node, Operand, Pipeline, Span, Term};
use super::value::{Field, Value};
use super::{TemplateError, wrong};
use kiln_parser::suggest::nearest;

/// Steps, and bytes of all texts that are made, together: seconds at most, and 64 MiB.
pub const BUDGET: u64 = 64 << 20;

/// The text that nodes make of a value, with JSON in lines if it `indents`.
///
/// # Errors
/// With the place of what cannot be done.
pub fn render(nodes: &[Node], data: &Value, indents: bool) -> Result<String, TemplateError> {
    let mut machine = Machine {
        out: String::new(),
        left: BUDGET,
        indents,
        variables: vec![("$", data.clone())],
    };
    machine.nodes(nodes, data)?;
    Ok(machine.out)
}

struct Machine<'t> {
    out: String,
    /// What is left of the budget.
    left: u64,
    indents: bool,
    /// Those in sight, the latest last.
    variables: Vec<(&'t str, Value)>,
}

/// What comes after a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Node,
    Break,
    Continue,
}

impl<'t> Machine<'t> {
    fn nodes(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Next, TemplateError> {
        for node in nodes {
            let next = match node {
                Node::Text(text) => self.show(text, &(0..0))?,
                Node::Action(pipeline) => self.action(pipeline, dot)?,
                Node::Block(block) => self.block(block, dot)?,
                Node::Break => Next::Break,
                Node::Continue => Next::Continue,
            };
            if next != Next::Node {
                return Ok(next);
            }
        }
        Ok(Next::Node)
    }

    fn spend(&mut self, cost: usize, span: &Span) -> Result<(), TemplateError> {
        let left = self.left.checked_sub(1 + cost as u64);
        self.left = left.ok_or_else(|| {
            TemplateError::new(span.clone(), "the output of this template is too large")
        })?;
        Ok(())
    }

    fn show(&mut self, text: &str, span: &Span) -> Result<Next, TemplateError> {
        self.spend(text.len(), span)?;
        self.out.push_str(text);
        Ok(Next::Node)
    }

    fn action(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Next, TemplateError> {
        let value = self.pipeline(pipeline, dot)?;
        let Some(name) = pipeline.variables.first() else {
            return self.show(&value.to_string(), &pipeline.span);
        };
        self.bind(name, value, pipeline.binding);
        Ok(Next::Node)
    }

    fn bind(&mut self, name: &'t str, value: Value, binding: Binding) {
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name);
        match known {
            Some((_, held)) if binding == Binding::Assign => *held = value,
            _ => self.variables.push((name, value)),
        }
    }

    fn block(&mut self, block: &'t Block, dot: &Value) -> Result<Next, TemplateError> {
        let in_sight = self.variables.len();
        let value = self.pipeline(&block.pipeline, dot)?;
        let next = match block.kind {
            BlockKind::Range => self.range(block, &value, dot)?,
            BlockKind::If | BlockKind::With => {
                if let Some(name) = block.pipeline.variables.first() {
                    self.bind(name, value.clone(), block.pipeline.binding);
                }
                match (value.is_true(), block.kind) {
                    (true, BlockKind::With) => self.nodes(&block.body, &value)?,
                    (true, _) => self.nodes(&block.body, dot)?,
                    (false, _) => self.nodes(&block.otherwise, dot)?,
                }
            }
        };
        self.variables.truncate(in_sight);
        Ok(next)
    }

    fn range(
        &mut self,
        block: &'t Block,
        over: &Value,
        dot: &Value,
    ) -> Result<Next, TemplateError> {
        let count = match over {
            Value::Int(number) => usize::try_from(*number).unwrap_or(0),
            Value::List(_) | Value::Map(_) => over.len().unwrap_or(0),
            Value::Missing | Value::Null => 0,
            other => {
                let message = format!("range needs a list or a map; this is {}", other.kind());
                return wrong(&block.pipeline.span, message);
            }
        };
        if count == 0 {
            return self.nodes(&block.otherwise, dot);
        }
        let mut keys = match over {
            Value::Map(Some(entries)) => Some(entries.keys()),
            _ => None,
        };
        for at in 0..count {
            let (key, item) = item(over, keys.as_mut().and_then(Iterator::next), at);
            if self.turn(block, key, item)? == Next::Break {
                break;
            }
        }
        Ok(Next::Node)
    }

    /// The body of a range, once.
    fn turn(&mut self, block: &'t Block, key: Value, item: Value) -> Result<Next, TemplateError> {
        self.spend(0, &block.pipeline.span)?;
        let in_sight = self.variables.len();
        let binding = block.pipeline.binding;
        match &*block.pipeline.variables {
            [] => {}
            [only] => self.bind(only, item.clone(), binding),
            [index, value, ..] => {
                self.bind(index, key, binding);
                self.bind(value, item.clone(), binding);
            }
        }
        let next = self.nodes(&block.body, &item)?;
        self.variables.truncate(in_sight);
        Ok(next)
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Missing))
    }

    /// `last` is the value of the command before, which becomes the last argument.
    fn command(
        &mut self,
        command: &'t Command,
        last: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        if let Operand::Function(at) = command.first.operand {
            let value = self.call(at, &command.arguments, last, dot, &command.first.span)?;
            return self.fields(value, &command.first);
        }
        if let Some(argument) = command.arguments.first() {
            let message = "only a function takes arguments";
            return wrong(&argument.span, message);
        }
        if last.is_some() {
            let message = "only a function can follow |";
            return wrong(&command.first.span, message);
        }
        self.term(&command.first, dot)
    }

    fn call(
        &mut self,
        at: usize,
        terms: &'t [Term],
        last: Option<Value>,
        dot: &Value,
        span: &Span,
    ) -> Result<Value, TemplateError> {
        let function = &function::FUNCTIONS[at];
        function.check_count(terms.len() + usize::from(last.is_some()), span)?;
        let mut arguments = Vec::with_capacity(terms.len() + 1);
        for term in terms {
            let argument = self.term(term, dot)?;
            let decides = |logic| argument.is_true() == (logic == Logic::Or);
            if function.logic.is_some_and(decides) {
                return Ok(argument);
            }
            arguments.push(argument);
        }
        arguments.extend(last);
        let end = terms.last().map_or(span.end, |last| last.span.end);
        let whole = span.start..end;
        let mut cost = Cost {
            spent: 0,
            most: usize::try_from(self.left).unwrap_or(usize::MAX),
            indents: self.indents,
        };
        let value = (function.apply)(&arguments, &mut cost).map_err(|problem| {
            TemplateError::new(whole.clone(), format!("{}: {problem}", function.name))
        })?;
        self.spend(cost.spent, &whole)?;
        Ok(value)
    }

    fn term(&mut self, term: &'t Term, dot: &Value) -> Result<Value, TemplateError> {
        self.spend(0, &term.span)?;
        let value = match &term.operand {
            Operand::Dot => dot.clone(),
            Operand::Literal(value) => value.clone(),
            Operand::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map_or(Value::Missing, |(_, value)| value.clone())
            }
            Operand::Function(at) => self.call(*at, &[], None, dot, &term.span)?,
            Operand::Group(pipeline) => self.pipeline(pipeline, dot)?,
        };
        self.fields(value, term)
    }

    fn fields(&mut self, mut value: Value, term: &'t Term) -> Result<Value, TemplateError> {
        for (name, span) in &term.fields {
            self.spend(0, span)?;
            value = field_of(&value, name, span)?;
        }
        Ok(value)
    }
}

/// An item and its index or key.
fn item(over: &Value, key: Option<&String>, at: usize) -> (Value, Value) {
    let index = Value::from(at as u64);
    match (over, key) {
        (Value::Map(Some(entries)), Some(key)) => (
            key.as_str().into(),
            entries.get(key).cloned().unwrap_or(Value::Missing),
        ),
        (Value::List(Some(items)), _) => (index, items.get(at).cloned().unwrap_or(Value::Missing)),
        _ => (index.clone(), index),
    }
}

fn field_of(value: &Value, name: &str, span: &Span) -> Result<Value, TemplateError> {
    match value {
        Value::Map(entries) => {
            let found = entries.as_ref().and_then(|entries| entries.get(name));
            Ok(found.cloned().unwrap_or(Value::Missing))
        }
        Value::Struct(fields) => fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.value.clone())
            .ok_or_else(|| unknown_field(fields, name, span)),
        Value::Missing => Ok(Value::Missing),
        Value::Null => Err(
            TemplateError::new(span.clone(), format!("nil has no field {name}"))
                .help("check first, with {{with}} or {{if}}"),
        ),
        other => wrong(span, format!("{} has no field {name}", other.kind())),
    }
}

fn unknown_field(fields: &[Field], name: &str, span: &Span) -> TemplateError {
    let error = TemplateError::new(span.clone(), format!("there is no field {name}"));
    let names = || fields.iter().map(|field| field.name);
    let near = names()
        .find(|known| known.eq_ignore_ascii_case(name))
        .or_else(|| nearest(name, names()));
    match near {
        Some(near) => error.help(format!("did you mean {near}?")),
        None => error.help(format!(
            "there are {}",
            names().collect::<Vec<_>>().join(", ")
        )),
    }
}
