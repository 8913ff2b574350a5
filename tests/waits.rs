//! Waits for other processes: each is told, ends with a signal, and keeps no build from failing.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::process::Running;
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    a_build_that_waits_for_a_step_can_be_stopped,
    a_failed_build_waits_for_nobody,
    a_locked_database_is_told,
}

/// A stage whose RUN says that it runs, and ends when it is told to.
const SLOW: &str = "FROM tools AS slow\nRUN echo runs; until [ -e /shared/go ]; do sleep 0.01; done; echo made > /made\n";

fn with_shared(build: Kiln, shared: &Path) -> Kiln {
    build.arg(format!("--volume={}:/shared", shared.display()))
}

/// A build that runs the step.
fn runs(space: &Space, shared: &Path) -> Running {
    let mut running = with_shared(space.build(SLOW), shared).spawn();
    running.until("runs");
    running
}

fn ends(running: Running, shared: &Path) {
    fs::write(shared.join("go"), "").unwrap();
    let ended = running.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
}

fn a_build_that_waits_for_a_step_can_be_stopped(space: &Space) {
    let shared = space.own_folder("shared");
    let first = runs(space, &shared);
    let mut second = with_shared(space.build(SLOW), &shared).spawn();
    second.until("waiting for another step or process: it makes RUN echo runs");
    second.signal(Signal::INT);
    let stopped = second.wait();
    assert_eq!(stopped.status.code(), Some(130), "{stopped}");
    stopped.says(&["stopped"]);
    ends(first, &shared);
    space.is_clean();
}

fn a_failed_build_waits_for_nobody(space: &Space) {
    let shared = space.own_folder("shared");
    let first = runs(space, &shared);
    let text = format!(
        "{SLOW}FROM tools AS wrong\nRUN until [ -e /shared/fail ]; do sleep 0.01; done; false\n\
         FROM slow\nCOPY --from=wrong / /wrong/\n"
    );
    let mut second = with_shared(space.build(&text), &shared).spawn();
    second.until("waiting for another step or process: it makes RUN echo runs");
    fs::write(shared.join("fail"), "").unwrap();
    let failed = second.wait();
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    failed.says(&["exit code 1"]);
    ends(first, &shared);
}

fn a_locked_database_is_told(space: &Space) {
    let build = || space.build("FROM scratch\nCOPY Dockerfile /\n");
    build().ok();
    let mut database = Connection::open(space.store().join("kiln.db")).unwrap();
    let transaction = rusqlite::TransactionBehavior::Immediate;
    let transaction = database.transaction_with_behavior(transaction).unwrap();
    let mut tagging = space.kiln(["tag", "app", "other"]).spawn();
    let mut building = build().arg("--no-cache").spawn();
    let told = "waiting for another step or process: it writes to the store's database";
    building.until(told);
    building.signal(Signal::INT);
    let stopped = building.wait();
    assert_eq!(stopped.status.code(), Some(130), "{stopped}");
    tagging.until(told);
    drop(transaction);
    let tagged = tagging.wait();
    assert_eq!(tagged.status.code(), Some(0), "{tagged}");
    space.is_clean();
}
