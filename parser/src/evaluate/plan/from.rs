//! What stands in `FROM`: image and platform, expanded. Which stage or image that is, is not known here.

use kiln_oci::Platform;

use crate::ast::StageAst;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::evaluate::world::World;
use crate::line::{Line, Word};
use crate::lint::{Rule, evaluated};
use crate::source::Span;
use crate::suggest;
use crate::words::{self, Expansion, Style};

/// What a `FROM` says.
#[derive(Debug)]
pub(super) struct Head {
    /// Expanded; empty where something else is named instead.
    pub(super) image: String,
    pub(super) platform: Platform,
}

/// All of them, in order. What rules find before the first error goes to `warnings`.
pub(super) fn read_all(
    world: &World<'_>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Vec<Head>, Vec<Diagnostic>> {
    let mut heads = Vec::new();
    let mut errors = Vec::new();
    for (index, ast) in world.dockerfile.stages.iter().enumerate() {
        let mut found = Vec::new();
        let head = read(world, index, ast, &mut found);
        if errors.is_empty() {
            let comments = &world.dockerfile.lines[ast.line].comments;
            found.retain(|found| {
                Rule::find(found.code).is_some_and(|rule| world.lint.asks(rule, comments))
            });
            warnings.append(&mut found);
        }
        match head {
            Ok(head) => heads.push(head),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(heads)
    } else {
        Err(errors)
    }
}

fn read(
    world: &World<'_>,
    index: usize,
    ast: &StageAst,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Head, Diagnostic> {
    let image = if world.inputs.from.is_some() && index == 0 {
        String::new()
    } else {
        image(world, ast, warnings)?
    };
    let platform = match &ast.from.platform {
        Some(word) => platform(world, ast, word, warnings)?,
        None => world.inputs.platform.clone(),
    };
    Ok(Head { image, platform })
}

fn image(
    world: &World<'_>,
    ast: &StageAst,
    warnings: &mut Vec<Diagnostic>,
) -> Result<String, Diagnostic> {
    let (line, image) = (&world.dockerfile.lines[ast.line], &ast.from.image);
    let expansion = expand(world, image)?;
    warnings.extend(undeclared(world, &expansion, image.span));
    if expansion.text.is_empty() {
        let message = format!("base name ({}) should not be blank", image.text);
        return Err(base_error(line, image, message));
    }
    Ok(expansion.text)
}

fn platform(
    world: &World<'_>,
    ast: &StageAst,
    word: &Word,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Platform, Diagnostic> {
    let expansion = expand(world, word)?;
    let text = &expansion.text;
    let target = world.globals.get("TARGETPLATFORM");
    warnings.extend(undeclared(world, &expansion, word.span));
    warnings.extend(evaluated::platform_flag(
        word,
        &expansion,
        target.map_or("", String::as_str),
        ast.from.name.as_deref().unwrap_or_default(),
    ));
    let message = match Platform::parse(text) {
        Ok(platform) => return Ok(platform),
        Err(_) if text.is_empty() => format!("empty platform value from expression {}", word.text),
        Err(why) => format!("failed to parse platform {}: {why}", word.text),
    };
    let mut error = Diagnostic::error(code::PLATFORM, Phase::Evaluate, word.span, message);
    let mut unset = expansion.unset.iter();
    let near = unset.find_map(|name| suggest::nearest(name, names(world)));
    error.help = near.map(|near| format!("did you mean {near}?"));
    Err(error)
}

fn expand(world: &World<'_>, word: &Word) -> Result<Expansion, Diagnostic> {
    let style = Style::new(world.dockerfile.escape);
    words::expand(&word.text, style, &world.globals).map_err(|why| {
        let message = format!("failed to process {:?}: {why}", word.text);
        Diagnostic::error(code::EXPANSION, Phase::Evaluate, word.span, message)
    })
}

fn undeclared(world: &World<'_>, expansion: &Expansion, span: Span) -> Vec<Diagnostic> {
    let globals = world.dockerfile.globals.iter();
    let declared = globals.flat_map(|global| &global.arg.arguments);
    let declared = declared.map(|argument| argument.name.as_str());
    evaluated::undefined_in_from(&expansion.unset, declared.chain(names(world)), span)
}

/// The variables that have values.
fn names<'w>(world: &'w World<'_>) -> impl Iterator<Item = &'w str> + Clone {
    world.globals.keys().map(String::as_str)
}

/// An error about the base that is named.
pub(super) fn base_error(line: &Line, image: &Word, message: String) -> Diagnostic {
    Diagnostic {
        span: image.span,
        phase: Phase::Evaluate,
        ..line.error(code::BASE, message)
    }
}
