//! Who fills one mount, before or while another run starts, must not choose what is mounted over elsewhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kiln_sandbox::{Mount, MountKind, RunSpec, SpawnError};

use crate::harness::{Ground, shell, tree};

fn bind(target: &str, base: std::path::PathBuf) -> Mount {
    let path = String::new();
    Mount {
        target: target.to_owned(),
        kind: MountKind::Bind { base, path },
        read_only: false,
    }
}

fn secret(target: &str) -> Mount {
    Mount {
        target: target.to_owned(),
        kind: MountKind::File {
            content: b"secret".to_vec(),
            mode: 0o400,
            uid: 0,
            gid: 0,
        },
        read_only: true,
    }
}

fn with(mounts: Vec<Mount>, script: &str) -> RunSpec {
    RunSpec {
        mounts,
        ..shell(script)
    }
}

pub fn links_in_mounts(ground: &Ground) {
    let cache = ground.path("cache");
    fs::create_dir_all(cache.join("real")).unwrap();
    for (name, target) in [
        ("folder", "/etc"),
        ("back", "../etc"),
        ("file", "/bin/true"),
        ("dangling", "/etc/made"),
        ("here", "real"),
        ("magic", "/proc/self/root"),
    ] {
        symlink(target, cache.join(name)).unwrap();
    }
    for disabled in ["", "openat2"] {
        ground.disabled.set(disabled.parse().unwrap());
        let targets = [
            "folder/x", "back/x", "file", "dangling", "here/x", "magic/x",
        ];
        for target in targets {
            let mounts = vec![
                bind("/tmp", cache.clone()),
                secret(&format!("/tmp/{target}")),
            ];
            let root = ground.root("upper");
            let error = ground
                .try_run(&root, &with(mounts, "true"), &[])
                .unwrap_err();
            assert!(
                matches!(&error, SpawnError::Step { step, hint: Some(_), .. } if step == "open the mount point"),
                "{target}: {error:?}"
            );
            assert_eq!(tree(&ground.path("upper")), [""; 0], "{target}");
        }
        // `..` is no link, and a place that is missing is made where it belongs.
        for target in ["/tmp/real/deep/x", "/tmp/real/../y", "/tmp/../etc/z"] {
            let mounts = vec![bind("/tmp", cache.clone()), secret(target)];
            let script = format!("cat {target}");
            ground
                .run(&ground.root("upper"), &with(mounts, &script))
                .expect(0, "secret");
            assert_eq!(tree(&ground.path("upper")), [""; 0], "{target}");
        }
    }
}

/// One thread swaps a folder of the mount and a link; what the other starts either fails or mounts where it was told to.
pub fn racing_links(ground: &Ground) {
    let cache = ground.path("cache");
    fs::create_dir_all(cache.join("spare")).unwrap();
    symlink("/etc", cache.join("link")).unwrap();
    let end = AtomicBool::new(false);
    let (mut mounted, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let swap = || {
            while !end.load(Ordering::Relaxed) {
                let _ = fs::rename(cache.join("spare"), cache.join("sub"));
                std::thread::yield_now();
                let _ = fs::rename(cache.join("sub"), cache.join("spare"));
                let _ = fs::rename(cache.join("link"), cache.join("sub"));
                std::thread::yield_now();
                let _ = fs::rename(cache.join("sub"), cache.join("link"));
                // The other side makes the folder where it finds none.
                let _ = fs::remove_dir_all(cache.join("sub"));
            }
        };
        scope.spawn(swap);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            let mounts = vec![bind("/tmp", cache.clone()), secret("/tmp/sub/x")];
            let root = ground.root("upper");
            match ground.try_run(&root, &with(mounts, "cat /etc/x 2>/dev/null; true"), &[]) {
                Ok(outcome) => {
                    mounted += 1;
                    assert_eq!(outcome.output, "", "the mount was redirected");
                }
                Err(_) => refused += 1,
            }
            assert_eq!(tree(&ground.path("upper")), [""; 0]);
        }
        end.store(true, Ordering::Relaxed);
    });
    assert!(mounted + refused > 0);
    crate::harness::note(&format!("{mounted} mounted, {refused} refused"));
}

/// The image's own links are followed, inside its root: `/var/run` is one in most images.
pub fn links_of_the_image(ground: &Ground) {
    symlink("/etc", ground.path("image/conf")).unwrap();
    symlink("../../run", ground.path("image/tmp/run")).unwrap();
    for disabled in ["", "openat2"] {
        ground.disabled.set(disabled.parse().unwrap());
        for (target, place) in [
            ("/conf/x", "/etc/x"),
            ("/tmp/run/secrets/y", "/run/secrets/y"),
        ] {
            ground
                .run(
                    &ground.root("upper"),
                    &with(vec![secret(target)], &format!("cat {place}")),
                )
                .expect(0, "secret");
            assert_eq!(tree(&ground.path("upper")), [""; 0], "{target}");
        }
    }
}
