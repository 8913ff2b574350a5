//! Mount points that an image lacks leave no trace in the upper.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, SystemTime};

use kiln_sandbox::{Mount, MountKind, RunSpec};

use crate::harness::{Ground, Outcome, shell, tree};

fn file(target: &str) -> Mount {
    let kind = MountKind::File {
        content: b"given".to_vec(),
        mode: 0o644,
        uid: 0,
        gid: 0,
    };
    Mount {
        target: target.to_owned(),
        kind,
        read_only: false,
    }
}

fn run_with(ground: &Ground, image: &str, upper: &str, targets: &[&str], script: &str) -> Outcome {
    let root = ground.mount(&[ground.path(image)], upper);
    let mounts = targets.iter().map(|target| file(target)).collect();
    ground.run(
        &root,
        &RunSpec {
            mounts,
            ..shell(script)
        },
    )
}

pub fn nothing_is_left(ground: &Ground) {
    run_with(
        ground,
        "image",
        "upper",
        &["/etc/resolv.conf", "/etc/hosts"],
        "cat /etc/resolv.conf /etc/hosts",
    )
    .expect(0, "givengiven");
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
}

pub fn bare_image(ground: &Ground) {
    ground.image("bare", &[]);
    run_with(
        ground,
        "bare",
        "upper",
        &["/etc/resolv.conf", "/a/b/c"],
        "cat /etc/resolv.conf /a/b/c; ls /",
    )
    .expect(0, "givengivena\nbin\ndev\netc\nproc\nsys\n");
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
}

pub fn dangling_link(ground: &Ground) {
    symlink(
        "../run/systemd/resolve/stub-resolv.conf",
        ground.path("image/etc/resolv.conf"),
    )
    .unwrap();
    let script = "cat /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf";
    run_with(ground, "image", "upper", &["/etc/resolv.conf"], script).expect(0, "givengiven");
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
}

pub fn what_was_used_stays(ground: &Ground) {
    ground.image("bare", &[]);
    let outcome = run_with(
        ground,
        "bare",
        "upper",
        &["/etc/resolv.conf", "/a/b"],
        "echo mine > /etc/mine; echo other > /a/other; echo lost > /etc/resolv.conf",
    );
    outcome.expect(0, "");
    assert_eq!(
        tree(&ground.path("upper")),
        ["a", "a/other", "etc", "etc/mine"]
    );
}

pub fn times_are_kept(ground: &Ground) {
    let etc = ground.path("image/etc");
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000, 123_456_789);
    fs::File::open(&etc).unwrap().set_modified(old).unwrap();
    let outcome = run_with(
        ground,
        "image",
        "upper",
        &["/etc/resolv.conf"],
        "stat -c %Y /etc; echo x > /etc/sub/f",
    );
    assert!(outcome.output.starts_with("1000000\n"), "{outcome:?}");
    fs::create_dir(etc.join("sub")).unwrap();
    fs::File::open(&etc).unwrap().set_modified(old).unwrap();
    // The folder stays, since something in it has changed; its own times have not.
    run_with(
        ground,
        "image",
        "upper2",
        &["/etc/resolv.conf"],
        "echo x > /etc/sub/f",
    )
    .expect(0, "");
    assert_eq!(
        tree(&ground.path("upper2")),
        ["etc", "etc/sub", "etc/sub/f"]
    );
    assert_eq!(
        ground
            .path("upper2/etc")
            .metadata()
            .unwrap()
            .modified()
            .unwrap(),
        old
    );
}

pub fn changes_stay(ground: &Ground) {
    for (number, script) in [
        "chmod 700 /etc",
        "touch -d 1990-01-01 /etc",
        "touch /etc/x; rm /etc/x",
    ]
    .into_iter()
    .enumerate()
    {
        let upper = format!("upper{number}");
        let before = ground.path("image/etc").metadata().unwrap();
        run_with(ground, "image", &upper, &["/etc/resolv.conf"], script).expect(0, "");
        assert_eq!(tree(&ground.path(&upper)), ["etc"], "{script}");
        let after = ground.path(&upper).join("etc").metadata().unwrap();
        assert_ne!(
            (before.mode(), before.mtime(), before.mtime_nsec()),
            (after.mode(), after.mtime(), after.mtime_nsec()),
            "{script}"
        );
    }
}

pub fn removed_by_the_command(ground: &Ground) {
    ground.image("bare", &[]);
    // A mount point cannot be removed, its folder can be moved.
    let outcome = run_with(
        ground,
        "bare",
        "upper",
        &["/etc/resolv.conf"],
        "rm /etc/resolv.conf 2>/dev/null || echo busy; mv /etc /moved; ls /moved",
    );
    outcome.expect(0, "busy\nresolv.conf\n");
    let left = tree(&ground.path("upper"));
    assert!(
        !left.iter().any(|path| path.ends_with("resolv.conf")),
        "{left:?}"
    );
}
