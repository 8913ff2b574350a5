//! The scope outside stages: platform arguments and the `ARG`s before the first `FROM`. `FROM` lines see it, and `ARG name` imports from it
//! into a stage. Unaware of stages.

use std::collections::BTreeMap;

use kiln_oci::{Platform, Reference};

use crate::ast::Dockerfile;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::inputs::Inputs;
use crate::line::Word;
use crate::lint::evaluated;
use crate::words::{self, Expansion, Style};

/// The global variables and their values.
pub(super) fn evaluate(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    arguments: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut globals = platform_arguments(dockerfile, inputs);
    for (name, value) in &mut globals {
        if let Some(given) = arguments.get(name) {
            value.clone_from(given);
        }
    }
    let mut errors = Vec::new();
    let style = Style::new(dockerfile.escape);
    for argument in dockerfile.global_arguments() {
        let value = match (arguments.get(argument.name.as_str()), &argument.default) {
            (Some(given), _) => given.clone(),
            (None, None) => continue,
            (None, Some(default)) => match expand(default, style, &globals) {
                Ok(expansion) => expansion.text,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            },
        };
        globals.insert(argument.name.to_string(), value);
    }
    if errors.is_empty() {
        Ok(globals)
    } else {
        Err(errors)
    }
}

/// Expands a word with global variables.
pub(super) fn expand(
    word: &Word,
    style: Style,
    globals: &BTreeMap<String, String>,
) -> Result<Expansion, Diagnostic> {
    words::expand(&word.text, style, globals).map_err(|why| {
        let message = format!("failed to process {:?}: {why}", word.text);
        Diagnostic::error(code::EXPANSION, Phase::Evaluate, word.span, message)
    })
}

/// Bases that are invalid when no `--build-arg` is given. `defaults` are the global variables then.
pub(super) fn invalid_bases(
    dockerfile: &Dockerfile,
    defaults: &BTreeMap<String, String>,
) -> Vec<Diagnostic> {
    let style = Style::new(dockerfile.escape);
    let images = dockerfile.stages.iter().map(|stage| &stage.from.image);
    let expanded = images.map_while(|image| {
        let base = words::expand(&image.text, style, defaults).ok()?;
        Some((image, base.text))
    });
    let invalid = expanded.filter(|(_, base)| Reference::parse(base).is_err());
    invalid
        .map(|(image, _)| evaluated::invalid_default(&image.text, image.span))
        .collect()
}

fn platform_arguments(dockerfile: &Dockerfile, inputs: &Inputs) -> BTreeMap<String, String> {
    let mut globals = BTreeMap::new();
    let platforms = [
        ("BUILD", &inputs.build_platform),
        ("TARGET", &inputs.platform),
    ];
    for (prefix, platform) in platforms {
        for (name, value) in parts(platform) {
            globals.insert(format!("{prefix}{name}"), value);
        }
    }
    let last = dockerfile.stages.last();
    let last = last.and_then(|stage| stage.from.name.as_ref());
    let stage = inputs.language.target.as_ref().or(last);
    let stage = stage.map_or("default", String::as_str).to_owned();
    globals.insert("TARGETSTAGE".to_owned(), stage);
    globals
}

fn parts(platform: &Platform) -> [(&'static str, String); 5] {
    [
        ("PLATFORM", platform.to_string()),
        ("OS", platform.os.clone()),
        ("OSVERSION", platform.os_version.clone().unwrap_or_default()),
        ("ARCH", platform.architecture.clone()),
        ("VARIANT", platform.variant.clone().unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use crate::tests::{build_arg, evaluated, evaluation_messages, target};

    #[test]
    fn platform_arguments_exist_where_they_are_declared() {
        let stage = target(
            "FROM scratch AS s\nARG TARGETPLATFORM TARGETSTAGE\nLABEL a=$TARGETPLATFORM b=$TARGETSTAGE c=x$TARGETOS",
        );
        assert_eq!(stage.config.labels["a"], "linux/amd64");
        assert_eq!(stage.config.labels["b"], "s");
        assert_eq!(stage.config.labels["c"], "x");
    }

    #[test]
    fn globals_see_each_other_and_the_command_line() {
        let source = "ARG A=1\nARG B=$A-2\nFROM scratch\nARG B\nLABEL b=$B";
        let graph = evaluated(source, build_arg("A", "9"));
        assert_eq!(graph.target_stage().config.labels["b"], "9-2");
    }

    #[test]
    fn broken_defaults_are_reported_all() {
        assert_eq!(
            evaluation_messages("ARG A=${\nARG B='\nFROM scratch").len(),
            2
        );
    }
}
