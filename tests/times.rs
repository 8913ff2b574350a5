//! What `SOURCE_DATE_EPOCH` makes of the times of files, and that the image ID shows neither the times of the context nor what the store
//! has seen. Unaware of where the time comes from.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::tar::Tar;
use crate::support::{Kiln, Space, cases, plain_cases};

cases! {
    one_content_has_one_id,
    a_file_below_is_the_same_before_and_after_its_layer_is_written,
}

plain_cases! {
    times_of_run_are_clamped_or_set,
    the_times_of_a_mounted_image_count,
}

/// The time of all images here.
const EPOCH: u64 = 1_600_000_000;

/// A build with that time, in a store of its own.
fn build(space: &Space, store: &str, text: &str) -> Kiln {
    let built = space.build(text).env("KILN_STORE", space.own().join(store));
    built.arg("-q").env("SOURCE_DATE_EPOCH", EPOCH.to_string())
}

fn touch(space: &Space, path: &str, seconds: u64) {
    let file = File::options().write(true).open(space.context().join(path));
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    file.unwrap().set_modified(time).unwrap();
}

fn one_content_has_one_id(space: &Space) {
    space.write("folder/file", "text");
    space.write("packed.tar", Tar::default().file("inside", "old").end());
    let text = "FROM tools AS base\nWORKDIR /made/here\nCOPY folder ./\nCOPY --parents folder/file /made/\nADD packed.tar /unpacked/\n\
                RUN --mount=type=bind,source=folder,target=/m cp -p /m/file /copied\nRUN cp -p /made/here/file /again\n\
                FROM base\nCOPY --link --from=base /made /linked\n";
    let mut ids = Vec::new();
    for (store, seconds, flags) in [
        ("one", 1000, &[][..]),
        ("one", 2000, &[]),
        ("one", 3000, &["--no-cache"]),
        ("other", 4000, &[]),
        ("other", EPOCH + 5000, &["--no-cache"]),
    ] {
        touch(space, "folder/file", seconds);
        let id = build(space, store, text).args(flags).ok().stdout;
        assert!(id.starts_with("sha256:"), "{id}");
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

/// RUN stands on the upper of the RUN before while its layer, where times are clamped, is written.
fn a_file_below_is_the_same_before_and_after_its_layer_is_written(space: &Space) {
    let first = "FROM tools\nRUN echo text > /file\n";
    // the second changes nothing, but the kernel copies the file up
    let both = format!("{first}RUN chmod 644 /file && echo more > /more\n");
    let live = build(space, "one", &both).ok().stdout;
    build(space, "other", first).ok();
    assert_eq!(build(space, "other", &both).ok().stdout, live);
}

fn times_of_run_are_clamped_or_set(space: &Space) {
    space.write("file", "text");
    touch(space, "file", 1000);
    let text = "FROM tools\nCOPY file /copied\nRUN touch /new && touch -d @2000 /old && cp -p /copied /again\n";
    for (flag, times) in [
        (
            "--source-date-epoch=1600000000",
            [EPOCH, EPOCH, 2000, EPOCH],
        ),
        ("--timestamp=1600000000", [EPOCH; 4]),
        ("--reproducible", [0; 4]),
    ] {
        space.build(text).arg(flag).ok();
        let image = space.image("app");
        let mtime = |path: &str| image.files[path].mtime;
        assert_eq!(
            ["copied", "new", "old", "again"].map(mtime),
            times,
            "{flag}"
        );
    }
}

/// What a RUN mounts of an image has that image's times, and the result may show them.
fn the_times_of_a_mounted_image_count(space: &Space) {
    for (name, seconds) in [("one", 1000), ("other", 2000)] {
        space.write(name, "text");
        touch(space, name, seconds);
        let image = format!("FROM scratch\nCOPY {name} /file\n");
        space.build(&image).args(["-t", "mounted"]).ok();
        let text = "FROM tools\nRUN --mount=type=bind,from=mounted,target=/m cp -p /m/file /file\n";
        let built = space
            .build(text)
            .env("SOURCE_DATE_EPOCH", EPOCH.to_string());
        built.ok();
        assert_eq!(space.image("app").files["file"].mtime, seconds);
    }
}
