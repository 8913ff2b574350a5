//! The power is cut at every moment of the first builds and of later builds, loads and prunes: the store opens, what was reported
//! as done is there, and `fsck` has nothing to say. Needs root, for the file system.
//!
//! The seed is told and can be given as `KILN_SEED`; `KILN_NIGHTLY=1` makes twenty times as many cuts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::mode::skip;
use crate::support::power::LoopDisk;
use crate::support::random::{Random, is_nightly, often, seed, tell};
use crate::support::{Kiln, Mode, Space};

mod a_power_cut_takes_no_store_and_no_finished_image {
    #[test]
    fn root() {
        crate::support::mode::run(module_path!(), super::Mode::Root, super::cuts);
    }
}

const SIZE: u64 = 24 << 20;
/// In memory: that, and the copies that five cuts leave. A copy that is unmounted and removed takes its room for as long as a process
/// that was started meanwhile, by whomever, has it in its mount namespace.
const ALL: u64 = 20 * SIZE;
/// No base, so that much happens in a second.
const TEXT: &str = "FROM scratch AS first
ARG N
COPY files /files-$N
FROM scratch
ARG N
COPY --from=first / /
COPY files/0 /last-$N
";

/// What is known to be done: names, and the IDs that they have.
type Done = Mutex<BTreeMap<String, String>>;

fn in_store(space: &Space, store: &Path, arguments: &[&str]) -> Kiln {
    space.kiln(arguments).env("KILN_STORE", store)
}

/// The ID of the image that gets the name.
fn build(space: &Space, store: &Path, name: &str, number: u64) -> String {
    let argument = format!("N={number}");
    let arguments = ["build", "-q", "-t", name, "--build-arg", &argument];
    let built = in_store(space, store, &arguments).arg(space.context());
    built.ok().stdout.trim().to_owned()
}

/// Builds, and now and then loads and prunes, until it is told to stop.
fn work(space: &Space, store: &Path, done: &Done, stopped: &AtomicBool) {
    let archive = space.path("loaded.tar");
    for number in 0.. {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let name = format!("app:{}", number % 5);
        // a name that is being moved is neither here nor there
        done.lock().unwrap().remove(&name);
        let id = build(space, store, &name, number);
        done.lock().unwrap().insert(name, id);
        if number % 4 == 1 {
            in_store(space, store, &["load", "-q", "-i"])
                .arg(&archive)
                .ok();
        }
        if number % 7 == 5 {
            in_store(space, store, &["prune"]).ok();
        }
    }
}

fn after_the_cut(space: &Space, store: &Path, done: &BTreeMap<String, String>, round: u64) {
    let checked = in_store(space, store, &["fsck"]).run();
    assert!(
        checked.status.success() && checked.stdout == "clean\n",
        "round {round}: {checked}"
    );
    if !done.is_empty() {
        let found = in_store(space, store, &["inspect", "-f", "{{.Id}}"]);
        let found = found.args(done.keys()).ok();
        let expected: Vec<&str> = done.values().map(String::as_str).collect();
        let found: Vec<&str> = found.stdout.lines().collect();
        assert_eq!(found, expected, "round {round}: {:?}", done.keys());
        let saved = in_store(space, store, &["save", "-o", "/dev/null"]);
        saved.args(done.keys()).ok();
    }
    build(space, store, "app:3", 3);
    let repaired = in_store(space, store, &["fsck", "--repair"]).ok();
    assert_eq!(repaired.stdout, "clean\n", "round {round}");
}

fn cuts(space: &Space) {
    for number in 0..8 {
        space.write(
            &format!("files/{number}"),
            format!("{number}\n").repeat(2000),
        );
    }
    space.write("Dockerfile", TEXT);
    build(space, &space.store(), "loaded:1", 1000);
    let archive = space.path("loaded.tar");
    space
        .kiln(["save", "-o"])
        .arg(&archive)
        .arg("loaded:1")
        .ok();
    let memory = space.small_disk(ALL);
    let image = space.path("disk/power.img");
    let disk =
        memory.and_then(|memory| Ok((LoopDisk::new(&image, &space.path("power"), SIZE)?, memory)));
    let (disk, _memory) = match disk {
        Ok(disks) => disks,
        Err(reason) => return skip("power_cut", space.mode, &reason),
    };
    let mut random = Random::new(seed("power cut", space));
    let (image, folder) = (space.path("disk/cut.img"), space.path("cut"));
    for round in 0..often(8) {
        // fresh stores are the ones that are hurt
        let store = disk.folder().join(format!("store-{round}"));
        five_cuts(space, &disk, &store, &mut random, (&image, &folder), round);
        std::fs::remove_dir_all(&store).unwrap();
        if is_nightly() {
            tell(&format!("power cuts: {}", 5 * (round + 1)));
        }
    }
}

/// Five cuts into one store's first seconds; after each a copy of the disk has to be fit for use.
fn five_cuts(
    space: &Space,
    disk: &LoopDisk,
    store: &Path,
    random: &mut Random,
    (image, folder): (&PathBuf, &PathBuf),
    round: u64,
) {
    let (done, stopped) = (Done::default(), AtomicBool::new(false));
    let mut cuts = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| work(space, store, &done, &stopped));
        for number in 0..5 {
            std::thread::sleep(Duration::from_millis(random.below(450)));
            let image = image.with_extension(format!("{number}.img"));
            let before = done.lock().unwrap().clone();
            disk.cut(&image);
            // what was being made anew meanwhile may have either ID
            let after = done.lock().unwrap().clone();
            let sure = before
                .into_iter()
                .filter(|(name, id)| after.get(name) == Some(id));
            cuts.push((image, sure.collect()));
        }
        stopped.store(true, Ordering::SeqCst);
    });
    for (image, sure) in cuts {
        let revived = LoopDisk::revived(&image, folder);
        let store = folder.join(store.file_name().unwrap());
        after_the_cut(space, &store, &sure, round);
        drop(revived);
        std::fs::remove_file(image).unwrap();
    }
}
