//! A machine that allows few open files: kiln does its work with them, or says that it lacks them. It never says instead that the store lacks
//! an image.

use crate::support::registry::{Guard, Registry};
use crate::support::space::TOOLS;
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    every_limit_of_files_is_survived_or_said,
}

fn every_limit_of_files_is_survived_or_said(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let base = format!("{}/base:1", registry.host);
    space
        .build("FROM scratch\nCOPY Dockerfile /\n")
        .args(["-t", &base])
        .ok();
    let text = format!("FROM {base}\nCOPY Dockerfile /again\nFROM tools\nRUN echo a > /a\n");
    space.build(&text).ok();
    space.kiln(["save", "-o", "archive", &base]).ok();
    let context = space.context();
    let build = format!(
        "build --no-cache --build-context tools=host-tools:{TOOLS} {}",
        context.display()
    );
    let others = ["inspect app", "load -i archive", "fsck", "export app -o e"];
    let commands = others.map(str::to_owned).into_iter().chain([build]);
    let mut refused = 0;
    for command in commands {
        for limit in [3, 5, 7, 9, 12, 16, 20, 26, 40] {
            let limited = format!("exec prlimit --nofile={limit}:{limit} kiln {command}");
            let ended = space.shell(&limited).run();
            refused += usize::from(is_explained(&ended));
        }
    }
    assert!(refused > 0, "no limit was felt");
    assert!(registry.seen().is_empty(), "a registry was asked");
    space.is_clean();
}

/// Whether it did not work, which must be said.
fn is_explained(ended: &Finished) -> bool {
    ended.never_says(&[
        "defect",
        "panicked",
        "cannot be pulled",
        "is not in the store",
    ]);
    if ended.status.code() == Some(0) {
        return false;
    }
    assert_eq!(ended.status.code(), Some(3), "{ended}");
    ended.says(&["error: "]);
    true
}
