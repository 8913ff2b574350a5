//! HCL's own syntax, read by hcl-edit. Unaware of files.

use super::expression::{Call, Expression, For, Kind, Names, Operator, Step, StepKind};
use super::{Attribute, Block, Body, template};
use crate::error::{Error, Place, Result};
use crate::value::{Number, Value};
use hcl_edit::expr::{self, BinaryOperator, ObjectKey, TraversalOperator, UnaryOperator};
use hcl_edit::parser;
use hcl_edit::structure::{self, BlockLabel, Structure};
use hcl_edit::{Decorated, Ident, Span};
use std::ops::Range;

/// Reads a file.
///
/// # Errors
/// It is no HCL.
pub fn body(file: usize, text: &str) -> Result<Body> {
    let read = parser::parse_body(text);
    let reader = Reader::of(file, text);
    read.map(|body| reader.body(&body))
        .map_err(|error| reader.error(&error))
}

/// Reads an expression that stands in a text of JSON; all of it is at that place.
///
/// # Errors
/// The text is not an expression.
pub fn expression(text: &str, place: Place) -> Result<Expression> {
    let reader = Reader {
        text,
        file: place.file,
        within: Some(place),
    };
    let read = parser::parse_expr(text);
    read.map(|read| reader.expression(&read))
        .map_err(|error| reader.error(&error))
}

/// The same of a template.
///
/// # Errors
/// The text is not a template.
pub fn template(text: &str, place: Place) -> Result<Kind> {
    let reader = Reader {
        text,
        file: place.file,
        within: Some(place),
    };
    let read = parser::parse_template(text);
    read.map(|read| Kind::Template(template::parts(&reader, &read, true)))
        .map_err(|error| reader.error(&error))
}

/// Makes expressions of hcl-edit's tree.
pub(super) struct Reader<'a> {
    text: &'a str,
    file: usize,
    /// Where everything is, when the text is a part of another one that is written in another way.
    within: Option<Place>,
}

impl<'a> Reader<'a> {
    fn of(file: usize, text: &'a str) -> Self {
        Reader {
            text,
            file,
            within: None,
        }
    }

    pub(super) fn place(&self, span: Option<Range<usize>>) -> Place {
        self.within.unwrap_or_else(|| {
            let Range { start, end } = span.unwrap_or_default();
            let file = self.file;
            Place { file, start, end }
        })
    }

    /// The text as it is written.
    pub(super) fn written(&self, span: Option<Range<usize>>) -> Option<&'a str> {
        self.text.get(span?)
    }

    fn error(&self, error: &parser::Error) -> Error {
        // hcl-edit counts from the beginning of the text
        let at = error.location().offset().min(self.text.len());
        let at = self.text.floor_char_boundary(at);
        let rest = self.text[at..].chars().next();
        let end = at + rest.map_or(0, char::len_utf8);
        Error::at(self.place(Some(at..end)), error.message())
    }

    fn body(&self, body: &structure::Body) -> Body {
        let mut read = Body::default();
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => read.attributes.push(Attribute {
                    name: attribute.key.to_string(),
                    place: self.place(attribute.key.span()),
                    value: self.expression(&attribute.value),
                }),
                Structure::Block(block) => read.blocks.push(self.block(block)),
            }
        }
        read
    }

    fn block(&self, block: &structure::Block) -> Block {
        let label = |label: &BlockLabel| match label {
            BlockLabel::Ident(name) => name.to_string(),
            BlockLabel::String(text) => text.as_str().to_owned(),
        };
        let last = block.labels.last().and_then(|label| match label {
            BlockLabel::Ident(name) => name.span(),
            BlockLabel::String(text) => text.span(),
        });
        let first = self.place(block.ident.span());
        Block {
            kind: block.ident.to_string(),
            labels: block.labels.iter().map(label).collect(),
            place: last.map_or(first, |last| first.to(self.place(Some(last)))),
            body: self.body(&block.body),
        }
    }

    pub(super) fn expression(&self, read: &expr::Expression) -> Expression {
        let place = self.place(read.span());
        if let expr::Expression::Parenthesis(inner) = read {
            return Expression {
                place,
                ..self.expression(inner.inner())
            };
        }
        Expression::new(self.kind(read), place)
    }

    fn kind(&self, read: &expr::Expression) -> Kind {
        use expr::Expression as E;
        match read {
            E::Null(_) | E::Parenthesis(_) => Kind::Literal(Value::Null),
            E::Bool(value) => Kind::Literal(Value::Bool(*value.value())),
            E::Number(number) => Kind::Literal(Value::Number(self.number(number))),
            E::String(text) => Kind::Literal(Value::String(text.value().clone())),
            E::Array(items) => Kind::List(self.all(items.iter())),
            E::Object(object) => self.object(object),
            E::StringTemplate(read) => Kind::Template(template::parts(self, read, false)),
            E::HeredocTemplate(read) => Kind::Template(template::heredoc(self, read)),
            E::Variable(name) => Kind::Variable(name.to_string()),
            E::Conditional(read) => {
                let parts = [&read.cond_expr, &read.true_expr, &read.false_expr];
                Kind::Conditional(Box::new(parts.map(|part| self.expression(part))))
            }
            E::FuncCall(call) => self.call(call),
            E::Traversal(read) => self.traversal(read),
            E::UnaryOp(read) => self.unary(read),
            E::BinaryOp(read) => self.binary(read),
            E::ForExpr(read) => self.for_each(read),
        }
    }

    fn unary(&self, read: &expr::UnaryOp) -> Kind {
        let operand = Box::new(self.expression(&read.expr));
        match read.operator.value() {
            UnaryOperator::Neg => Kind::Negative(operand),
            UnaryOperator::Not => Kind::Not(operand),
        }
    }

    /// The digits as they are written: a float would round them.
    fn number(&self, number: &hcl_edit::Formatted<hcl_edit::Number>) -> Number {
        let written = self.written(number.span());
        let exact = written.and_then(|text| Number::parse(text.trim()));
        exact.unwrap_or_else(|| Number::from(number.value().as_f64().unwrap_or_default()))
    }

    fn all<'e>(&self, items: impl Iterator<Item = &'e expr::Expression>) -> Vec<Expression> {
        items.map(|item| self.expression(item)).collect()
    }

    fn object(&self, object: &expr::Object) -> Kind {
        let key = |key: &ObjectKey| match key {
            ObjectKey::Ident(name) => self.name(name),
            ObjectKey::Expression(expr::Expression::Variable(name)) => self.name(name),
            ObjectKey::Expression(read) => self.expression(read),
        };
        let items = object.iter();
        let items = items.map(|(name, value)| (key(name), self.expression(value.expr())));
        Kind::Object(items.collect())
    }

    fn name(&self, name: &Decorated<Ident>) -> Expression {
        let text = Value::String(name.to_string());
        Expression::new(Kind::Literal(text), self.place(name.span()))
    }

    fn call(&self, call: &expr::FuncCall) -> Kind {
        let namespace = call.name.namespace.iter();
        let name = namespace.map(|part| format!("{}::", part.as_str()));
        Kind::Call(Call {
            name: name.collect::<String>() + call.name.name.as_str(),
            arguments: self.all(call.args.iter()),
            expands: call.args.expand_final(),
        })
    }

    fn traversal(&self, read: &expr::Traversal) -> Kind {
        let step = |operator: &Decorated<TraversalOperator>| {
            let kind = match operator.value() {
                TraversalOperator::AttrSplat(_) => StepKind::AttributeSplat,
                TraversalOperator::FullSplat(_) => StepKind::FullSplat,
                TraversalOperator::GetAttr(name) => StepKind::Attribute(name.to_string()),
                TraversalOperator::Index(index) => StepKind::Index(self.expression(index)),
                TraversalOperator::LegacyIndex(index) => {
                    let index = Value::Number(Number::from(i128::from(*index.value())));
                    let place = self.place(operator.span());
                    StepKind::Index(Expression::new(Kind::Literal(index), place))
                }
            };
            let place = self.place(operator.span());
            Step { kind, place }
        };
        let steps = read.operators.iter().map(step).collect();
        Kind::Traversal(Box::new(self.expression(&read.expr)), steps)
    }

    fn binary(&self, read: &expr::BinaryOp) -> Kind {
        let operator = match read.operator.value() {
            BinaryOperator::Eq => Operator::Equal,
            BinaryOperator::NotEq => Operator::NotEqual,
            BinaryOperator::LessEq => Operator::LessEqual,
            BinaryOperator::GreaterEq => Operator::GreaterEqual,
            BinaryOperator::Less => Operator::Less,
            BinaryOperator::Greater => Operator::Greater,
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Mul => Operator::Times,
            BinaryOperator::Div => Operator::Divide,
            BinaryOperator::Mod => Operator::Modulo,
            BinaryOperator::And => Operator::And,
            BinaryOperator::Or => Operator::Or,
        };
        let sides = [&read.lhs_expr, &read.rhs_expr];
        Kind::Binary(operator, Box::new(sides.map(|side| self.expression(side))))
    }

    fn for_each(&self, read: &expr::ForExpr) -> Kind {
        let intro = &read.intro;
        let condition = read.cond.as_ref();
        Kind::For(Box::new(For {
            names: names(intro.key_var.as_ref(), &intro.value_var),
            collection: self.expression(&intro.collection_expr),
            key: read.key_expr.as_ref().map(|key| self.expression(key)),
            result: self.expression(&read.value_expr),
            condition: condition.map(|condition| self.expression(&condition.expr)),
            groups: read.grouping,
        }))
    }
}

/// The names that a loop gives.
pub(super) fn names(key: Option<&Decorated<Ident>>, value: &Decorated<Ident>) -> Names {
    Names {
        key: key.map(|name| name.to_string()),
        value: value.to_string(),
    }
}
