//! Containers and commands whose streams others do not let go of: who should read them reads nothing, or who was started holds them longer.

use std::process::Stdio;

use rustix::process::Signal;

use crate::run_containers::{prepare, run};
use crate::support::processes::{appears, eventually, nothing_left, unique_nap, with_argument};
use crate::support::screen::Screen;
use crate::support::unread::{Unread, full_pipe};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_container_ends_though_nobody_reads,
    a_command_ends_before_what_it_has_started,
    all_that_a_command_wrote_is_shown,
    a_command_hears_that_nobody_reads,
}

/// Others do not wait for who reads, and signals are kiln's again.
fn a_container_ends_though_nobody_reads(space: &Space) {
    prepare(space, "");
    let nap = unique_nap();
    let script = format!("trap 'exit 3' TERM; echo unread; sleep {nap} & wait");
    let command = ["--name", "web", "app", "sh", "-c", &script];
    for (flag, left) in [("--init=false", "Exited (3)"), ("--rm", "")] {
        let (_reader, writer) = full_pipe();
        let mut kiln = run(space, ["-t", flag].into_iter().chain(command));
        let mut unread = Unread::start(kiln.command().stdout(writer).stderr(Stdio::null()));
        appears(&nap);
        space.kiln(["stop", "web"]).ok();
        let shown = space.kiln(["ps", "-a", "--format", "{{.Status}}"]).ok();
        assert!(shown.stdout.starts_with(left), "{shown}");
        assert_eq!(shown.stdout.is_empty(), left.is_empty(), "{shown}");
        assert!(unread.runs(), "what it has to show is lost");
        unread.signal(Signal::TERM);
        assert_eq!(unread.ends(), Some(143));
        space.kiln(["rm", "-f", "web"]).run();
    }
    nothing_left(&space.store());
}

/// A container in which commands are executed.
fn web(space: &Space) {
    prepare(space, "");
    let nap = unique_nap();
    run(space, ["-d", "--name", "web", "app", "sleep", &nap]).ok();
}

fn a_command_ends_before_what_it_has_started(space: &Space) {
    web(space);
    let nap = unique_nap();
    let script = format!("trap '' HUP; sleep {nap} & echo said; exit 4");
    let command = ["web", "sh", "-c", &script];
    let piped = space.kiln(["exec"]).args(command).exits(4);
    assert_eq!(piped.stdout, "said\n");
    for flags in ["-t", "-it"] {
        let mut kiln = space.kiln(["exec", flags]).args(command);
        let mut screen = Screen::start(kiln.command(), 80, 24);
        assert_eq!(screen.end(), Some(4), "{flags}");
        screen.shows(&["said"]);
    }
    eventually("they go on", || with_argument(&nap).len() == 3);
    space.kiln(["rm", "-f", "web"]).ok();
    nothing_left(&space.store());
}

fn all_that_a_command_wrote_is_shown(space: &Space) {
    web(space);
    let script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done; echo other >&2";
    for _ in 0..3 {
        let shown = space.kiln(["exec", "web", "sh", "-c", script]).ok();
        let expected: String = (0..20000).map(|number| format!("{number}\n")).collect();
        assert!(shown.stdout == expected, "{} bytes", shown.stdout.len());
        assert_eq!(shown.stderr, "other\n");
    }
    space.kiln(["rm", "-f", "web"]).ok();
}

fn a_command_hears_that_nobody_reads(space: &Space) {
    web(space);
    let (reader, writer) = full_pipe();
    drop(reader);
    let mut kiln = space.kiln(["exec", "web", "sh", "-c", "while :; do echo y; done"]);
    let mut unread = Unread::start(kiln.command().stdout(writer).stderr(Stdio::null()));
    assert_eq!(unread.ends(), Some(128 + 13));
    space.kiln(["rm", "-f", "web"]).ok();
}
