//! What a person sees while a build goes on, and when a step fails: on terminals that can be drawn upon and on others.

use crate::support::unread::seen;
use crate::support::{Space, plain_cases};

plain_cases! {
    a_dumb_terminal_shows_lines,
    a_live_view_is_no_wider_than_its_terminal,
    a_failed_step_shows_much_of_its_output,
    a_failed_step_shows_its_whole_instruction,
}

fn a_dumb_terminal_shows_lines(space: &Space) {
    let text = "FROM tools\nRUN echo said\nMAINTAINER me\n";
    for term in [None, Some(""), Some("dumb")] {
        for progress in ["auto", "plain", "tty"] {
            let build = space
                .build(text)
                .args(["--no-cache", "--progress", progress]);
            let mut build = match term {
                None => build,
                Some(term) => build.env("TERM", term),
            };
            let (code, shown) = seen(build.command());
            assert_eq!(code, Some(0), "{shown}");
            let expected = [
                "RUN echo said\n",
                "| said\n",
                "built ",
                "MaintainerDeprecated",
            ];
            for line in expected {
                assert!(shown.contains(line), "{term:?} {progress}: {shown}");
            }
            assert!(!shown.contains('\x1b'), "{term:?} {progress}: {shown}");
        }
    }
    let failed = seen(
        space
            .build("FROM tools\nRUN exit 3\n")
            .env("TERM", "dumb")
            .command(),
    );
    assert_eq!(failed.0, Some(1));
    assert!(
        failed.1.contains("error") && !failed.1.contains('\x1b'),
        "{}",
        failed.1
    );
    // others are drawn upon, in colour
    let live = seen(space.build(text).env("TERM", "xterm").command());
    assert!(
        live.1.contains('\x1b') && live.1.contains("built"),
        "{}",
        live.1
    );
    let help = seen(space.kiln(["--help"]).env("TERM", "dumb").command());
    assert!(
        help.1.contains("Usage") && !help.1.contains('\x1b'),
        "{}",
        help.1
    );
}

fn a_live_view_is_no_wider_than_its_terminal(space: &Space) {
    let long = "word ".repeat(60);
    let text = format!("FROM tools\nRUN echo {long}; sleep 0.3\n");
    let build = space.build(&text).arg("--no-cache").env("TERM", "xterm");
    let (code, shown) = seen(build.env("NO_COLOR", "1").command());
    assert_eq!(code, Some(0), "{shown}");
    // what does not fit is cut, of the instruction as of its output
    assert!(
        shown.contains("RUN echo word") && shown.contains('…'),
        "{shown}"
    );
    assert!(!shown.contains(&"word ".repeat(16)), "{shown}");
}

/// Lines of a failed step's output as they are shown with the error.
fn last_output(space: &Space, count: usize) -> Vec<String> {
    let lines: String = (1..=count).map(|line| format!("line {line}\n")).collect();
    space.write("lines", lines);
    let text = "FROM tools\nRUN --mount=target=/c cat /c/lines && exit 3\n";
    let failed = space.build(text).arg("-q").exits(1);
    let said = failed.stderr.lines();
    let shown = said.skip_while(|line| !line.starts_with("last output"));
    let shown: Vec<String> = shown.map(str::to_owned).collect();
    let end = shown.iter().position(String::is_empty).unwrap();
    shown[..end].to_vec()
}

fn a_failed_step_shows_much_of_its_output(space: &Space) {
    for count in [1, 199, 200] {
        let shown = last_output(space, count);
        assert_eq!(shown[0], "last output:");
        assert_eq!(shown.len(), count + 1);
        assert_eq!(shown[1], "  line 1");
    }
    let shown = last_output(space, 5000);
    assert_eq!(shown[0], "last output (200 lines):");
    assert_eq!(shown[1], "  line 4801");
    assert_eq!(shown[200], "  line 5000");
    // what was written over itself is seen as it was at last, and nothing of it steers a terminal
    let text = "FROM tools\nRUN printf '10%%\\r100%%\\n\\033[2Jred\\n'; exit 3\n";
    let failed = space.build(text).arg("-q").exits(1);
    failed.says(&["\n  100%\n"]).never_says(&["10%\r", "\x1b"]);
}

fn a_failed_step_shows_its_whole_instruction(space: &Space) {
    let long = "a".repeat(400);
    let several =
        format!("RUN echo {long} && \\\n    # a comment\n    echo second && \\\n    false");
    let heredoc = "RUN <<EOF\necho in\n\nfalse\nEOF";
    for instruction in [several.as_str(), heredoc] {
        let text = format!("FROM tools\nENV before=1\n{instruction}\nENV after=1\n");
        let failed = space.build(&text).arg("-q").exits(1);
        for line in instruction.lines() {
            assert!(failed.stderr.contains(line), "{line}\n{failed}");
        }
        failed.never_says(&["ENV"]);
    }
}
