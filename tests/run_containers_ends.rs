//! How a container of `kiln run` ends: exit codes, signals, and that nothing is left of it.

use std::fs;

use rustix::process::Signal;

use crate::run_containers::{prepare, run};
use crate::support::processes::{appears, eventually, nothing_left, unique_nap, with_argument};
use crate::support::{Space, user_cases};

user_cases! {
    exit_codes,
    signals_go_on,
    the_third_request_kills,
    an_init_hands_signals_on_and_takes_orphans_in,
    nothing_is_left_of_a_kiln_that_is_killed,
}

fn exit_codes(space: &Space) {
    prepare(space, "COPY --chmod=644 Dockerfile /plain");
    let ends = |words: &[&str], code| run(space, words.iter().copied()).exits(code);
    ends(&["app", "sh", "-c", "exit 7"], 7).never_says(&["error"]);
    ends(&["--init", "app", "sh", "-c", "exit 7"], 7).never_says(&["error"]);
    ends(&["app", "no-such-program"], 127).says(&["no-such-program", "not found"]);
    ends(&["app", "/plain"], 126).says(&["permission denied"]);
    ends(&["--init", "app", "sh", "-c", "kill -9 $$"], 137);
    // an outer process of its namespace kills the first one, as docker kill does
    ends(&["app", "sh", "-c", "(exit 3)"], 3);
    ends(&["--offline", "no-such-image", "true"], 125).says(&["no-such-image"]);
}

/// Starts a container with a trap; it has said that it is ready.
fn trapping(space: &Space, flags: &[&str], trap: &str) -> crate::support::process::Running {
    let nap = unique_nap();
    let script = format!("{trap}; echo ready >&2; sleep {nap} & while :; do wait; done");
    let words = flags.iter().copied().chain(["app", "sh", "-c", &script]);
    let mut running = run(space, words).spawn();
    running.until("ready");
    appears(&nap);
    running
}

fn signals_go_on(space: &Space) {
    prepare(space, "");
    for (signal, name, code) in [
        (Signal::TERM, "TERM", 4),
        (Signal::INT, "INT", 5),
        (Signal::USR1, "USR1", 6),
    ] {
        let running = trapping(space, &[], &format!("trap 'exit {code}' {name}"));
        running.signal(signal);
        let ended = running.wait();
        assert_eq!(ended.status.code(), Some(code), "{name}: {ended}");
    }
    let running = trapping(space, &["--stop-signal", "USR2"], "trap 'exit 8' USR2");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().status.code(), Some(8));
    prepare(space, "STOPSIGNAL SIGQUIT");
    let running = trapping(space, &[], "trap 'exit 9' QUIT");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().status.code(), Some(9));
}

fn the_third_request_kills(space: &Space) {
    prepare(space, "");
    let running = trapping(space, &[], "trap 'echo heard >&2' TERM");
    let mut running = running;
    for _ in 0..2 {
        running.signal(Signal::TERM);
        running.until("heard");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    running.signal(Signal::TERM);
    assert_eq!(running.wait().status.code(), Some(137));
}

fn an_init_hands_signals_on_and_takes_orphans_in(space: &Space) {
    prepare(space, "");
    let nap = unique_nap();
    // without a trap, only a process that is not the first one is ended by it
    let script = format!("exec sleep {nap}");
    let running = run(space, ["--init", "app", "sh", "-c", &script]).spawn();
    appears(&nap);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().status.code(), Some(143));
    // an orphan ends and is gone, and the first process is not the command
    let script = "(sleep 0 & echo $! > /pid); read pid < /pid; while [ -e /proc/$pid ]; do :; done; echo $$ > /self; cat /self";
    let ran = run(space, ["--init", "app", "sh", "-c", script]).ok();
    assert_ne!(ran.stdout, "1\n", "{ran}");
}

fn nothing_is_left_of_a_kiln_that_is_killed(space: &Space) {
    prepare(space, "");
    for flags in [&[][..], &["--init"], &["-t"]] {
        let nap = unique_nap();
        let script = format!("echo x > /file; sleep {nap} & sleep {nap}");
        let words = flags.iter().copied().chain(["app", "sh", "-c", &script]);
        let running = run(space, words).spawn();
        eventually("it does not start", || with_argument(&nap).len() >= 2);
        running.signal(Signal::KILL);
        running.wait();
        eventually("it goes on", || with_argument(&nap).is_empty());
        nothing_left(&space.store());
    }
    space.kiln(["prune"]).ok();
    space.is_clean();
    let scratch = fs::read_dir(space.store().join("tmp"));
    assert!(
        scratch.map_or(0, Iterator::count) <= 1,
        "what it wrote is left"
    );
}
