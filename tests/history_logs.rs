//! `kiln logs`: what the steps of a build have printed, however they ended, with the values of secrets masked.

use std::fs;

use rustix::process::Signal;

use crate::support::mode::skip;
use crate::support::processes::{appears, eventually, unique_nap};
use crate::support::screen::Screen;
use crate::support::traces::holders;
use crate::support::{Space, plain_cases, user_cases};

plain_cases! {
    a_failed_step_has_all_its_lines,
    a_long_log_is_whole,
    bytes_stay_as_they_are,
    what_a_stopped_step_has_printed_is_kept,
    what_was_printed_before_the_terminal_went_is_kept,
    what_a_step_has_printed_that_was_killed_for_memory_is_kept,
    cached_steps_show_what_they_printed_then,
    builds_and_steps_are_named_in_many_ways,
    logs_and_builds_are_counted_and_go,
}

user_cases! {
    no_secret_is_in_a_log,
}

#[track_caller]
fn logs(space: &Space, arguments: &[&str]) -> String {
    space.kiln(["logs"]).args(arguments).ok().stdout
}

/// The bytes that a step of the last build has printed.
#[track_caller]
fn raw(space: &Space, step: &str) -> Vec<u8> {
    space.kiln(["logs", "--step", step]).stdout()
}

/// A command that prints lines with these numbers.
fn lines(count: usize) -> String {
    format!("i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); done")
}

fn a_failed_step_has_all_its_lines(space: &Space) {
    let text = format!("FROM tools\nRUN echo one\nRUN {}; exit 9\n", lines(1000));
    space.build(&text).exits(1);
    let printed: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    assert_eq!(raw(space, "stage-0 3/3"), printed.as_bytes());
    let whole = logs(space, &[]);
    let (first, second) = whole.split_once("\n\n").unwrap();
    assert_eq!(first, "[stage-0 2/3] RUN echo one\none");
    let (heading, rest) = second.split_once('\n').unwrap();
    assert!(
        heading.starts_with("[stage-0 3/3] RUN i=0; while"),
        "{heading}"
    );
    assert_eq!(rest, printed);
}

/// 100 MB at night, else less.
fn a_long_log_is_whole(space: &Space) {
    let times = match std::env::var_os("KILN_NIGHTLY") {
        Some(_) => 100,
        None => 5,
    };
    let part: String = (0..)
        .map(|line| format!("line {line}\n"))
        .take(80_000)
        .collect();
    space.write("part", &part);
    let text = format!(
        "FROM tools\nCOPY part /part\nRUN cat{}; exit 1\n",
        " /part".repeat(times)
    );
    let build = space.build(&text).arg("-q");
    build.env("BUILDKIT_STEP_LOG_MAX_SIZE", "-1").exits(1);
    assert!(raw(space, "stage-0 3") == part.repeat(times).as_bytes());
    // what is over the limit is left out, in the log that is kept too
    let build = space.build(&text).arg("-q");
    build.env("BUILDKIT_STEP_LOG_MAX_SIZE", "1000").exits(1);
    let clipped = String::from_utf8(raw(space, "stage-0 3")).unwrap();
    assert!(
        clipped.contains("[output clipped: the log limit of 1000 bytes"),
        "{clipped}"
    );
    assert!(clipped.ends_with("line 79999\n"), "{clipped}");
}

fn bytes_stay_as_they_are(space: &Space) {
    let bytes = b"\x00\x01\xff\x1b[2J\r\n\xc3(no end";
    space.write("bytes", bytes);
    let text = "FROM tools\nCOPY bytes /bytes\nRUN cat /bytes\nRUN true\n";
    space.build(text).ok();
    assert_eq!(raw(space, "Dockerfile:3"), bytes);
    space
        .kiln(["logs", "--step", "stage-0 4"])
        .ok()
        .says(&["nothing is kept"]);
}

fn what_a_stopped_step_has_printed_is_kept(space: &Space) {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let nap = unique_nap();
        let text = format!("FROM tools\nRUN echo before {nap}; sleep {nap}; echo after\n");
        let running = space.build(&text).spawn();
        appears(&nap);
        running.signal(signal);
        running.wait();
        assert_eq!(
            raw(space, "stage-0 2"),
            format!("before {nap}\n").as_bytes()
        );
    }
}

fn what_was_printed_before_the_terminal_went_is_kept(space: &Space) {
    let nap = unique_nap();
    let text = format!("FROM tools\nRUN {}; sleep {nap}; echo after\n", lines(1000));
    let mut build = space.build(&text);
    let mut screen = Screen::start(build.command(), 80, 24);
    appears(&nap);
    screen.close();
    // the kernel sends it to who has lost the terminal that it was started from
    screen.signal(Signal::HUP);
    eventually("the build ends", || {
        let last = space
            .kiln(["builds", "-n1", "--format", "{{.Result}}"])
            .ok();
        last.stdout == "stopped\n"
    });
    let printed: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    assert_eq!(raw(space, "stage-0 2"), printed.as_bytes());
}

fn what_a_step_has_printed_that_was_killed_for_memory_is_kept(space: &Space) {
    let greedy = "a=0123456789abcdef; while :; do a=$a$a; done";
    let text = format!("FROM tools\nRUN {}; {greedy}\n", lines(1000));
    let limits = space.build("FROM tools\n").args(["-m", "64m"]).ok();
    if let Some(why) = limits
        .stderr
        .lines()
        .find(|line| line.contains(" no effect: "))
    {
        return skip("limits of RUN", space.mode, why);
    }
    let killed = space.build(&text).args(["-m", "64m"]).exits(1);
    killed.says(&["it used more than the 64 MiB"]);
    let printed: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    let kept = raw(space, "stage-0 2");
    assert!(
        kept.starts_with(printed.as_bytes()),
        "{}",
        String::from_utf8_lossy(&kept)
    );
}

fn cached_steps_show_what_they_printed_then(space: &Space) {
    let text = "FROM tools AS base\nRUN echo shown\nFROM base\nRUN echo other > /other\n";
    let build = |text: &str| {
        space.build(text).ok();
        space
            .kiln(["builds", "-q", "-n1"])
            .ok()
            .stdout
            .trim()
            .to_owned()
    };
    let first = build(text);
    assert_eq!(logs(space, &[]), "[base 2/2] RUN echo shown\nshown\n");
    let ran = format!("[base 2/2] RUN echo shown (cached, ran in build {first})\nshown\n");
    // all from the cache, and one step of another Dockerfile
    build(text);
    assert_eq!(logs(space, &[]), ran);
    let third = build(&text.replace("other", "third"));
    assert_eq!(logs(space, &[]), ran);
    assert_eq!(raw(space, "base 2"), b"shown\n");
    // one that runs again has a log of its own, and the others keep theirs
    space.build(text).arg("--no-cache").ok();
    assert_eq!(logs(space, &[]), "[base 2/2] RUN echo shown\nshown\n");
    assert!(logs(space, &[&third]).contains(" (cached, ran in build "));
    space.kiln(["fsck"]).ok();
}

fn builds_and_steps_are_named_in_many_ways(space: &Space) {
    let text = "FROM tools\nRUN echo one\n";
    space
        .build(text)
        .args(["-t", "example.org/team/one:v1"])
        .ok();
    space.build(&text.replace("one", "two")).ok();
    let ids = space.kiln(["builds", "-q"]).ok().stdout;
    let first = ids.lines().nth(1).unwrap();
    let id = space.id("example.org/team/one:v1");
    for name in [
        first,
        &first[..11],
        "example.org/team/one:v1",
        &id,
        &id[7..19],
    ] {
        assert!(logs(space, &[name]).ends_with("\none\n"), "{name}");
    }
    for name in ["app", "app:latest"] {
        assert!(logs(space, &[name]).ends_with("\ntwo\n"), "{name}");
    }
    for step in ["stage-0 2", "0 2/2", "[stage-0 2/2]", "Dockerfile:2"] {
        assert_eq!(raw(space, step), b"two\n", "{step}");
    }
    space.kiln(["buildx", "history", "logs", first]).ok();
    space.kiln(["builder", "history", "ls"]).ok();
    let none = space.kiln(["logs", "none"]).exits(1);
    none.says(&["no build none is remembered", "kiln builds"]);
    let none = space.kiln(["logs", "--step", "stage-0 3"]).exits(1);
    none.says(&["has no such step", "its steps are stage-0 1/2, stage-0 2/2"]);
    let wrong = space.kiln(["logs", "--step", "x"]).exits(2);
    wrong.says(&["expected STAGE N/M, STAGE N or Dockerfile:LINE"]);
}

fn logs_and_builds_are_counted_and_go(space: &Space) {
    space
        .kiln(["logs"])
        .exits(1)
        .says(&["no build is remembered"]);
    space.build("FROM tools\nRUN echo one\n").ok();
    let class = |name: &str| {
        let format = "{{.Type}} {{.TotalCount}}";
        let all = space.kiln(["df", "--format", format]).ok().stdout;
        all.lines().any(|line| line == name)
    };
    assert!(class("builds 1") && class("logs 1"));
    space.kiln(["image", "prune"]).ok();
    space.kiln(["prune", "--filter", "until=24h"]).ok();
    assert!(class("builds 1") && class("logs 1"));
    space.kiln(["prune"]).ok();
    assert!(class("builds 0") && class("logs 0"));
    space
        .build("FROM tools\nRUN echo one\n")
        .arg("--no-cache")
        .ok();
    space.kiln(["prune", "--max-size", "1"]).ok();
    assert!(class("builds 1") && class("logs 0"));
    space.kiln(["logs"]).ok().says(&["nothing is kept"]);
    space.is_clean();
}

const TOKEN: &str = "Zq7-unmistakable-w4H";
const LINES: &str = "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n";

fn no_secret_is_in_a_log(space: &Space) {
    fs::write(space.path("key"), LINES).unwrap();
    let mounts = "--mount=type=secret,id=token,env=TOKEN --mount=type=secret,id=key";
    let text = format!(
        "FROM tools\nRUN {mounts} cat /run/secrets/key; echo \"<$TOKEN$TOKEN>\"; \
         while read line; do echo \"> $line\"; done < /run/secrets/key; {}; exit 1\n",
        lines(20)
    );
    let secrets = format!("id=key,src={}", space.path("key").display());
    let build = space
        .build(&text)
        .args(["--secret", "id=token", "--secret", &secrets]);
    build.env("token", TOKEN).exits(1);
    let expected: String = (0..20).map(|line| format!("line {line}\n")).collect();
    let expected = format!("***\n<******>\n> ***\n> ***\n> ***\n{expected}");
    assert_eq!(
        String::from_utf8(raw(space, "stage-0 2")).unwrap(),
        expected
    );
    let mut values = vec![TOKEN];
    values.extend(LINES.lines());
    assert_eq!(holders(&space.store(), &values), [""; 0]);
    for log in fs::read_dir(space.store().join("logs")).unwrap() {
        let bytes = fs::read(log.unwrap().path()).unwrap();
        let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
        assert!(!values.iter().any(|value| text.contains(value)), "{text}");
    }
}
