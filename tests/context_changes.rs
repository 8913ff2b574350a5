//! A context that is edited while a RUN before the COPY runs: the build takes what is there when it gets there, says so, and nothing wrong
//! is under a key afterwards.

use std::fs;

use crate::support::tar::Tar;
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    what_was_saved_meanwhile_is_taken,
    what_vanished_meanwhile_is_not_there,
    an_archive_that_was_replaced_is_unpacked,
    a_mounted_file_that_was_saved_is_seen,
    a_command_beside_it_runs_once,
}

/// A stage whose RUN says that it runs, and ends when it is told to.
const SLOW: &str = "FROM tools AS slow\nRUN echo runs; until [ -e /shared/go ]; do sleep 0.01; done; echo made > /made\n";

/// A build whose context changes while the RUN runs.
fn edited(space: &Space, rest: &str, edit: impl FnOnce()) -> Finished {
    let shared = space.own_folder("shared");
    let build = space.build(&format!("{SLOW}{rest}"));
    let volume = format!("--volume={}:/shared", shared.display());
    let mut running = build.arg(volume).spawn();
    running.until("runs");
    edit();
    fs::write(shared.join("go"), "").unwrap();
    let finished = running.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished}");
    fs::remove_dir_all(shared).unwrap();
    finished
}

/// The same build once more.
fn again(space: &Space, rest: &str) -> Vec<String> {
    let shared = space.own_folder("shared");
    fs::write(shared.join("go"), "").unwrap();
    let build = space.build_json(&format!("{SLOW}{rest}"));
    let volume = format!("--volume={}:/shared", shared.display());
    let ran = build.arg(volume).ok().events().ran();
    fs::remove_dir_all(shared).unwrap();
    ran
}

fn what_was_saved_meanwhile_is_taken(space: &Space) {
    space.write("file", "old");
    space.write("folder/long", "old");
    let rest = "COPY file /file\nCOPY folder /folder\n";
    let edit = || {
        // of the same size, and of another one
        space.write("file", "new");
        space.write("folder/long", "new and longer");
    };
    let built = edited(space, rest, edit);
    built.says(&["changed during the build: its context is read again"]);
    let texts = || {
        let image = space.image("app");
        ["file", "folder/long"].map(|path| image.text(path))
    };
    assert_eq!(texts(), ["new", "new and longer"]);
    assert_eq!(again(space, rest), [""; 0]);
    space.write("file", "old");
    assert_eq!(again(space, rest).len(), 2);
    assert_eq!(texts(), ["old", "new and longer"]);
    space.is_clean();
}

fn what_vanished_meanwhile_is_not_there(space: &Space) {
    space.write("folder/gone", "old");
    space.write("folder/kept", "kept");
    space.write("folder/link", "a file");
    let rest = "COPY folder /folder\n";
    let edit = || {
        let path = |name: &str| space.context().join("folder").join(name);
        fs::remove_file(path("gone")).unwrap();
        fs::remove_file(path("link")).unwrap();
        std::os::unix::fs::symlink("kept", path("link")).unwrap();
    };
    edited(space, rest, edit);
    let image = space.image("app");
    assert!(!image.files.contains_key("folder/gone"));
    assert!(
        matches!(&image.files["folder/link"].kind, crate::support::Kind::Symlink(target) if target == "kept")
    );
}

fn an_archive_that_was_replaced_is_unpacked(space: &Space) {
    space.write("packed.tar", Tar::default().file("old", "1").end());
    let rest = "ADD packed.tar /unpacked/\n";
    let replace =
        |name: &str| drop(space.write("packed.tar", Tar::default().file(name, "1").end()));
    edited(space, rest, || replace("new"));
    let holds = |name: &str| {
        space
            .image("app")
            .files
            .contains_key(&format!("unpacked/{name}"))
    };
    assert!(holds("new") && !holds("old"));
    // what was scanned first is under no key
    replace("old");
    again(space, rest);
    assert!(holds("old") && !holds("new"));
}

fn a_mounted_file_that_was_saved_is_seen(space: &Space) {
    space.write("file", "old");
    let rest = "RUN --mount=type=bind,source=file,target=/m cat /m\n";
    let built = edited(space, rest, || drop(space.write("file", "new")));
    assert_eq!(built.output(), ["runs", "new"]);
}

/// A step that sees no change is neither stopped nor run again.
fn a_command_beside_it_runs_once(space: &Space) {
    space.write("file", "old");
    let shared = space.own_folder("shared");
    let text = format!(
        "FROM tools AS long\nRUN echo begun; until [ -e /shared/done ]; do sleep 0.01; done; echo ended > /ended\n\
         {SLOW}FROM slow\nCOPY file /file\nCOPY --from=long /ended /ended\n"
    );
    let build = space.build(&text);
    let volume = format!("--volume={}:/shared", shared.display());
    let mut running = build.arg(volume).spawn();
    running.until("begun");
    running.until("runs");
    space.write("file", "new");
    fs::write(shared.join("go"), "").unwrap();
    running.until("file changed during the build: its context is read again");
    fs::write(shared.join("done"), "").unwrap();
    let built = running.wait();
    assert_eq!(built.status.code(), Some(0), "{built}");
    let mut output = built.output();
    output.sort_unstable();
    assert_eq!(output, ["begun", "runs"], "{built}");
    assert_eq!(space.image("app").text("file"), "new");
}
