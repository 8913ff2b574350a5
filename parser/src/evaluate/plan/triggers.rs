//! `ONBUILD` instructions of bases: read once the base is known, run before the stage's own. Unaware of what they do.

use super::{Base, Plan};
use crate::ast::Dockerfile;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::evaluate::world::World;
use crate::instruction::{self, Instruction};
use crate::lexer::Lexer;
use crate::line::{self, Line};

impl Plan {
    /// Reads the triggers of stages whose base is known. True if they need something new.
    pub(in crate::evaluate) fn add_triggers(
        &mut self,
        world: &World<'_>,
        reachable: &[usize],
    ) -> Result<bool, Vec<Diagnostic>> {
        let mut found = false;
        let mut errors = Vec::new();
        for &index in reachable {
            if self.stages[index].triggers.is_some() || self.stages[index].replaced {
                continue;
            }
            match self.read_triggers(world, index) {
                Ok(more) => found |= more,
                Err(error) => errors.push(Diagnostic {
                    span: self.stages[index].span,
                    ..error
                }),
            }
        }
        if errors.is_empty() {
            Ok(found)
        } else {
            Err(errors)
        }
    }

    fn read_triggers(&mut self, world: &World<'_>, index: usize) -> Result<bool, Diagnostic> {
        let from = &world.dockerfile.lines[world.dockerfile.stages[index].line];
        let mut triggers = Vec::new();
        for text in self.expressions(world, index) {
            let (mut line, instruction) = read_trigger(&text, from)?;
            line.first = from.first;
            line.last = from.last;
            triggers.push((line, instruction));
        }
        let stage = &self.stages[index];
        let before = stage.uses.len() + stage.images.len();
        for (line, instruction) in &triggers {
            self.add_uses(world, index, line, instruction)?;
        }
        let stage = &mut self.stages[index];
        stage.triggers = Some(triggers);
        Ok(stage.uses.len() + stage.images.len() > before)
    }

    fn expressions(&self, world: &World<'_>, index: usize) -> Vec<String> {
        let stage = &self.stages[index];
        match &stage.base {
            Base::Image(reference) => {
                let config = world.bases.get(reference, &stage.platform);
                config.map_or(Vec::new(), |config| config.config.on_build.clone())
            }
            Base::Stage(parent) if !self.stages[*parent].replaced => {
                let statements = world.dockerfile.stages[*parent].statements.iter();
                let instructions = statements.map(|statement| &statement.instruction);
                let expressions = instructions.filter_map(|instruction| match instruction {
                    Instruction::OnBuild(trigger) => Some(trigger.expression.clone()),
                    _ => None,
                });
                expressions.collect()
            }
            _ => Vec::new(),
        }
    }

    /// The triggers of a stage; none before they are read.
    pub(in crate::evaluate) fn triggers(&self, index: usize) -> &[(Line, Instruction)] {
        self.stages[index].triggers.as_deref().unwrap_or_default()
    }

    /// All instructions of a stage, triggers first.
    pub(in crate::evaluate) fn statements<'p>(
        &'p self,
        dockerfile: &'p Dockerfile,
        index: usize,
    ) -> impl Iterator<Item = (&'p Line, &'p Instruction)> {
        let triggers = self.triggers(index).iter();
        let triggers = triggers.map(|(line, instruction)| (line, instruction));
        let statements = dockerfile.stages[index].statements.iter();
        let statements =
            statements.map(|statement| (&dockerfile.lines[statement.line], &statement.instruction));
        triggers.chain(statements)
    }
}

fn read_trigger(text: &str, from: &Line) -> Result<(Line, Instruction), Diagnostic> {
    let message = "onbuild trigger should be a single expression";
    let single = || from.error(code::TRIGGER, message);
    let mut lexer = Lexer::new(text);
    let logical = lexer.next_line()?.ok_or_else(single)?;
    let line = line::read(logical, &mut lexer, instruction::shape)?;
    if lexer.next_line()?.is_some() {
        return Err(single());
    }
    match Instruction::parse(&line)? {
        Instruction::From(_) => Err(single()),
        instruction => Ok((line, instruction)),
    }
}
