//! The mounts of a spec.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use kiln_sandbox::{Mount, MountKind, RunSpec, SpawnError};

use crate::harness::{Ground, shell, tree};

fn bind(target: &str, base: &Path, path: &str, read_only: bool) -> Mount {
    let kind = MountKind::Bind {
        base: base.to_owned(),
        path: path.to_owned(),
    };
    Mount {
        target: target.to_owned(),
        kind,
        read_only,
    }
}

fn with(mounts: Vec<Mount>, script: &str) -> RunSpec {
    RunSpec {
        mounts,
        ..shell(script)
    }
}

fn host_folder(ground: &Ground) -> std::path::PathBuf {
    let host = ground.path("host");
    fs::create_dir_all(host.join("sub")).unwrap();
    fs::write(host.join("file"), "file").unwrap();
    fs::write(host.join("sub/deep"), "deep").unwrap();
    host
}

pub fn binds(ground: &Ground) {
    let host = host_folder(ground);
    let mounts = vec![
        bind("/a", &host, "", true),
        bind("/b", &host, "sub", false),
        bind("/c/d", &host.join("file"), "", true),
        bind("/e", &host, "/sub/deep", true),
    ];
    let script = "cat /a/file /b/deep /c/d /e; echo; (echo x > /a/new) 2>/dev/null || echo read-only; (echo x > /e) 2>/dev/null || echo read-only; \
                  echo new > /b/new; grep -c nodev /proc/self/mountinfo > /dev/null 2>&1; true";
    ground
        .run(&ground.root("upper"), &with(mounts, script))
        .expect(0, "filedeepfiledeep\nread-only\nread-only\n");
    assert_eq!(fs::read_to_string(host.join("sub/new")).unwrap(), "new\n");
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
}

pub fn hostile_bind_paths(ground: &Ground) {
    let host = host_folder(ground);
    symlink("/etc", host.join("absolute")).unwrap();
    symlink("../../../../../../../../etc", host.join("relative")).unwrap();
    symlink("loop", host.join("loop")).unwrap();
    symlink("/proc/self/root/etc", host.join("magic")).unwrap();
    for path in [
        "absolute/passwd",
        "relative/passwd",
        "../../../../../../etc/passwd",
        "loop",
        "magic/passwd",
        "absolute",
    ] {
        for disabled in ["", "openat2"] {
            ground.disabled.set(disabled.parse().unwrap());
            let spec = with(vec![bind("/a", &host, path, true)], "cat /a");
            let error = ground
                .try_run(&ground.root("upper"), &spec, &[])
                .unwrap_err();
            assert!(
                matches!(&error, SpawnError::Step { step, .. } if step == "open the mount source"),
                "{path}: {error}"
            );
        }
    }
    // Inside, links work as they would in a root.
    fs::create_dir(host.join("etc")).unwrap();
    fs::write(host.join("etc/passwd"), "inner").unwrap();
    ground
        .run(
            &ground.root("upper2"),
            &with(vec![bind("/a", &host, "relative/passwd", true)], "cat /a"),
        )
        .expect(0, "inner");
}

pub fn hostile_targets(ground: &Ground) {
    let outside = ground.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, ground.path("image/absolute")).unwrap();
    symlink(
        "../../../../../../../../../../../..".to_owned() + outside.to_str().unwrap(),
        ground.path("image/relative"),
    )
    .unwrap();
    symlink("loop", ground.path("image/loop")).unwrap();
    for target in [
        "/absolute/made",
        "/relative/made",
        "/../../../../../../../../../../../../../../../made",
    ] {
        for disabled in ["", "openat2"] {
            ground.disabled.set(disabled.parse().unwrap());
            let memory = Mount {
                target: target.to_owned(),
                kind: MountKind::Tmpfs {
                    size: None,
                    mode: 0o755,
                },
                read_only: false,
            };
            ground
                .run(
                    &ground.root("upper"),
                    &with(vec![memory], &format!("touch {target}/x && echo here")),
                )
                .expect(0, "here\n");
            assert_eq!(tree(&outside), [""; 0]);
            assert_eq!(tree(&ground.path("upper")), [""; 0], "{target}");
        }
    }
    let memory = Mount {
        target: "/loop/x".to_owned(),
        kind: MountKind::Tmpfs {
            size: None,
            mode: 0o755,
        },
        read_only: false,
    };
    assert!(
        ground
            .try_run(&ground.root("upper3"), &with(vec![memory], ""), &[])
            .is_err()
    );
}

pub fn files(ground: &Ground) {
    let file = |target: &str, content: &[u8], mode, uid, gid, read_only| Mount {
        target: target.to_owned(),
        kind: MountKind::File {
            content: content.to_vec(),
            mode,
            uid,
            gid,
        },
        read_only,
    };
    let id = if ground.has_users() { 7 } else { 0 };
    let large = vec![b'x'; 1 << 20];
    let mounts = vec![
        file("/run/secrets/one", b"secret", 0o400, id, id, true),
        file("/etc/hosts", b"hosts\n", 0o644, 0, 0, false),
        file("/large", &large, 0o644, 0, 0, true),
    ];
    let script = "stat -c '%a %u %g' /run/secrets/one; cat /run/secrets/one; echo; echo more >> /etc/hosts; cat /etc/hosts; wc -c < /large; \
                  (echo x >> /large) 2>/dev/null || echo read-only; ls -A /run/secrets";
    let outcome = ground.run(&ground.root("upper"), &with(mounts, script));
    outcome.expect(
        0,
        &format!("400 {id} {id}\nsecret\nhosts\nmore\n1048576\nread-only\none\n"),
    );
    assert_eq!(tree(&ground.path("upper")), [""; 0], "a secret is left");
}

pub fn memory(ground: &Ground) {
    let memory = |target: &str, size, mode, read_only| Mount {
        target: target.to_owned(),
        kind: MountKind::Tmpfs { size, mode },
        read_only,
    };
    let mounts = vec![
        memory("/cache", Some(1 << 20), 0o1777, false),
        memory("/tmp", None, 0o700, true),
    ];
    let script = "stat -c %a /cache /tmp; (head -c 2000000 /dev/zero > /cache/x) 2>/dev/null || echo full; (touch /tmp/x) 2>/dev/null || echo read-only";
    ground
        .run(&ground.root("upper"), &with(mounts, script))
        .expect(0, "1777\n700\nfull\nread-only\n");
}

pub fn other_roots(ground: &Ground) {
    let other = ground.path("other");
    fs::create_dir_all(other.join("sub/folder")).unwrap();
    fs::write(other.join("sub/file"), "from the other").unwrap();
    symlink("/sub", other.join("link")).unwrap();
    let extra = [
        ground.mount(std::slice::from_ref(&other), "upper1"),
        ground.mount(&[other], "upper2"),
    ];
    let part = |target: &str, index, path: &str, read_only| Mount {
        target: target.to_owned(),
        kind: MountKind::Root {
            index,
            path: path.to_owned(),
        },
        read_only,
    };
    let mounts = vec![
        part("/mnt/part", 0, "link", true),
        part("/mnt/file", 1, "/sub/file", false),
    ];
    let script = "ls /mnt/part; cat /mnt/part/file /mnt/file; (touch /mnt/part/x) 2>/dev/null || echo; echo more >> /mnt/file";
    let root = ground.root("upper");
    let outcome = ground
        .try_run(
            &root,
            &with(mounts.clone(), script),
            &[&extra[0], &extra[1]],
        )
        .unwrap();
    outcome.expect(0, "file\nfolder\nfrom the otherfrom the other\n");
    assert_eq!(
        fs::read_to_string(ground.path("upper2/sub/file")).unwrap(),
        "from the othermore\n"
    );
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
    assert!(matches!(
        ground.try_run(&ground.root("upper3"), &with(mounts, ""), &[]),
        Err(SpawnError::Invalid(_))
    ));
}

pub fn nested(ground: &Ground) {
    let host = host_folder(ground);
    let memory = Mount {
        target: "/m".to_owned(),
        kind: MountKind::Tmpfs {
            size: None,
            mode: 0o755,
        },
        read_only: false,
    };
    let mounts = vec![
        memory,
        bind("/m/x/y", &host, "", true),
        bind("/m/z", &host.join("file"), "", true),
        bind("/dev/extra", &host, "sub", true),
    ];
    ground
        .run(
            &ground.root("upper"),
            &with(mounts, "ls /m /m/x/y; cat /m/z /dev/extra/deep"),
        )
        .expect(0, "/m:\nx\nz\n\n/m/x/y:\nfile\nsub\nfiledeep");
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
    assert_eq!(host.metadata().unwrap().uid(), 0);
}

/// Whatever is staged on the way, nothing of the host is left below or beside the root.
pub fn host_is_gone(ground: &Ground) {
    let other = ground.path("other");
    fs::create_dir_all(other.join("sub")).unwrap();
    let extra = [
        ground.mount(std::slice::from_ref(&other), "upper1"),
        ground.mount(std::slice::from_ref(&other), "upper2"),
    ];
    let mounts = vec![
        Mount {
            target: "/1".to_owned(),
            kind: MountKind::File {
                content: vec![1],
                mode: 0o644,
                uid: 0,
                gid: 0,
            },
            read_only: true,
        },
        Mount {
            target: "/2".to_owned(),
            kind: MountKind::Root {
                index: 0,
                path: "sub".to_owned(),
            },
            read_only: true,
        },
        Mount {
            target: "/3".to_owned(),
            kind: MountKind::File {
                content: vec![1],
                mode: 0o644,
                uid: 0,
                gid: 0,
            },
            read_only: true,
        },
        Mount {
            target: "/4".to_owned(),
            kind: MountKind::Root {
                index: 1,
                path: String::new(),
            },
            read_only: true,
        },
        Mount {
            target: "/5".to_owned(),
            kind: MountKind::Tmpfs {
                size: None,
                mode: 0o755,
            },
            read_only: true,
        },
        bind("/6", &other, "sub", true),
    ];
    let outcome = ground
        .try_run(
            &ground.root("upper"),
            &with(
                mounts,
                "ls -d /../* /etc/../* /.././../*; cat /proc/self/mountinfo",
            ),
            &[&extra[0], &extra[1]],
        )
        .unwrap();
    let (names, mounts): (Vec<&str>, Vec<&str>) = outcome
        .output
        .lines()
        .partition(|line| line.starts_with('/'));
    let image = [
        "1", "2", "3", "4", "5", "6", "bin", "dev", "etc", "proc", "run", "sys", "tmp",
    ];
    assert_eq!(names.len(), 3 * image.len(), "{names:?}");
    assert!(
        names
            .iter()
            .all(|name| image.contains(&name.rsplit('/').next().unwrap())),
        "{names:?}"
    );
    let points: Vec<&str> = mounts
        .iter()
        .map(|line| line.split(' ').nth(4).unwrap())
        .collect();
    assert_eq!(
        points.iter().filter(|point| **point == "/").count(),
        1,
        "{points:?}"
    );
    let first = |point: &&str| point.split('/').nth(1).unwrap_or_default().to_owned();
    assert!(
        points[1..]
            .iter()
            .all(|point| image.contains(&first(point).as_str())),
        "{points:?}"
    );
}
