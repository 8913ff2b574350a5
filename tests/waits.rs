//! Waits for other processes: each is told, ends with a signal, and keeps no build from failing.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::machines::push_image;
use crate::support::process::Running;
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Kiln, Space, plain_cases};
use kiln_oci::Digest;

plain_cases! {
    a_build_that_waits_for_a_step_can_be_stopped,
    a_failed_build_waits_for_nobody,
    a_locked_database_is_told,
    a_store_that_another_makes,
    a_cache_that_another_writes,
    an_index_that_another_changes,
    a_layer_that_another_fetches,
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
    let readers = [
        "inspect app",
        "history app",
        "size app",
        "save app -o saved",
        "export app -o exported",
        "fsck",
    ];
    let start = |command: &&str| space.kiln(command.split(' ')).spawn();
    let readers: Vec<Running> = readers.iter().map(start).collect();
    let mut building = build().arg("--no-cache").spawn();
    let told = "waiting for another step or process: it writes to the store's database";
    building.until(told);
    building.signal(Signal::INT);
    let stopped = building.wait();
    assert_eq!(stopped.status.code(), Some(130), "{stopped}");
    tagging.until(told);
    // a signal ends them at once
    for mut reader in readers {
        reader.until(told);
        reader.signal(Signal::TERM);
        let stopped = reader.wait();
        assert!(!stopped.status.success(), "{stopped}");
        stopped.never_says(&["error"]);
    }
    drop(transaction);
    let tagged = tagging.wait();
    assert_eq!(tagged.status.code(), Some(0), "{tagged}");
    space.is_clean();
}

/// Ends a build that waits, and says what for, with a signal.
#[track_caller]
fn is_stopped(build: impl Fn() -> Kiln, told: &str) {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut waiting = build().spawn();
        waiting.until(told);
        waiting.signal(signal);
        let stopped = waiting.wait();
        assert_eq!(stopped.status.code(), Some(code), "{stopped}");
    }
}

/// Holds a lock as another process would.
fn hold(path: &Path) -> fs::File {
    let file = fs::File::open(path).unwrap();
    file.lock().unwrap();
    file
}

fn a_store_that_another_makes(space: &Space) {
    let folder = space.own_folder("own/store");
    let held = hold(&folder);
    let mut building = space.build("FROM scratch\nCOPY Dockerfile /\n").spawn();
    building.until("waiting for another step or process: it makes the store");
    drop(held);
    let built = building.wait();
    assert_eq!(built.status.code(), Some(0), "{built}");
}

fn a_cache_that_another_writes(space: &Space) {
    let cache = space.own().join("cache");
    let to = format!("type=local,dest={}", cache.display());
    let build = || {
        let build = space.build("FROM scratch\nCOPY Dockerfile /\n");
        build.args(["--cache-to", &to])
    };
    build().ok();
    let held = hold(&cache.join("oci-layout"));
    is_stopped(build, "waiting for another process that writes the cache");
    drop(held);
    build().ok();
    space.is_clean();
}

fn an_index_that_another_changes(space: &Space) {
    let build = || {
        let build = space.build("FROM scratch\nCOPY Dockerfile /\n");
        build.args(["--manifest", "all"])
    };
    build().ok();
    let key = Digest::of(b"index docker.io/library/all:latest");
    let lock = space.store().join("locks").join(key.hex());
    fs::write(&lock, "").unwrap();
    space.give(&lock);
    let held = hold(&lock);
    is_stopped(
        build,
        "waiting for another step or process: it adds to the same index",
    );
    drop(held);
    build().ok();
    space.is_clean();
}

fn a_layer_that_another_fetches(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/base:1", registry.host);
    space.write("large", "large".repeat(9000));
    push_image(space, "FROM scratch\nCOPY large /\n", &name);
    space.remove_store();
    let manifest: serde_json::Value =
        serde_json::from_slice(&registry.manifest_of("base/manifests/1")).unwrap();
    let layer = format!(
        "/blobs/{}",
        manifest["layers"][0]["digest"].as_str().unwrap()
    );
    registry.fault("GET", &layer, 9, Fault::Stall(10));
    let build = || space.build(&format!("FROM {name}\nCOPY --from={name} /large /again\n"));
    let first = build().spawn();
    crate::support::processes::eventually("nobody fetches", || registry.count("GET", &layer) > 0);
    is_stopped(build, "waiting for another step or process: it fetches");
    first.signal(Signal::INT);
    let stopped = first.wait();
    assert_eq!(stopped.status.code(), Some(130), "{stopped}");
    space.is_clean();
}
