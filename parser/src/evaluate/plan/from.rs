//! What `FROM` says: image and platform, expanded. Unaware of which stage or image that is.

use kiln_oci::Platform;

use crate::ast::StageAst;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::evaluate::globals::expand;
use crate::evaluate::world::World;
use crate::line::{Line, Word};
use crate::lint::{Rule, evaluated};
use crate::source::Span;
use crate::suggest;
use crate::words::{Expansion, Style};

/// What a `FROM` says.
#[derive(Debug)]
pub(super) struct Head {
    /// Expanded; empty if something else is named instead.
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
            let (lint, line) = (&world.scope.lint, &world.dockerfile.lines[ast.line]);
            let asks = |rule| lint.asks(rule, line.comments());
            found.retain(|found| Rule::find(found.code).is_some_and(asks));
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
    let image = if world.inputs.language.from.is_some() && index == 0 {
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
    let expansion = expand(image, Style::new(world.scope.escape), &world.scope.globals)?;
    warnings.extend(undeclared(world, &expansion, image.span));
    if expansion.text.is_empty() {
        let message = format!("base name ({}) should not be blank", image.text);
        let mut error = base_error(line, image, message);
        error.help = valueless(image);
        return Err(error);
    }
    Ok(expansion.text)
}

/// Whether a part of an image's name is empty.
pub(super) fn has_gap(name: &str) -> bool {
    let mut parts = name.split([':', '/', '@']);
    name.ends_with('-') || parts.any(str::is_empty)
}

/// What may have no value in the name of an image.
pub(super) fn valueless(image: &Word) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |text: &str| {
        let text = text.trim_start_matches('{');
        text.split(|c| !is_part(c)).next().map(str::to_owned)
    };
    let names: Vec<String> = image.text.split('$').skip(1).filter_map(name).collect();
    let [first, ..] = &names[..] else {
        return None;
    };
    let all = names.join(" or ");
    Some(format!(
        "{all} has no value here: give one with --build-arg {first}=VALUE, or with ARG {first}=VALUE before the first FROM"
    ))
}

fn platform(
    world: &World<'_>,
    ast: &StageAst,
    word: &Word,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Platform, Diagnostic> {
    let expansion = expand(word, Style::new(world.scope.escape), &world.scope.globals)?;
    let text = &expansion.text;
    let target = world.scope.globals.get("TARGETPLATFORM");
    let target = target.map_or("", String::as_str);
    let stage = ast.from.name.as_deref().unwrap_or_default();
    warnings.extend(undeclared(world, &expansion, word.span));
    warnings.extend(evaluated::platform_flag(word, &expansion, target, stage));
    let message = match Platform::parse(text) {
        Ok(platform) => return Ok(platform),
        Err(_) if text.is_empty() => format!("empty platform value from expression {}", word.text),
        Err(why) => format!("failed to parse platform {}: {why}", word.text),
    };
    let mut error = Diagnostic::error(code::PLATFORM, Phase::Evaluate, word.span, message);
    let mut unset = expansion.unset.iter();
    let near = unset.find_map(|name| suggest::help(name, names(world)));
    error.help = near.or_else(|| valueless(word).filter(|_| text.is_empty()));
    Err(error)
}

fn undeclared(world: &World<'_>, expansion: &Expansion, span: Span) -> Vec<Diagnostic> {
    let declared = world.dockerfile.global_arguments();
    let declared = declared.map(|argument| argument.name.as_str());
    let known: Vec<&str> = declared.chain(names(world)).collect();
    evaluated::undefined_in_from(&expansion.unset, &known, span)
}

/// The variables that have values.
fn names<'w>(world: &'w World<'_>) -> impl Iterator<Item = &'w str> {
    world.scope.globals.keys().map(String::as_str)
}

/// An error about the base that is named.
pub(super) fn base_error(line: &Line, image: &Word, message: String) -> Diagnostic {
    let error = line.error_at(image.span, code::BASE, message);
    error.in_phase(Phase::Evaluate)
}
