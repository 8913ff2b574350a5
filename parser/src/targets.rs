//! The stages of a Dockerfile for people who want to build one: `--call=targets` shows them. Reads only the text; unaware of bases and
//! values.

use crate::ast::Dockerfile;
use crate::source::Span;

/// A stage that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Lower case; None if it has no name.
    pub name: Option<String>,
    /// Its description in the comment above (`# name description`), or nothing.
    pub description: String,
    /// Its base, as written.
    pub base: String,
    /// `--platform`, as written.
    pub platform: Option<String>,
    /// It is built when no target is given.
    pub is_default: bool,
    /// Its `FROM`.
    pub span: Span,
}

/// All stages, in order.
pub fn targets(dockerfile: &Dockerfile) -> Vec<Target> {
    let last = dockerfile.stages.len().saturating_sub(1);
    let target = |(index, stage): (usize, &crate::ast::StageAst)| {
        let line = &dockerfile.lines[stage.line];
        let name = stage.from.name.clone();
        Target {
            description: name
                .as_deref()
                .map_or(String::new(), |name| line.description_of(name)),
            name,
            base: stage.from.image.text.to_string(),
            platform: stage
                .from
                .platform
                .as_ref()
                .map(|word| word.text.to_string()),
            is_default: index == last,
            span: line.span,
        }
    };
    dockerfile.stages.iter().enumerate().map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_with_their_comments() {
        let source = "# comment\n# app is what runs\nFROM --platform=$P x AS App\n\n\
            # other what\nFROM app";
        let found = targets(&crate::parse(source).dockerfile);
        assert_eq!(found[0].name.as_deref(), Some("app"));
        assert_eq!(found[0].description, "is what runs");
        assert_eq!(found[0].platform.as_deref(), Some("$P"));
        assert!(!found[0].is_default && found[1].is_default);
        assert_eq!(
            (found[1].base.as_str(), found[1].name.as_deref()),
            ("app", None)
        );
        assert_eq!(found[1].description, "");
    }
}
