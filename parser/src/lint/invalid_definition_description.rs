//! A comment directly above an argument or stage describes it: `# name what it is`.

use super::Findings;
use super::rule::Rule;
use crate::ast::Dockerfile;
use crate::instruction::{Arg, Argument, Instruction};
use crate::line::Line;

pub(super) const RULE: Rule = Rule {
    experimental: true,
    ..Rule::new(
        "InvalidDefinitionDescription",
        "invalid-definition-description",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> \
        <description>`. If this is not intended to be a description comment, add an empty line or comment \
        between the instruction and the comment.",
    )
};

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings) {
    let mut arguments = |line: usize, arg: &Arg| {
        let names: Vec<&str> = arg.arguments.iter().map(name).collect();
        describe(&dockerfile.lines[line], "ARG", &names, findings);
    };
    for global in &dockerfile.globals {
        arguments(global.line, &global.arg);
    }
    for statement in dockerfile.stages.iter().flat_map(|stage| &stage.statements) {
        if let Instruction::Arg(arg) = &statement.instruction {
            arguments(statement.line, arg);
        }
    }
    for stage in &dockerfile.stages {
        let names: Vec<&str> = stage.from.name.as_deref().into_iter().collect();
        describe(&dockerfile.lines[stage.line], "FROM", &names, findings);
    }
}

fn name(argument: &Argument) -> &str {
    &argument.name
}

fn describe(line: &Line, kind: &str, names: &[&str], findings: &mut Findings) {
    let (Some(comment), Some(first)) = (line.comments().last(), names.first()) else {
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
        let source = "# check=experimental=all\nFROM x\n# no\nARG A B\n# B what\nARG A B";
        let found = warnings(source);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].1,
            "Comment for ARG should follow the format: `# <arg_key> <description>`"
        );
    }
}
