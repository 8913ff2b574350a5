//! `kiln build --on-error`: a step that failed is looked at as it was left.

use crate::support::screen::Screen;
use crate::support::space::TOOLS;
use crate::support::{Space, plain_cases, user_cases};

user_cases! {
    a_shell_where_the_step_failed,
    what_is_left_becomes_an_image,
}

plain_cases! {
    an_image_without_a_shell_gets_tools,
}

const TEXT: &str = "FROM tools\nENV PS1='ready> ' WORD=kept\nWORKDIR /srv\nRUN echo one > one\n\
                    RUN --mount=type=secret,id=word,env=SECRET echo two > two; exit 9\n";

fn a_shell_where_the_step_failed(space: &Space) {
    let kiln = space.build(TEXT).args(["--on-error=shell"]);
    kiln.exits(2).says(&["needs a terminal", "--on-error=keep"]);
    let tools = format!("tools=host-tools:{TOOLS}");
    space.write_in("own", "word", "hidden");
    let words = [
        "build",
        "--on-error=shell",
        "--secret=id=word,src=word",
        "--build-context",
        &tools,
    ];
    let mut kiln = space.kiln(words).arg(space.context());
    let mut screen = Screen::start(kiln.command(), 120, 50);
    screen.shows(&["exit code 9", "a shell where the step failed", "ready>"]);
    screen.press("cat one two; echo $WORD $SECRET $PWD\r");
    screen.shows(&["one", "two", "kept hidden /srv"]);
    screen.press("echo $((40 + 2)) > three; cat three; exit 5\r");
    screen.shows(&["42"]);
    assert_eq!(screen.ends(), Some(1), "the build has failed");
    space.is_clean();
}

fn what_is_left_becomes_an_image(space: &Space) {
    space.write_in("own", "word", "hidden");
    let failed = space
        .build(TEXT)
        .args(["--on-error=keep", "--secret=id=word,src=word"])
        .exits(1);
    failed.says(&["exit code 9", "what the step has left is the image"]);
    let id = failed.stderr.split("kiln run -it ").nth(1).unwrap();
    let id = id.split('`').next().unwrap();
    let ran = space
        .kiln(["run", "-i", id])
        .stdin("cat one two; echo $WORD $SECRET $PWD\n")
        .ok();
    assert_eq!(ran.stdout, "one\ntwo\nkept /srv\n");
    space.is_clean();
    // without it, nothing is kept
    let before = space.kiln(["images", "-a", "-q"]).ok().stdout;
    space.build(TEXT).exits(1).never_says(&["has left"]);
    assert_eq!(space.kiln(["images", "-a", "-q"]).ok().stdout, before);
}

fn an_image_without_a_shell_gets_tools(space: &Space) {
    space.write(
        "Dockerfile",
        "FROM few\nENV PS1='ready> '\nRUN [\"false\"]\n",
    );
    let start = |tools: &str| {
        let few = [
            "build",
            "--on-error=shell",
            "--build-context",
            "few=host-tools:false",
        ];
        let mut kiln = space.kiln(few).arg(tools).arg(space.context());
        Screen::start(kiln.command(), 120, 50)
    };
    let mut screen = start("--tools=host-tools:sh,ls");
    screen.shows(&["exit code 1", "ready>"]);
    screen.press("ls -d /usr/*/false; exit\r");
    screen.shows(&["/usr/bin/false"]);
    assert_eq!(screen.ends(), Some(1));
    let mut screen = start("--tools=host-tools:no-such-program");
    screen.shows(&["--tools: ", "no-such-program"]);
    assert_eq!(screen.ends(), Some(1));
}
