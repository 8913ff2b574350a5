//! SIGINT, SIGTERM and SIGKILL in the middle of a build: it ends as it should, nothing of it stays behind, and the next
//! build is as good as any.

use rustix::process::Signal;

use crate::support::processes::{appears, nothing_left, unique_nap, with_argument};
use crate::support::{Finished, Space, user_cases};

user_cases! {
    interrupt_stops_the_build,
    terminate_stops_the_build,
    a_stubborn_command_ends_too,
    kill_leaves_no_process_and_no_mount,
    a_command_that_kills_itself_and_others,
    a_slow_start_can_be_stopped,
}

/// Stops a build in its second step, which naps.
fn stop(space: &Space, signal: Signal, command: &str) -> Finished {
    let nap = unique_nap();
    let text =
        format!("FROM tools\nRUN echo first > /first\nRUN {command} sleep {nap}; echo never\n");
    let running = space.build(&text).spawn();
    appears(&nap);
    running.signal(signal);
    let ended = running.wait();
    crate::support::processes::eventually("the nap goes on", || with_argument(&nap).is_empty());
    nothing_left(&space.store());
    ended.never_says(&["| never", "panicked"]);
    ended
}

fn nothing_is_lost(space: &Space) {
    space.is_clean();
    let events = space
        .build_json("FROM tools\nRUN echo first > /first\nRUN echo second > /second\n")
        .ok()
        .events();
    assert_eq!(
        events.ran(),
        ["RUN echo second > /second"],
        "what was finished before the signal is cached"
    );
    assert_eq!(space.image("app").text("first"), "first\n");
}

fn interrupt_stops_the_build(space: &Space) {
    let ended = stop(space, Signal::INT, "");
    assert_eq!(ended.status.code(), Some(130), "{ended}");
    ended.says(&["stopped"]);
    nothing_is_lost(space);
}

fn terminate_stops_the_build(space: &Space) {
    let ended = stop(space, Signal::TERM, "");
    assert_eq!(ended.status.code(), Some(143), "{ended}");
    ended.says(&["stopped"]);
    nothing_is_lost(space);
}

fn a_stubborn_command_ends_too(space: &Space) {
    let ended = stop(
        space,
        Signal::INT,
        "trap '' INT TERM HUP; (trap '' INT TERM; sleep 251) & ",
    );
    assert_eq!(ended.status.code(), Some(130), "{ended}");
    nothing_is_lost(space);
}

fn kill_leaves_no_process_and_no_mount(space: &Space) {
    let ended = stop(space, Signal::KILL, "(sleep 252 &) ;");
    assert_eq!(ended.status.code(), None);
    nothing_is_lost(space);
}

fn a_command_that_kills_itself_and_others(space: &Space) {
    // It sees no processes but its own, so this ends nothing else; the tests would notice.
    space
        .build("FROM tools\nRUN (sleep 253 &); kill -9 -1; kill -9 1; echo alive\n")
        .run()
        .never_says(&["panicked"]);
    space
        .build("FROM tools\nRUN sh -c 'kill -9 $$'; exit 5\n")
        .exits(1)
        .says(&["exit code 5"]);
    nothing_left(&space.store());
    space.is_clean();
}

fn a_slow_start_can_be_stopped(space: &Space) {
    let copies: String = (0..30)
        .map(|number| format!("COPY --from=tools / /copy{number}/\n"))
        .collect();
    let mut running = space
        .build(&format!("FROM tools\n{copies}RUN true\n"))
        .spawn();
    running.until("[");
    running.signal(Signal::TERM);
    running.signal(Signal::TERM);
    let ended = running.wait();
    // It may just have finished.
    assert!(matches!(ended.status.code(), Some(143 | 0)), "{ended}");
    nothing_left(&space.store());
    space.is_clean();
}
