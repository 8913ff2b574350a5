//! A comment directly above an argument or stage describes it: `# name what it is`.

use super::{Findings, Rule, Scope};
use crate::ast::Dockerfile;
use crate::instruction::Argument;
use crate::line::Line;

pub(super) const RULE: Rule = Rule {
    name: "InvalidDefinitionDescription",
    slug: "invalid-definition-description",
    description: "Comment for build stage or argument should follow the format: `# <arg/stage name> \
        <description>`. If this is not intended to be a description comment, add an empty line or comment \
        between the instruction and the comment.",
    experimental: true,
    scope: Scope::File,
    check: Some(check),
};

fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    for stage in &dockerfile.stages {
        let names: Vec<&str> = stage.from.name.as_deref().into_iter().collect();
        describe(&dockerfile.lines[stage.line], "FROM", &names, findings);
    }
    for global in &dockerfile.globals {
        let names: Vec<&str> = global.arg.arguments.iter().map(name).collect();
        describe(&dockerfile.lines[global.line], "ARG", &names, findings);
    }
}

fn name(argument: &Argument) -> &str {
    &argument.name
}

fn describe(line: &Line, kind: &str, names: &[&str], findings: &mut Findings) {
    let (Some(comment), Some(first)) = (line.comments.last(), names.first()) else {
        return;
    };
    let described = comment.split(' ').next().unwrap_or_default();
    if names.contains(&described) {
        return;
    }
    let example = if names.len() > 1 { "<arg_key>" } else { first };
    let message =
        format!("Comment for {kind} should follow the format: `# {example} <description>`");
    findings.add(&RULE, line, line.span, message);
}

#[cfg(test)]
mod tests {
    use crate::lint::tests::warnings;

    #[test]
    fn names_come_first() {
        let source = "# check=experimental=all\n#\n# A what\nARG A\n# no\nFROM x AS a\n# a stage\nFROM x AS a2";
        let found = warnings(source);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].1,
            "Comment for FROM should follow the format: `# a <description>`"
        );
    }
}
