//! A store that fails is no store that lacks an image: nothing is asked of the network, and the Dockerfile is not to blame.

use std::fs;

use crate::support::registry::{Guard, Registry};
use crate::support::{Space, plain_cases};

plain_cases! {
    a_malformed_database_is_no_missing_image,
    too_few_files_are_no_missing_image,
}

/// What a page of SQLite's has at least.
const PAGE: usize = 4096;

fn a_malformed_database_is_no_missing_image(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    let path = space.store().join("kiln.db");
    let mut bytes = fs::read(&path).unwrap();
    // the first page says what tables there are, the others what is in them
    bytes[PAGE..].fill(0xab);
    fs::write(&path, bytes).unwrap();
    let text = format!("FROM {}/base:1\nCOPY Dockerfile /\n", registry.host);
    let failed = space.build(&text).exits(3);
    failed.says(&["the store's database"]);
    failed.never_says(&["Dockerfile:1", "cannot be pulled"]);
    assert!(registry.seen().is_empty());
}

/// With how many open files a command is tried: from where nearly nothing works to where all does.
const FILES: [u32; 5] = [6, 8, 10, 13, 20];

fn too_few_files_are_no_missing_image(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.build("FROM scratch\nCOPY Dockerfile /\n").ok();
    space
        .kiln(["tag", "app", &format!("{}/app:1", registry.host)])
        .ok();
    space.kiln(["save", "app", "-o", "app.tar"]).ok();
    space.write("Dockerfile", "FROM app\nCOPY Dockerfile /again\n");
    let commands = [
        format!("build -q --no-cache {}", space.context().display()),
        "save app -o again.tar".to_owned(),
        "load -q -i app.tar".to_owned(),
        "inspect app".to_owned(),
        format!("push --retry=0 {}/app:1", registry.host),
    ];
    for command in &commands {
        let mut failures = 0;
        for files in FILES {
            let ended = space
                .shell(&format!("ulimit -n {files}; exec kiln {command}"))
                .run();
            if ended.status.success() {
                continue;
            }
            failures += 1;
            assert_eq!(ended.status.code(), Some(3), "{files} {command}: {ended}");
            ended.says(&["oo many open files", "ulimit -n"]);
            ended.never_says(&[
                "there is no image",
                "cannot be pulled",
                "Dockerfile:1",
                "panicked",
                "ulimit -u",
            ]);
        }
        assert!(failures > 0, "{command} needs fewer files than {FILES:?}");
    }
    space.kiln(["fsck"]).ok();
}
