//! A full disk and a killed process leave a store that fsck calls clean.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use kiln_oci::Digest;

use crate::inventory::Files;
use crate::tests::{directory, file, is_root, options, write_layer};
use crate::{Caches, Chain, CommitError, CommitOptions, LayerError, Record, Store, StoreError};

/// Set in the process that is to be killed: the store that it works on.
const VICTIM: &str = "KILN_TEST_VICTIM";

fn is_full(error: &StoreError) -> bool {
    match error {
        StoreError::NoSpace { .. } => true,
        StoreError::Layer(LayerError::Write { source, .. }) => crate::error::is_full(source),
        _ => false,
    }
}

/// A small tmpfs, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"])
            .arg(dir.path())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("skipped: a small tmpfs cannot be mounted here");
            return None;
        }
        Some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_half_written() {
    if !is_root() {
        return;
    }
    let Some(disk) = SmallDisk::mount(3 << 20) else {
        return;
    };
    let store = Store::open(options(&disk.0.path().join("store"))).unwrap();
    let kept = write_layer(
        &store,
        &Chain::new(Vec::new()),
        &vec![directory("d", 0o755), file("d/a", "1", 0o644)],
    )
    .unwrap();
    let big = vec![7u8; 8 << 20];
    let error = store.blobs().put(&mut big.as_slice(), None).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
    let written = writer.file(
        b"big",
        &crate::Meta::root(0o644, 0),
        big.len() as u64,
        &mut big.as_slice(),
    );
    assert!(is_full(&StoreError::from(written.unwrap_err())));
    drop(writer);
    let mut tar = Vec::new();
    tar.extend_from_slice(&std::fs::read(kept.tar.path()).unwrap()[..512]);
    tar.resize(2 << 10, 0);
    // behind the end; zeros would be holes, which take no room
    tar.resize(6 << 20, 7);
    let error = store.layers().import_tar(&mut tar.as_slice()).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    // what was begun goes in idle time
    store.settle().unwrap();
    let upper = store
        .views()
        .new_upper(&Chain::new(Vec::new()))
        .unwrap()
        .upper;
    std::fs::write(upper.join("x"), vec![1; 1 << 20]).unwrap();
    std::fs::write(upper.join("y"), vec![2; 700 << 10]).unwrap();
    let error = store
        .layers()
        .commit_upper(&upper, &Chain::new(Vec::new()), &CommitOptions::default())
        .unwrap_err();
    assert!(
        matches!(&error, CommitError::Layer(LayerError::Write { source, .. }) if crate::error::is_full(source))
            || matches!(&error, CommitError::Store(error) if is_full(error)),
        "{error:?}"
    );
    store.scratch().discard(&upper).unwrap();
    store.settle().unwrap();
    assert_eq!(store.fsck(false).unwrap(), []);
    assert_eq!(
        store.layers().get(&kept.diff_id()).unwrap().index,
        kept.index
    );
}

/// Runs only in the process that gets killed: layers, records, views and prunes without end.
#[test]
fn victim() {
    let Ok(root) = std::env::var(VICTIM) else {
        return;
    };
    let store = Store::open(options(Path::new(&root))).unwrap();
    let empty = Chain::new(Vec::new());
    for round in 0u64.. {
        let content = format!("{}-{round}-", std::process::id()).repeat(20_000);
        let layer = write_layer(
            &store,
            &empty,
            &vec![
                directory("d", 0o000),
                file("d/a", &content, 0o644),
                file("d/b", "b", 0o600),
            ],
        )
        .unwrap();
        let key = Digest::of(content.as_bytes());
        let tree = layer.tree();
        let record = Record {
            key,
            definition: key,
            inputs: Vec::new(),
            diff_id: Some(layer.diff_id()),
            tree,
            created: 0,
            made: 6,
            cost_ms: 1,
            dockerfile_line: 1,
            title: String::new(),
            caches: Caches::default(),
            isolation: crate::Isolation::default(),
        };
        store.records().put(&record).unwrap();
        store.views().get(&[layer.diff_id()]).unwrap();
        crate::image::tests::put(&store, &[&layer]);
        if round % 5 == 4 {
            let _ = Store::open(options(Path::new(&root)))
                .unwrap()
                .garbage()
                .prune(Some(3_000_000))
                .unwrap();
        }
    }
}

fn spawn_victim(root: &Path) -> Child {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test);
    command
        .args([
            "--exact",
            "store::tests::crash::victim",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(VICTIM, root);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn a_killed_process_leaves_a_clean_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut worked = 0;
    for round in 0..12u64 {
        let mut victims = [spawn_victim(&root), spawn_victim(&root)];
        std::thread::sleep(Duration::from_millis(60 + round * 23));
        for victim in &mut victims {
            assert!(
                victim.try_wait().unwrap().is_none(),
                "a victim failed by itself"
            );
            victim.kill().unwrap();
            victim.wait().unwrap();
        }
        let store = Store::open(options(&root)).unwrap();
        store.leases().collect_dead().unwrap();
        assert_eq!(store.fsck(false).unwrap(), [], "round {round}");
        worked += Files::read(store.root()).unwrap().blobs.len();
    }
    assert!(worked > 0, "the victims never got to write anything");
    let store = Store::open(options(&root)).unwrap();
    let report = store.garbage().prune(None).unwrap();
    assert_eq!(report.kept, 0, "{report:?}");
    store.settle().unwrap();
    assert_eq!(store.garbage().usage().unwrap().total(), 0);
}
