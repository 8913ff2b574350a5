//! `kiln shell`: a shell before or after a step of a build, with what a RUN has there.

use crate::support::contained::contained;
use crate::support::processes::{appears, eventually, nothing_left, unique_nap, with_argument};
use crate::support::screen::Screen;
use crate::support::space::TOOLS;
use crate::support::{Kiln, Space, plain_cases, user_cases};

user_cases! {
    a_shell_after_or_before_any_step,
    mounts_users_and_secrets_of_the_step,
    what_it_changes_is_thrown_away_or_kept,
    a_real_terminal,
}

plain_cases! {
    a_step_that_fails_is_entered_before_it,
    an_image_without_a_shell_gets_tools,
    results_come_from_a_shared_cache,
    a_real_terminal_without_namespaces,
    mistakes_are_told,
}

const TEXT: &str = "FROM tools AS build\nARG WORD=given\nWORKDIR /srv\nRUN echo one > one\nENV LATE=yes\nRUN echo two > two\nFROM build\nRUN echo three > three\n";

/// `kiln shell` of the context with these words, and what is typed there.
fn shell<'a>(space: &Space, words: impl IntoIterator<Item = &'a str>, typed: &str) -> Kiln {
    let tools = format!("tools=host-tools:{TOOLS}");
    let arguments = ["shell", "-q", "--build-context", &tools];
    let kiln = space.kiln(arguments).args(words);
    kiln.stdin(format!("{typed}\n"))
}

#[track_caller]
fn prints(space: &Space, words: &[&str], typed: &str, expected: &str) {
    let context = space.context();
    let at = words.iter().position(|word| !word.starts_with('-'));
    let (flags, step) = words.split_at(at.unwrap_or(words.len()));
    let ran = shell(space, flags.iter().copied(), typed)
        .arg(&context)
        .args(step)
        .ok();
    assert_eq!(ran.stdout, expected, "{words:?}: {ran}");
}

fn a_shell_after_or_before_any_step(space: &Space) {
    space.write("Dockerfile", TEXT);
    let look = "ls; echo $WORD ${LATE-no} $PWD";
    prints(space, &[], look, "one\nthree\ntwo\ngiven yes /srv\n");
    prints(
        space,
        &["--target=build"],
        look,
        "one\ntwo\ngiven yes /srv\n",
    );
    prints(space, &["build 3/4"], look, "one\ngiven no /srv\n");
    prints(space, &["build 4"], look, "one\ntwo\ngiven yes /srv\n");
    prints(space, &["--before", "build 3/4"], look, "given no /srv\n");
    prints(
        space,
        &["--before", "Dockerfile:6"],
        look,
        "one\ngiven yes /srv\n",
    );
    prints(space, &["Dockerfile:5"], look, "one\ngiven yes /srv\n");
    prints(
        space,
        &["Dockerfile:1"],
        "ls -d /srv || echo none",
        "none\n",
    );
    // it was built before: nothing is executed
    space.build(TEXT).ok();
    prints(space, &[], "exec cat three", "three\n");
    shell(space, ["."], "exit 7")
        .args(["Dockerfile:1"])
        .current_dir(&space.context())
        .exits(7);
    let ran = shell(space, [], "cat one")
        .arg("build 3/4")
        .current_dir(&space.context())
        .ok();
    assert_eq!(ran.stdout, "one\n");
    space.is_clean();
}

fn mounts_users_and_secrets_of_the_step(space: &Space) {
    space.write("file", "of the context\n");
    let user = if space.mode.has_one_id() { "0" } else { "7:8" };
    let text = format!(
        "FROM tools\nUSER {user}\nRUN --mount=type=cache,target=/cache,mode=777 echo kept > /cache/kept\n\
         RUN --mount=type=secret,id=word,mode=444 --mount=target=/context --mount=type=cache,target=/cache,mode=777 \\\n  --network=none true\n"
    );
    space.write("Dockerfile", &text);
    space.write_in("own", "word", "secret\n");
    let look =
        "cat /run/secrets/word /context/file /cache/kept; id -u; set -- /sys/class/net/*; echo $#";
    let expected = format!("secret\nof the context\nkept\n{}\n1\n", &user[..1]);
    prints(space, &["--secret=id=word,src=word"], look, &expected);
    prints(
        space,
        &["--secret=id=word,src=word", "--before", "Dockerfile:4"],
        look,
        &expected,
    );
}

fn what_it_changes_is_thrown_away_or_kept(space: &Space) {
    space.write("Dockerfile", TEXT);
    prints(space, &[], "echo gone > four", "");
    prints(space, &[], "ls", "one\nthree\ntwo\n");
    prints(
        space,
        &["--commit=tried:1", "--target=build"],
        "echo kept > four; rm one",
        "",
    );
    let ran = space
        .kiln(["run", "tried:1", "sh", "-c", "ls; echo $LATE $PWD"])
        .ok();
    assert_eq!(ran.stdout, "four\ntwo\nyes /srv\n");
    space.is_clean();
}

const PROMPT: &str = "FROM tools\nENV PS1='ready> '\n";

fn a_real_terminal(space: &Space) {
    space.write("Dockerfile", PROMPT);
    let tools = format!("tools=host-tools:{TOOLS}");
    let kiln = space.kiln(["shell", "--build-context", &tools]);
    on_a_terminal(space, kiln.arg(space.context()));
}

fn a_real_terminal_without_namespaces(space: &Space) {
    space.write("Dockerfile", PROMPT);
    let context = space.context();
    let words = format!(
        "--build-context tools=host-tools:{TOOLS} {}",
        context.display()
    );
    let shell = format!("shell --isolation supervised {words}");
    on_a_terminal(space, contained(space, &shell));
}

fn on_a_terminal(space: &Space, mut kiln: Kiln) {
    let mut screen = Screen::start(kiln.command(), 80, 24);
    screen.shows(&["ready>"]);
    let nap = unique_nap();
    screen.press(&format!(
        "[ -t 0 ] && echo on a $((2 * 21)) terminal; sleep {nap}\r"
    ));
    screen.shows(&["on a 42 terminal"]);
    appears(&nap);
    screen.press("\x03");
    eventually("Ctrl-C ends nothing", || with_argument(&nap).is_empty());
    screen.press("exit 4\r");
    assert_eq!(screen.ends(), Some(4));
    nothing_left(&space.store());
}

fn a_step_that_fails_is_entered_before_it(space: &Space) {
    space.write(
        "Dockerfile",
        "FROM tools\nRUN echo one > /one\nRUN cat /one /two\n",
    );
    let failed = shell(space, ["."], "ls")
        .arg("Dockerfile:3")
        .current_dir(&space.context())
        .exits(1);
    failed.says(&["cat", "--before"]);
    prints(
        space,
        &["--before", "Dockerfile:3"],
        "echo two > /two; cat /one /two",
        "one\ntwo\n",
    );
}

fn an_image_without_a_shell_gets_tools(space: &Space) {
    space.write("file", "of the image\n");
    space.write(
        "Dockerfile",
        "FROM scratch\nCOPY file /file\nCMD [\"/program\"]\n",
    );
    let failed = shell(space, ["."], "cat /file")
        .current_dir(&space.context())
        .exits(127);
    failed.says(&["/bin/sh"]);
    let tools = "--tools=host-tools:sh,cat,ls";
    prints(space, &[tools], "cat /file", "of the image\n");
    prints(space, &[tools, "--commit=tried"], "echo new > /new", "");
    assert_eq!(space.image_paths("tried"), ["file", "new"]);
}

fn results_come_from_a_shared_cache(space: &Space) {
    let text = "FROM tools\nRUN cat /proc/sys/kernel/random/uuid > /id\n";
    let to = ["--cache-to", "type=local,dest=cache,mode=max"];
    space.build(text).args(to).ok();
    let id = space.kiln(["run", "--rm", "app", "cat", "/id"]).ok().stdout;
    let elsewhere = |flags: &[&str]| {
        let words = flags.iter().copied().chain(["."]);
        let ran = shell(space, words, "cat /id").current_dir(&space.context());
        ran.env("KILN_STORE", space.own().join("two")).ok().stdout
    };
    let from = format!("type=local,src={}", space.own().join("cache").display());
    assert_eq!(elsewhere(&["--cache-from", &from]), id);
    assert_ne!(elsewhere(&["--no-cache"]), id);
}

fn mistakes_are_told(space: &Space) {
    space.write("Dockerfile", TEXT);
    let fails = |words: &[&str], code: i32, text: &str| {
        let kiln = shell(space, words.iter().copied(), "").current_dir(&space.context());
        kiln.exits(code).says(&[text]);
    };
    fails(&[".", "build 9/9"], 1, "its steps are build 1/4");
    fails(&[".", "Dockerfile:99"], 1, "no such step");
    fails(&["--before", ".", "Dockerfile:1"], 1, "before FROM");
    fails(&["--target=nothing", "."], 1, "could not be found");
    fails(
        &["--platform=linux/amd64,linux/arm64", "."],
        2,
        "one platform",
    );
    fails(&["-t", "x", "."], 2, "--commit NAME");
    fails(&[".", "nonsense"], 2, "is not a step");
    fails(&["--tools", "moon:", "."], 2, "moon:");
}
