//! Where a shell is opened in a build: the Dockerfile as far as that place, and a RUN in it that is the shell. So it has all that a RUN would
//! have there: variables, arguments, user, folder, and before a RUN, or after it, also that one's mounts. Works on text; unaware of what
//! is built.

use kiln_parser::{Dockerfile, Line, StageAst};

/// Where tools are, in the RUN that is the shell, which no container has a use for: its layers go below the others.
pub const TOOLS: &str = "/.kiln-tools";

/// The text up to a place, and the RUN that is the shell. `line` is one of an instruction, from 1; without it the place is the end
/// of the stage `target`, or of the last one. `tools` is the context of programs that it has besides. None where there is no such instruction or stage, and before FROM: nothing is there.
pub fn cut(
    text: &str,
    dockerfile: &Dockerfile,
    (line, is_before): (Option<u32>, bool),
    (target, tools): (Option<&str>, Option<&str>),
) -> Option<String> {
    let lines = &dockerfile.lines;
    let has = |line: &Line, number| (line.first..=line.last).contains(&number);
    let at = match line {
        Some(number) => lines.iter().position(|line| has(line, number))?,
        None => last_of(stage(dockerfile, target)?),
    };
    let is_from = |line: &&Line| line.name().eq_ignore_ascii_case("FROM");
    let instruction = lines.get(at).filter(|line| !(is_before && is_from(line)))?;
    let end = match is_before {
        true => instruction.span.start(),
        false => instruction.span.end(),
    };
    let mut flags = flags(text, instruction);
    if let Some(tools) = tools {
        flags += &format!("--mount=from={tools},target={TOOLS} ");
    }
    Some(format!("{}\nRUN {flags}shell\n", text.get(..end)?))
}

/// The flags of a RUN, as they are written; of other instructions none.
fn flags(text: &str, line: &Line) -> String {
    let is_run = line.name().eq_ignore_ascii_case("RUN");
    let flags = line.flags().iter().filter(|_| is_run);
    let written = flags.filter_map(|flag| text.get(flag.span.range()));
    written.flat_map(|flag| [flag, " "]).collect()
}

fn stage<'d>(dockerfile: &'d Dockerfile, target: Option<&str>) -> Option<&'d StageAst> {
    let Some(target) = target else {
        return dockerfile.stages.last();
    };
    let is_called = |stage: &&StageAst| {
        let name = stage.from.name.as_deref();
        name.is_some_and(|name| name.eq_ignore_ascii_case(target))
    };
    let number = || dockerfile.stages.get(target.parse::<usize>().ok()?);
    // of several with a name, the last one counts
    dockerfile.stages.iter().rfind(is_called).or_else(number)
}

/// The position of the last instruction of a stage.
fn last_of(stage: &StageAst) -> usize {
    stage.statements.last().map_or(stage.line, |last| last.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "FROM a AS one\nENV A=1\nRUN --mount=type=cache,target=/c \\\n  --network=none make <<EOF\nx\nEOF\nCOPY . .\nFROM one\nUSER 7\n";

    fn is(place: (Option<u32>, bool), target: Option<&str>, end: &str, run: &str) {
        let dockerfile = kiln_parser::parse(TEXT).dockerfile;
        let text = cut(TEXT, &dockerfile, place, (target, None)).unwrap();
        let before = TEXT.find(end).map_or(TEXT.len(), |at| at + end.len());
        assert_eq!(text, format!("{}\n{run}\n", &TEXT[..before]));
    }

    #[test]
    fn a_shell_is_a_run_with_the_mounts_of_its_step() {
        let run = "RUN --mount=type=cache,target=/c --network=none shell";
        is((Some(3), false), None, "EOF\nx\nEOF", run);
        is((Some(3), true), None, "ENV A=1\n", run);
        is((Some(5), true), None, "ENV A=1\n", run);
        is((Some(7), false), None, "COPY . .", "RUN shell");
        is((None, false), None, "USER 7", "RUN shell");
        is((None, false), Some("ONE"), "COPY . .", "RUN shell");
        is((None, true), Some("0"), "x\nEOF\n", "RUN shell");
    }

    #[test]
    fn what_is_not_there_is_no_place() {
        let dockerfile = kiln_parser::parse(TEXT).dockerfile;
        let cut = |line, target| cut(TEXT, &dockerfile, (line, false), (target, None));
        assert!(cut(Some(99), None).is_none() && cut(None, Some("two")).is_none());
        let before = super::cut(TEXT, &dockerfile, (Some(8), true), (None, None));
        assert!(before.is_none());
    }
}
