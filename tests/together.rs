//! Several kilns at once on one store, and one result whoever makes it: locks, shared steps, reproducible images.

use std::collections::BTreeSet;

use crate::support::process::Running;
use crate::support::{Finished, Space, cases};

cases! {
    eight_builds_run_a_shared_step_once,
    eight_different_builds_are_safe,
    what_a_step_stands_on_stays,
    a_waiting_build_goes_on_when_the_first_fails,
    commands_run_beside_a_build,
    the_epoch_gives_the_same_image_everywhere,
    the_epoch_is_the_time_of_all,
}

fn wait_all(running: Vec<Running>) -> Vec<Finished> {
    running.into_iter().map(Running::wait).collect()
}

fn succeed(finished: &[Finished]) {
    for one in finished {
        assert!(one.status.success(), "{one}");
    }
}

fn eight_builds_run_a_shared_step_once(space: &Space) {
    space.write("word", "x");
    let text = "FROM tools\nCOPY word /word\nRUN sleep 0.3 && cat /word > /shared\nRUN cat /shared > /next\n";
    let finished = wait_all((0..8).map(|_| space.build_json(text).spawn()).collect());
    succeed(&finished);
    let times = |step: &str| {
        finished
            .iter()
            .map(|one| one.events().times(step))
            .sum::<usize>()
    };
    assert_eq!(times("RUN sleep 0.3 && cat /word > /shared"), 1);
    assert_eq!(times("RUN cat /shared > /next"), 1);
    let ids: BTreeSet<String> = finished.iter().map(|one| one.events().id()).collect();
    assert_eq!(ids.len(), 1);
    space.is_clean();
}

fn eight_different_builds_are_safe(space: &Space) {
    let text = "FROM tools\nARG N\nRUN echo common > /common\nRUN echo $N > /number\nRUN cat /number /common > /both\n";
    let build = |number: usize| {
        space
            .build(text)
            .args([
                "--build-arg",
                &format!("N={number}"),
                "-t",
                &format!("number:{number}"),
            ])
            .spawn()
    };
    succeed(&wait_all((0..8).map(build).collect()));
    for number in 0..8 {
        let image = space.image(&format!("number:{number}"));
        assert_eq!(image.text("both"), format!("{number}\ncommon\n"));
    }
    space.is_clean();
}

/// One of them made the common layer, and its next step stands on what it was made of; the others unpack it, end, and empty the trash.
fn what_a_step_stands_on_stays(space: &Space) {
    let text =
        "FROM tools\nARG N\nRUN echo common > /common\nRUN echo $N; sleep 0.4; cat /common\n";
    let build = |number: usize| {
        let number = format!("N={number}");
        space.build(text).args(["--build-arg", &number]).spawn()
    };
    succeed(&wait_all((0..8).map(build).collect()));
    space.is_clean();
}

fn a_waiting_build_goes_on_when_the_first_fails(space: &Space) {
    let text = "FROM tools\nRUN sleep 0.5 && exit 9\n";
    let finished = wait_all((0..3).map(|_| space.build(text).spawn()).collect());
    for one in &finished {
        assert_eq!(one.status.code(), Some(1), "{one}");
        one.says(&["exit code 9"]);
    }
    space.is_clean();
}

fn commands_run_beside_a_build(space: &Space) {
    space
        .build("FROM tools\nRUN echo x > /x\n")
        .args(["-t", "old"])
        .ok();
    let nap = crate::support::processes::unique_nap();
    let running = space
        .build(&format!(
            "FROM tools\nRUN echo y > /y\nRUN sleep {nap} || true\n"
        ))
        .spawn();
    let sleeper = crate::support::processes::appears(&nap);
    for command in [
        vec!["images"],
        vec!["df"],
        vec!["tag", "old", "new"],
        vec!["rmi", "old"],
        vec!["prune"],
        vec!["history", "new"],
    ] {
        space.kiln(command).ok();
    }
    assert!(space.kiln(["fsck"]).run().status.code().is_some());
    crate::support::processes::end(sleeper);
    let built = running.wait();
    assert!(
        built.status.success(),
        "prune took what a running build holds: {built}"
    );
    assert_eq!(space.image("app").text("y"), "y\n");
    space.is_clean();
}

const REPRODUCIBLE: &str = "FROM tools AS build
WORKDIR /made
COPY . /context
RUN echo a > /made/a && mkdir /made/folder && ln -s a /made/folder/link
FROM tools AS other
RUN mkdir /sticky && chmod 1777 /sticky && echo b > /sticky/b
FROM scratch
COPY --from=build /made /context/ /all/
COPY --from=other /sticky /sticky
COPY <<EOF /text
words
EOF
LABEL a=b
";

fn the_epoch_gives_the_same_image_everywhere(space: &Space) {
    for number in 0..20 {
        space.write(
            &format!("folder/{}", number * 7 % 20),
            format!("content {number}"),
        );
    }
    let build = |store: &str, jobs: &str| {
        let built = space
            .build_json(REPRODUCIBLE)
            .env("KILN_STORE", space.own().join(store))
            .args(["--jobs", jobs]);
        built.env("SOURCE_DATE_EPOCH", "1600000000")
    };
    // What the store knows from a build without the epoch has other times and must not be taken.
    space
        .build(REPRODUCIBLE)
        .env("KILN_STORE", space.own().join("one"))
        .ok();
    let first = build("one", "1").ok().events().id();
    // Another clock and other times of the sources: what is younger than the epoch gets the epoch.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let touched = std::fs::File::options()
        .write(true)
        .open(space.context().join("folder/3"))
        .unwrap();
    touched.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(build("two", "64").ok().events().id(), first);
    assert_eq!(
        build("one", "64").arg("--no-cache").ok().events().id(),
        first
    );
    let argument = space
        .build_json(REPRODUCIBLE)
        .env("KILN_STORE", space.own().join("three"))
        .args(["--build-arg", "SOURCE_DATE_EPOCH=1600000000"]);
    assert_eq!(argument.ok().events().id(), first);
    assert_ne!(
        build("one", "1")
            .env("SOURCE_DATE_EPOCH", "1600000001")
            .ok()
            .events()
            .id(),
        first
    );
    build("one", "1")
        .env("SOURCE_DATE_EPOCH", "soon")
        .exits(1)
        .says(&["SOURCE_DATE_EPOCH", "soon"]);
}

fn the_epoch_is_the_time_of_all(space: &Space) {
    let old = space.write("folder/old", "x");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options()
        .write(true)
        .open(old)
        .unwrap()
        .set_modified(time)
        .unwrap();
    space.write("folder/new", "y");
    space
        .build("FROM tools\nCOPY folder /copied\nRUN echo made > /made\n")
        .env("SOURCE_DATE_EPOCH", "1600000000")
        .ok();
    let image = space.image("app");
    assert_eq!(
        (
            image.entry("copied/old").mtime,
            image.entry("copied/new").mtime,
            image.entry("made").mtime
        ),
        (1_600_000_000, 1_600_000_000, 1_600_000_000)
    );
    assert_eq!(image.config["created"], "2020-09-13T12:26:40Z");
    let history = image.config["history"].as_array().unwrap();
    assert!(
        history
            .iter()
            .all(|entry| entry["created"] == "2020-09-13T12:26:40Z"),
        "{history:?}"
    );
}
