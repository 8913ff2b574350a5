//! A Dockerfile as one JSON object. Unaware of values.

use serde_json::{Map, Value, json};

use crate::ast::{Dockerfile, StageAst, parse};
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::heredoc::Heredoc;
use crate::line::{Arguments, Line};

/// The tree of a Dockerfile, and whether it has no errors.
///
/// `error` is null or the first error (`phase`, `line`, `message`). After a syntax error there is nothing else; after a semantic error
/// `stages` and `global_args` are missing.
pub fn parse_json(source: &str) -> (Value, bool) {
    let parsed = parse(source);
    let error = parsed.errors.first();
    let mut object = Map::new();
    object.insert("error".to_owned(), error.map_or(Value::Null, error_json));
    if error.is_some_and(|error| error.phase == Phase::Syntax) {
        return (Value::Object(object), false);
    }
    let file = &parsed.dockerfile;
    let directives = file
        .directives
        .iter()
        .map(|directive| (directive.name.clone(), json!(directive.value)));
    object.insert("directives".to_owned(), Value::Object(directives.collect()));
    object.insert("escape".to_owned(), json!(file.escape.to_string()));
    let instructions = file.lines.iter().map(instruction_json);
    object.insert("instructions".to_owned(), instructions.collect());
    if error.is_none() {
        let stages = file
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| stage_json(file, index, stage));
        object.insert("stages".to_owned(), stages.collect());
        object.insert("global_args".to_owned(), global_arguments(file));
    }
    (Value::Object(object), error.is_none())
}

fn error_json(error: &Diagnostic) -> Value {
    // The reference reports bad directives one line early: it counts the lines it has finished.
    let early = u32::from(error.code == code::DIRECTIVE);
    let line = error.line.saturating_sub(early);
    let phase = if error.phase == Phase::Syntax {
        "syntax"
    } else {
        "semantic"
    };
    json!({"phase": phase, "line": line, "message": error.message})
}

fn instruction_json(line: &Line) -> Value {
    let mut object = body(line);
    object.insert("start".to_owned(), json!(line.first));
    object.insert("end".to_owned(), json!(line.last));
    object.insert(
        "heredocs".to_owned(),
        line.heredocs().iter().map(heredoc_json).collect(),
    );
    Value::Object(object)
}

/// An instruction without lines and heredocs.
fn body(line: &Line) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(line.name().to_uppercase()));
    let flags = line.flags().iter().map(|flag| json!(flag.text.as_str()));
    object.insert("flags".to_owned(), flags.collect());
    match &line.arguments {
        Arguments::Words { words, json } => {
            let words = words.iter().map(|word| json!(word.text.as_str()));
            object.insert("args".to_owned(), words.collect());
            object.insert("json".to_owned(), json!(json));
        }
        Arguments::Pairs(pairs) => {
            let pairs = pairs
                .iter()
                .map(|pair| json!([pair.key.as_str(), pair.value.as_str()]));
            object.insert("pairs".to_owned(), pairs.collect());
        }
        Arguments::Trigger(trigger) => {
            let trigger = trigger
                .as_ref()
                .map_or(Value::Null, |line| Value::Object(body(line)));
            object.insert("trigger".to_owned(), trigger);
        }
    }
    object
}

fn heredoc_json(doc: &Heredoc) -> Value {
    json!({
        "name": doc.name,
        "fd": doc.fd,
        "expand": doc.expand,
        "strip_tabs": doc.strip_tabs,
        "content": doc.content,
    })
}

fn stage_json(file: &Dockerfile, index: usize, stage: &StageAst) -> Value {
    json!({
        "index": index,
        "name": stage.from.name.as_deref().unwrap_or_default(),
        "base": stage.from.image.text.as_str(),
        "platform": stage.from.platform.as_ref().map_or("", |word| word.text.as_str()),
        "line": file.lines[stage.line].first,
        "instructions": stage.statements.len(),
    })
}

fn global_arguments(file: &Dockerfile) -> Value {
    let arguments = file.globals.iter().flat_map(|global| &global.arg.arguments);
    let pair = |argument: &crate::instruction::Argument| {
        json!([
            argument.name.as_str(),
            argument.default.as_ref().map(|word| word.text.as_str())
        ])
    };
    arguments.map(pair).collect()
}
