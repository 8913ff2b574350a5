//! Tokens to syntax: a parser by recursive descent that knows the functions and the variables in sight. Unaware of values.

use super::lexer::{Piece, Spanned, Token, split};
use super::syntax::{Binding, Block, BlockKind, Command, Node, Operand, Pipeline, Span, Term};
use super::tokens::{KEYWORDS, Tokens};
use super::value::Value;
use super::{TemplateError, function, wrong};
use kiln_parser::suggest::nearest;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Blocks and parentheses in each other.
pub const MAX_DEPTH: usize = 100;

/// Words that begin what this subset leaves out.
const UNSUPPORTED: [&str; 4] = ["define", "template", "block", "call"];

/// Reads a whole template.
///
/// # Errors
/// With the place of what cannot be understood.
pub fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        pieces: split(text)?.into_iter().peekable(),
        variables: vec!["$".to_owned()],
        depth: 0,
        loops: 0,
    };
    let (nodes, end) = parser.nodes()?;
    let Some(End { keyword, span, .. }) = end else {
        return Ok(nodes);
    };
    wrong(
        &span,
        format!("this {{{{{keyword}}}}} does not belong to a block"),
    )
}

struct Parser {
    pieces: Peekable<IntoIter<Piece>>,
    /// Those in sight, the latest last.
    variables: Vec<String>,
    depth: usize,
    /// `range` blocks around.
    loops: usize,
}

/// What ended a list of nodes: `else`, with what follows it, or `end`.
struct End {
    keyword: &'static str,
    rest: Tokens,
    span: Span,
}

impl Parser {
    /// Nodes up to an `else`, an `end` or the end of the template.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, span) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action { tokens, span } => (tokens, span),
            };
            let mut tokens = Tokens::new(tokens, span.clone());
            let Some(word) = tokens.keyword() else {
                nodes.push(Node::Action(self.whole_pipeline(&mut tokens, 1)?));
                continue;
            };
            match word {
                "else" | "end" => {
                    return Ok((
                        nodes,
                        Some(End {
                            keyword: word,
                            rest: tokens,
                            span,
                        }),
                    ));
                }
                "break" | "continue" => nodes.push(self.jump(word, &mut tokens, span)?),
                block => nodes.push(self.block(block_kind(block), tokens, &span)?),
            }
        }
        Ok((nodes, None))
    }

    fn jump(&self, word: &str, tokens: &mut Tokens, span: Span) -> Result<Node, TemplateError> {
        tokens.finish()?;
        if self.loops == 0 {
            return wrong(&span, format!("{{{{{word}}}}} is not inside a range"));
        }
        Ok(if word == "break" {
            Node::Break
        } else {
            Node::Continue
        })
    }

    fn block(
        &mut self,
        kind: BlockKind,
        mut tokens: Tokens,
        opened: &Span,
    ) -> Result<Node, TemplateError> {
        self.deeper(opened)?;
        let in_sight = self.variables.len();
        let most = if kind == BlockKind::Range { 2 } else { 1 };
        let pipeline = self.whole_pipeline(&mut tokens, most)?;
        self.loops += usize::from(kind == BlockKind::Range);
        let (body, end) = self.body()?;
        self.loops -= usize::from(kind == BlockKind::Range);
        let otherwise = self.otherwise(kind, end, opened)?;
        self.variables.truncate(in_sight);
        self.depth -= 1;
        Ok(Node::Block(Block {
            kind,
            pipeline,
            body,
            otherwise,
        }))
    }

    /// Nodes whose variables are seen by none after them.
    fn body(&mut self) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        let in_sight = self.variables.len();
        let body = self.nodes()?;
        self.variables.truncate(in_sight);
        Ok(body)
    }

    /// What `{{else}}`, `{{else if …}}` or `{{end}}` begins.
    fn otherwise(
        &mut self,
        kind: BlockKind,
        end: Option<End>,
        opened: &Span,
    ) -> Result<Vec<Node>, TemplateError> {
        let unclosed = || TemplateError::new(opened.clone(), "this block is not closed by {{end}}");
        let mut end = end.ok_or_else(unclosed)?;
        if end.keyword == "end" {
            end.rest.finish()?;
            return Ok(Vec::new());
        }
        match (kind, end.rest.keyword()) {
            (_, None) => {
                end.rest.finish()?;
                let (nodes, closed) = self.body()?;
                let mut closed = closed.ok_or_else(unclosed)?;
                if closed.keyword == "else" {
                    return wrong(&closed.span, "this block already has an {{else}}");
                }
                closed.rest.finish().map(|()| nodes)
            }
            (BlockKind::If, Some("if")) | (BlockKind::With, Some("with")) => {
                Ok(vec![self.block(kind, end.rest, opened)?])
            }
            (_, Some(other)) => wrong(
                &end.span,
                format!("{other} cannot follow this block's else"),
            ),
        }
    }

    fn deeper(&mut self, span: &Span) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return wrong(span, format!("more than {MAX_DEPTH} nested levels"));
        }
        Ok(())
    }

    /// A pipeline that nothing follows, with at most `most` variables.
    fn whole_pipeline(
        &mut self,
        tokens: &mut Tokens,
        most: usize,
    ) -> Result<Pipeline, TemplateError> {
        let (variables, binding) = self.binding(tokens, most)?;
        let mut pipeline = self.pipeline(tokens)?;
        tokens.finish()?;
        if binding == Binding::Declare {
            self.variables.extend(variables.iter().cloned());
        }
        (pipeline.variables, pipeline.binding) = (variables, binding);
        Ok(pipeline)
    }

    /// `$x :=`, `$x =`, `$i, $x :=`.
    fn binding(
        &self,
        tokens: &mut Tokens,
        most: usize,
    ) -> Result<(Vec<String>, Binding), TemplateError> {
        let names = tokens.bound_variables();
        if names.is_empty() {
            return Ok((Vec::new(), Binding::Declare));
        }
        let span = names[0].1.start..names[names.len() - 1].1.end;
        if names.len() > most {
            return wrong(&span, "too many variables: only range has two");
        }
        let mut binding = Binding::Declare;
        if !tokens.take(&Token::Declare) {
            tokens.next();
            binding = Binding::Assign;
            let mut names = names.iter();
            names.try_for_each(|(name, span)| self.check_variable(name, span))?;
        }
        Ok((names.into_iter().map(|(name, _)| name).collect(), binding))
    }

    fn check_variable(&self, name: &str, span: &Span) -> Result<(), TemplateError> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        wrong(span, format!("there is no variable {name} here"))
    }

    fn pipeline(&mut self, tokens: &mut Tokens) -> Result<Pipeline, TemplateError> {
        let start = tokens.place().start;
        let mut commands = vec![self.command(tokens)?];
        while tokens.take(&Token::Pipe) {
            let command = self.command(tokens)?;
            if matches!(command.first.operand, Operand::Literal(_)) {
                return wrong(&command.first.span, "only a function can follow |");
            }
            commands.push(command);
        }
        Ok(Pipeline {
            variables: Vec::new(),
            binding: Binding::Declare,
            commands,
            span: start..tokens.last_end,
        })
    }

    fn command(&mut self, tokens: &mut Tokens) -> Result<Command, TemplateError> {
        let Some(first) = self.term(tokens)? else {
            return Err(TemplateError::new(
                tokens.place(),
                "expected a value or a function",
            ));
        };
        let mut arguments = Vec::new();
        while let Some(argument) = self.term(tokens)? {
            arguments.push(argument);
        }
        Ok(Command { first, arguments })
    }

    /// An operand with its fields, if one is next.
    fn term(&mut self, tokens: &mut Tokens) -> Result<Option<Term>, TemplateError> {
        let mut fields = Vec::new();
        let Some(Spanned { token, span, .. }) = tokens.peek().cloned() else {
            return Ok(None);
        };
        let operand = match token {
            Token::Open => return self.group(tokens).map(Some),
            Token::Field(name) => {
                fields.push((name, span.clone()));
                Operand::Dot
            }
            token => match self.operand(token, &span)? {
                Some(operand) => operand,
                None => return Ok(None),
            },
        };
        tokens.next();
        self.fields(tokens, &mut fields);
        let is_literal = matches!(operand, Operand::Literal(_));
        if let Some((_, span)) = fields.first().filter(|_| is_literal) {
            return wrong(span, "a literal has no fields");
        }
        let span = span.start..tokens.last_end;
        Ok(Some(Term {
            operand,
            fields,
            span,
        }))
    }

    /// What a single token stands for; none if it is no operand.
    fn operand(&self, token: Token, span: &Span) -> Result<Option<Operand>, TemplateError> {
        Ok(Some(match token {
            Token::Dot => Operand::Dot,
            Token::Variable(name) => {
                self.check_variable(&name, span)?;
                Operand::Variable(name)
            }
            Token::Name(name) => named(&name, span)?,
            Token::Text(text) => Operand::Literal(text.into()),
            Token::Int(number) => Operand::Literal(Value::Int(number)),
            Token::Float(number) => Operand::Literal(Value::Float(number)),
            _ => return Ok(None),
        }))
    }

    fn group(&mut self, tokens: &mut Tokens) -> Result<Term, TemplateError> {
        let opened = tokens.place();
        tokens.next();
        self.deeper(&opened)?;
        let pipeline = self.pipeline(tokens)?;
        if !tokens.take(&Token::Close) {
            return wrong(&opened, "this ( is not closed");
        }
        self.depth -= 1;
        let mut fields = Vec::new();
        self.fields(tokens, &mut fields);
        Ok(Term {
            operand: Operand::Group(Box::new(pipeline)),
            fields,
            span: opened.start..tokens.last_end,
        })
    }

    /// `.A.B` right after an operand.
    fn fields(&self, tokens: &mut Tokens, fields: &mut Vec<(String, Span)>) {
        while let Some(Spanned {
            token: Token::Field(name),
            span,
            is_apart: false,
        }) = tokens.peek()
        {
            fields.push((name.clone(), span.clone()));
            tokens.next();
        }
    }
}

fn block_kind(word: &str) -> BlockKind {
    match word {
        "if" => BlockKind::If,
        "with" => BlockKind::With,
        _ => BlockKind::Range,
    }
}

/// A word that stands for a value or a function.
fn named(name: &str, span: &Span) -> Result<Operand, TemplateError> {
    match name {
        "true" | "false" => return Ok(Operand::Literal(Value::Bool(name == "true"))),
        "nil" => return Ok(Operand::Literal(Value::Null)),
        _ => {}
    }
    if let Some(at) = function::find(name) {
        return Ok(Operand::Function(at));
    }
    if UNSUPPORTED.contains(&name) {
        return wrong(span, format!("kiln's templates do not support {name}"));
    }
    if KEYWORDS.contains(&name) {
        return wrong(span, format!("{name} is not allowed here"));
    }
    let unknown = TemplateError::new(span.clone(), format!("there is no function {name}"));
    // All functions are lower case: a capital is a field that lacks its point.
    let is_field = name.starts_with(char::is_uppercase);
    let near = nearest(name, function::names()).filter(|_| !is_field);
    Err(match near {
        Some(near) => unknown.help(format!("did you mean {near}?")),
        None => unknown.help(format!("fields start with a dot: .{name}")),
    })
}
