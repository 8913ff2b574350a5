//! A store on a file system that is mounted read-only, with something in its database's log: what reads works, the rest names the cause.

use rustix::process::Signal;

use crate::support::mode::skip;
use crate::support::processes::{appears, nothing_left, unique_nap};
use crate::support::registry::{Guard, Registry};
use crate::support::space::TOOLS;
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    a_read_only_store_gives_what_it_has,
}

/// Runs a script where the store is mounted read-only, in a mount namespace of its own; none where that cannot be had.
fn read_only(space: &Space, script: &str) -> Option<Finished> {
    let script = format!(
        "mount --bind \"$KILN_STORE\" \"$KILN_STORE\" && mount -o remount,ro,bind \"$KILN_STORE\" && {script}"
    );
    let quoted = script.replace('\'', "'\\''");
    let map = if space.mode.is_rootless() {
        " --map-root-user"
    } else {
        ""
    };
    let ended = space
        .shell(&format!("unshare --mount{map} sh -euc '{quoted}'"))
        .run();
    if ended.stderr.contains("unshare") {
        skip("read_only", space.mode, ended.stderr.trim());
        return None;
    }
    Some(ended)
}

fn a_read_only_store_gives_what_it_has(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.build("FROM tools\nRUN echo x > /made\n").ok();
    // as long as another process lives, what is written stays in the log; when it is killed, it stays there
    let nap = unique_nap();
    let running = space
        .build(&format!("FROM tools\nRUN sleep {nap}\n"))
        .spawn();
    appears(&nap);
    space.kiln(["tag", "app", "late:1"]).ok();
    running.signal(Signal::KILL);
    running.wait();
    nothing_left(&space.store());
    let log = std::fs::metadata(space.store().join("kiln.db-wal")).unwrap();
    assert!(log.len() > 0);
    let own = space.own();
    let (tar, archive, plan) = (
        own.join("files.tar"),
        own.join("archive.tar"),
        own.join("plan"),
    );
    let script = format!(
        "kiln plan --build-context tools=host-tools:{TOOLS} {} > {} && kiln images --format '{{{{.Repository}}}}' && kiln inspect -f '{{{{.Os}}}}' late:1 && kiln save late:1 -o {} && \
         kiln export late:1 -o {} && kiln push --compression none late:1 {}/late:1 > /dev/null && ! kiln rmi late:1",
        space.context().display(),
        plan.display(),
        archive.display(),
        tar.display(),
        registry.host
    );
    let Some(ended) = read_only(space, &script) else {
        return;
    };
    assert!(ended.status.success(), "{ended}");
    let printed: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        printed.contains(&"late") && printed.contains(&"linux"),
        "{ended}"
    );
    ended.says(&["can only be read: its file system is mounted so"]);
    assert!(tar.exists() && archive.exists());
    let planned = std::fs::read_to_string(plan).unwrap();
    assert!(
        planned.contains("1/2 hit     FROM tools") && planned.contains("2/2 runs    RUN sleep"),
        "{planned}"
    );
    assert!(!registry.manifest_of("late/manifests/1").is_empty());
}
