//! Whoever should read what kiln says has stopped: no step waits for them, memory stays small, and the first signal ends kiln.

use std::process::Stdio;

use rustix::process::Signal;

use crate::support::processes::{appears, eventually, nothing_left, unique_nap, with_argument};
use crate::support::unread::{Unread, full_pipe, terminal};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    steps_go_on_and_memory_stays_small,
    the_first_signal_ends_it_in_the_middle_of_a_step,
    the_first_signal_ends_it_after_the_build,
    a_terminal_that_was_stopped_is_no_hindrance,
    a_result_that_nobody_takes_can_be_stopped,
    an_error_that_nobody_reads_can_be_stopped,
    the_log_of_a_step_has_a_limit,
}

/// Much more than a build of some small files needs.
const ENOUGH: u64 = 200 << 20;

/// Two steps at once that write 300 MiB each, in lines, without a line break, or as bytes that are no text.
fn talkative(space: &Space) -> String {
    let lines = "0123456789012345678901234567890123456789012345678901234567890123456789\n";
    space.write("lines", lines.repeat((10 << 20) / lines.len()));
    space.write("line", "0123456789".repeat(1 << 20));
    let bytes: Vec<u8> = (0..10 << 20)
        .map(|at: u32| at.wrapping_mul(7) as u8)
        .collect();
    space.write("bytes", bytes);
    let write = |file: &str| {
        format!(
            "RUN --mount=target=/c for i in 0 1 2; do for j in 0 1 2 3 4 5 6 7 8 9; do cat /c/{file}; done; done\n"
        )
    };
    format!(
        "FROM tools AS a\n{}FROM tools AS b\n{}FROM tools\n{}COPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n",
        write("lines"),
        write("line"),
        write("bytes"),
    )
}

fn is_built(space: &Space) -> bool {
    space.kiln(["inspect", "app"]).run().status.success()
}

fn steps_go_on_and_memory_stays_small(space: &Space) {
    for progress in ["plain", "json", "rawjson", "tty"] {
        let (_reader, writer) = full_pipe();
        let mut build = space
            .build(&talkative(space))
            .args(["--no-cache", "--progress", progress]);
        let mut unread = Unread::start(build.command().stderr(writer).stdout(Stdio::null()));
        eventually("a step waits for a reader", || is_built(space));
        assert!(unread.runs(), "what it has to say is lost");
        let most = unread.most_memory();
        assert!(most < ENOUGH, "{progress}: {} MiB", most >> 20);
        unread.signal(Signal::INT);
        assert_eq!(unread.ends(), Some(130), "{progress}");
        space.kiln(["rmi", "app"]).ok();
    }
    nothing_left(&space.store());
    space.is_clean();
}

fn the_first_signal_ends_it_in_the_middle_of_a_step(space: &Space) {
    let signals = [(Signal::INT, 130), (Signal::TERM, 143)];
    for (signal, code) in signals {
        for progress in ["plain", "json", "quiet"] {
            let (_reader, writer) = full_pipe();
            let nap = unique_nap();
            let text = format!(
                "FROM tools\nRUN echo {nap} > /kept\nRUN while :; do echo y; done & sleep {nap}\n"
            );
            let mut build = space.build(&text).args(["--progress", progress]);
            let stdout = writer.try_clone().unwrap();
            let mut unread = Unread::start(build.command().stderr(writer).stdout(stdout));
            appears(&nap);
            unread.signal(signal);
            assert_eq!(unread.ends(), Some(code), "{progress}");
            eventually("the nap goes on", || with_argument(&nap).is_empty());
        }
    }
    nothing_left(&space.store());
    space.is_clean();
}

fn the_first_signal_ends_it_after_the_build(space: &Space) {
    // with --quiet what nobody takes is the ID, after all signals were for the build
    for quiet in [&[][..], &["-q"]] {
        let (_reader, writer) = full_pipe();
        let mut build = space.build("FROM tools\nRUN echo 1\n").args(quiet);
        let stdout = writer.try_clone().unwrap();
        let mut unread = Unread::start(build.command().stderr(writer).stdout(stdout));
        eventually("it is not built", || is_built(space));
        assert!(unread.runs());
        unread.signal(Signal::TERM);
        assert_eq!(unread.ends(), Some(143), "{quiet:?}");
        space.kiln(["rmi", "app"]).ok();
    }
    space.is_clean();
}

fn a_terminal_that_was_stopped_is_no_hindrance(space: &Space) {
    use rustix::termios::{Action, tcflow};
    for progress in ["auto", "plain"] {
        let (_person, program) = terminal();
        tcflow(&program, Action::OOff).unwrap();
        let nap = unique_nap();
        let text = format!("FROM tools\nRUN echo y; while :; do echo y; done & sleep {nap}\n");
        let mut build = space
            .build(&text)
            .args(["--progress", progress])
            .env("TERM", "xterm");
        let stdout = program.try_clone().unwrap();
        let mut unread = Unread::start(build.command().stderr(program).stdout(stdout));
        appears(&nap);
        unread.signal(Signal::INT);
        assert_eq!(unread.ends(), Some(130), "{progress}");
    }
    nothing_left(&space.store());
}

fn a_result_that_nobody_takes_can_be_stopped(space: &Space) {
    space.write("big", vec![7; 1 << 20]);
    let fifo = space.path("own/fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    space.give(&fifo);
    let to_fifo = format!("type=tar,dest={}", fifo.display());
    for output in ["-", "type=oci,dest=-", &to_fifo] {
        let (_reader, writer) = full_pipe();
        let mut build = space
            .build("FROM scratch\nCOPY big /\n")
            .args(["-o", output]);
        let mut unread = Unread::start(build.command().stdout(writer).stderr(Stdio::null()));
        eventually("it is not built", || is_built(space));
        unread.signal(Signal::INT);
        assert_eq!(unread.ends(), Some(130), "{output}");
        space.kiln(["rmi", "app"]).ok();
    }
    space.is_clean();
}

fn an_error_that_nobody_reads_can_be_stopped(space: &Space) {
    let nap = unique_nap();
    let gate = space.own_folder("own/gate");
    let text = format!(
        "FROM tools\nRUN sleep {nap} & while [ ! -e /gate/open ]; do sleep 0.1; done; exit 3\n"
    );
    let (_reader, writer) = full_pipe();
    let volume = format!("{}:/gate", gate.display());
    let mut build = space.build(&text).args(["-v", &volume]);
    let mut unread = Unread::start(build.command().stderr(writer).stdout(Stdio::null()));
    appears(&nap);
    std::fs::write(gate.join("open"), "").unwrap();
    eventually("the step goes on", || with_argument(&nap).is_empty());
    assert!(unread.runs());
    unread.signal(Signal::INT);
    // it may have come before kiln had done all but to say what failed
    assert!(matches!(unread.ends(), Some(1 | 130)));
}

/// What a build of one step says of what the step writes.
fn said(space: &Space, kiln: Kiln) -> Vec<String> {
    let built = kiln.run();
    space.is_clean();
    built.output().into_iter().map(str::to_owned).collect()
}

fn the_log_of_a_step_has_a_limit(space: &Space) {
    let lines: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
    space.write("lines", lines.join("\n") + "\n");
    let text = "FROM tools\nRUN --mount=target=/c cat /c/lines && exit 1\n";
    let whole = said(space, space.build(text));
    assert_eq!(whole, lines);
    let limited = |limit| space.build(text).env("BUILDKIT_STEP_LOG_MAX_SIZE", limit);
    let clipped = said(space, limited("1024"));
    let is_note = |line: &&String| line.starts_with("[output clipped: ");
    let notes: Vec<&String> = clipped.iter().filter(is_note).collect();
    assert!(
        notes[0].contains("the log limit of 1 KiB is reached"),
        "{notes:?}"
    );
    assert!(notes[1].ends_with(" bytes are left out here]"), "{notes:?}");
    assert_eq!(clipped[..100], lines[..100]);
    assert_eq!(clipped.last(), lines.last());
    assert!(clipped.len() < lines.len() / 2);
    // the end is what a failed step shows
    limited("0")
        .exits(1)
        .says(&["\n  line 19999\n", "exit code 1"]);
    for unlimited in ["-1", "much"] {
        assert_eq!(said(space, limited(unlimited)), lines);
    }
}
