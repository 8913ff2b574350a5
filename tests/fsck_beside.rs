//! `fsck --repair` in a loop beside builds, `load`, `prune`, `tag` and `rmi`: it tells of nothing and takes nothing. And what it
//! finds when something is wrong: altered views, folders in the place of files, a database that cannot be read, torn files.
//!
//! `KILN_NIGHTLY=1` lets the first case run for two minutes, with sixteen builders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::random::{is_nightly, tell};
use crate::support::{Kiln, Space, plain_cases, users};

plain_cases! {
    everybody_at_once,
    an_altered_view_is_found,
    owners_of_a_view_are_looked_at,
    blobs_that_became_folders,
    a_database_that_cannot_be_read,
    torn_files_of_the_store_hurt_nobody,
    a_store_in_an_open_folder_is_closed,
}

const TEXT: &str = "FROM scratch AS first
ARG N
COPY files /files-$N
FROM scratch
ARG N
COPY --from=first / /
COPY files/0 /last-$N
";

fn write_files(space: &Space) {
    for number in 0..20 {
        space.write(
            &format!("files/{number}"),
            format!("{number}\n").repeat(3000),
        );
    }
    space.write("Dockerfile", TEXT);
}

fn build(space: &Space, name: &str, number: u64) -> Kiln {
    let argument = format!("N={number}");
    let arguments = ["build", "-q", "-t", name, "--build-arg", &argument];
    space.kiln(arguments).arg(space.context())
}

/// What goes on beside what, for how long: the first failure stops all.
struct Campaign<'a> {
    space: &'a Space,
    archive: PathBuf,
    stopped: AtomicBool,
    until: Instant,
    /// How often each thing was done.
    done: Mutex<BTreeMap<&'static str, u64>>,
}

impl Campaign<'_> {
    /// Does it until the time is over, or something else has failed.
    fn repeat(&self, what: &'static str, mut once: impl FnMut(u64)) {
        let _stop = StopOnFailure(&self.stopped);
        for round in 0.. {
            if self.stopped.load(Ordering::SeqCst) || Instant::now() > self.until {
                break;
            }
            once(round);
            *self.done.lock().unwrap().entry(what).or_default() += 1;
        }
    }

    fn builds(&self, builder: u64, round: u64) {
        let space = self.space;
        let name = format!("app-{builder}:{}", round % 3);
        // others make the same now and then
        build(space, &name, round / 2 + 100 * (builder / 2)).ok();
        is_there(space, &name);
        let other = format!("tagged-{builder}");
        space.kiln(["tag", &name, &other]).ok();
        is_there(space, &other);
        if round % 3 == 2 {
            space.kiln(["rmi", &other]).ok();
        }
    }

    fn loads(&self) {
        let space = self.space;
        space.kiln(["rmi", "loaded"]).run();
        space.kiln(["load", "-q", "-i"]).arg(&self.archive).ok();
        is_there(space, "loaded");
    }
}

struct StopOnFailure<'a>(&'a AtomicBool);

impl Drop for StopOnFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

fn everybody_at_once(space: &Space) {
    let (builders, seconds) = if is_nightly() { (16, 120) } else { (3, 10) };
    write_files(space);
    build(space, "loaded", 1000).ok();
    let archive = space.own().join("loaded.tar");
    space.kiln(["save", "-o"]).arg(&archive).arg("loaded").ok();
    let campaign = Campaign {
        space,
        archive,
        stopped: AtomicBool::new(false),
        until: Instant::now() + Duration::from_secs(seconds),
        done: Mutex::default(),
    };
    let all = &campaign;
    std::thread::scope(|scope| {
        for builder in 0..builders {
            scope.spawn(move || all.repeat("builds", |round| all.builds(builder, round)));
        }
        scope.spawn(|| all.repeat("loads", |_| all.loads()));
        scope.spawn(|| all.repeat("prunes", |_| drop(space.kiln(["prune"]).ok())));
        scope.spawn(|| all.repeat("checks", |_| checks(space, false)));
        scope.spawn(|| all.repeat("repairs", |_| checks(space, true)));
    });
    space.is_clean();
    let done = campaign.done.lock().unwrap();
    tell(&format!("fsck beside {builders} builders: {done:?}"));
}

#[track_caller]
fn is_there(space: &Space, name: &str) {
    space.kiln(["save", "-o", "/dev/null", name]).ok();
}

#[track_caller]
fn checks(space: &Space, repair: bool) {
    let flag = repair.then_some("--repair");
    let checked = space.kiln(["fsck"]).args(flag).ok();
    assert_eq!(checked.stdout, "clean\n", "{checked}");
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

/// Finds so many things, mends them, and finds nothing more.
#[track_caller]
fn is_mended(space: &Space, words: &[&str]) {
    let found = space.kiln(["fsck"]).exits(3);
    for word in words {
        assert!(found.stdout.contains(word), "{word}: {found}");
    }
    found.says(&["fsck --repair"]);
    let repaired = space.kiln(["fsck", "--repair"]).ok();
    assert!(repaired.stdout.contains("repaired"), "{repaired}");
    space.is_clean();
}

fn an_altered_view_is_found(space: &Space) {
    let text = "FROM tools\nRUN echo one > /one && ln /one /other && mkdir /folder && echo two > /folder/two\n";
    space.build(text).args(["-t", "base"]).ok();
    let child = || {
        let text = "FROM base\nRUN cat /one /folder/two > /both\n";
        space.build(text).arg("--no-cache").ok();
        assert_eq!(space.image("app").text("both"), "one\ntwo\n");
        space.is_clean();
    };
    child();
    let changes: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "eno\n").unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        |path| {
            // the same file, but no longer one with two names
            let content = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            fs::write(path, content).unwrap();
        },
    ];
    for change in changes {
        let views = below(&space.store().join("views"));
        let one = views.iter().find(|path| path.ends_with("one"));
        change(one.unwrap());
        is_mended(space, &["view ", "layer"]);
        child();
    }
}

/// Only root can change them.
fn owners_of_a_view_are_looked_at(space: &Space) {
    if !users::is_root() {
        return;
    }
    let text = "FROM tools\nRUN echo one > /one && echo two > /two\n";
    space.build(text).args(["-t", "base"]).ok();
    let child = || {
        let text = "FROM base\nRUN cat /one /two > /both\n";
        space.build(text).arg("--no-cache").ok();
        space.is_clean();
    };
    child();
    for (name, uid, gid) in [("one", 7, 8), ("two", 7, 0)] {
        let views = below(&space.store().join("views"));
        let path = views.iter().find(|path| path.ends_with(name)).unwrap();
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        is_mended(space, &["view ", "layer"]);
        child();
    }
}

fn blobs_that_became_folders(space: &Space) {
    write_files(space);
    build(space, "app", 1).ok();
    let blobs = below(&space.store().join("blobs"));
    for blob in &blobs {
        fs::remove_file(blob).unwrap();
        fs::create_dir(blob).unwrap();
        space.give(blob);
    }
    is_mended(space, &["regular file", "app:latest", "is missing"]);
    build(space, "app", 1).ok();
    is_there(space, "app");
    // nor does it need a repair
    for blob in below(&space.store().join("blobs")) {
        fs::remove_file(&blob).unwrap();
        fs::create_dir(&blob).unwrap();
        space.give(&blob);
    }
    build(space, "app", 1).ok();
    is_there(space, "app");
}

fn a_database_that_cannot_be_read(space: &Space) {
    write_files(space);
    let cut = |path: &Path| {
        let length = fs::metadata(path).unwrap().len();
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(length / 3 + 7)
            .unwrap();
    };
    let ruins: [&dyn Fn(&Path); 4] = [
        &|path| fs::write(path, "").unwrap(),
        &|path| fs::write(path, vec![0x5a; 50_000]).unwrap(),
        &|path| fs::remove_file(path).unwrap(),
        &cut,
    ];
    for ruin in ruins {
        build(space, "app", 1).ok();
        build(space, "other", 2).ok();
        let (app, other) = (space.id("app"), space.id("other"));
        ruin(&space.store().join("kiln.db"));
        let refused = space.kiln(["fsck"]).exits(3);
        refused.says(&[
            "kiln.db",
            "cannot be read",
            "still there",
            "fsck --repair",
            "names",
        ]);
        space.kiln(["images"]).run().never_says(&["panicked"]);
        let repaired = space.kiln(["fsck", "--repair"]).ok();
        for id in [&app, &other] {
            assert!(repaired.stdout.contains(&**id), "{repaired}");
            is_there(space, id);
        }
        assert!(repaired.stdout.contains("names"), "{repaired}");
        space.is_clean();
        space.kiln(["tag", &app, "again"]).ok();
        is_there(space, "again");
        build(space, "app", 1).ok();
        assert_eq!(space.id("app").len(), app.len());
        space.remove_store();
    }
}

fn torn_files_of_the_store_hurt_nobody(space: &Space) {
    let text = "FROM tools\nCOPY files /files\nRUN cat /files/0 > /zero\n";
    write_files(space);
    let first = space
        .build(text)
        .env("SOURCE_DATE_EPOCH", "1600000000")
        .arg("-q")
        .ok();
    let store = space.store();
    for content in [&b""[..], b"rubbish", &[0; 4096]] {
        for folder in ["layers", "contexts"] {
            below(&store.join(folder))
                .iter()
                .for_each(|file| fs::write(file, content).unwrap());
        }
        for name in [
            "version.new",
            "version",
            "leases/1-2.lock",
            "leases/3-4",
            "locks/x",
            "parts/y",
            "kiln.db-shm",
        ] {
            fs::write(store.join(name), content).unwrap();
            space.give(&store.join(name));
        }
        space.is_clean();
        let again = space
            .build(text)
            .env("SOURCE_DATE_EPOCH", "1600000000")
            .arg("-q")
            .ok();
        assert_eq!(again.stdout, first.stdout);
        let anew = space
            .build(text)
            .env("SOURCE_DATE_EPOCH", "1600000000")
            .args(["-q", "--no-cache"])
            .ok();
        assert_eq!(anew.stdout, first.stdout);
        space.is_clean();
    }
}

fn a_store_in_an_open_folder_is_closed(space: &Space) {
    use std::os::unix::fs::PermissionsExt;
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(space.store()).unwrap();
    space.give(&space.store());
    open(&space.store(), 0o755);
    write_files(space);
    let is_closed = || {
        for entry in fs::read_dir(space.store()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
        }
    };
    build(space, "app", 1).ok();
    is_closed();
    // as an older kiln left it
    open(&space.store().join("kiln.db"), 0o644);
    open(&space.store().join("version"), 0o644);
    open(&space.store().join("parts"), 0o755);
    build(space, "app", 1).ok();
    is_closed();
}
