//! Working folders that the image names but does not hold.

use std::fs;
use std::os::unix::fs::symlink;

use kiln_sandbox::RunSpec;

use crate::harness::{Ground, shell, tree};

fn in_folder(cwd: &str, script: &str) -> RunSpec {
    RunSpec {
        cwd: cwd.to_owned(),
        ..shell(script)
    }
}

pub fn is_made(ground: &Ground) {
    let id = if ground.has_users() { 7 } else { 0 };
    let spec = RunSpec {
        uid: id,
        gid: id,
        ..in_folder("/run/made/here", "pwd; stat -c '%a %u %g' /run /run/made .")
    };
    let expected = format!("/run/made/here\n755 0 0\n755 {id} {id}\n755 {id} {id}\n");
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, &expected);
    assert_eq!(
        tree(&ground.path("upper")),
        ["run", "run/made", "run/made/here"]
    );
    // What is there is left alone.
    ground
        .run(&ground.root("upper2"), &in_folder("/tmp", "pwd"))
        .expect(0, "/tmp\n");
    assert_eq!(tree(&ground.path("upper2")), [""; 0]);
}

pub fn stays_inside(ground: &Ground) {
    let outside = ground.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, ground.path("image/absolute")).unwrap();
    symlink("../../../../../../../../../..", ground.path("image/up")).unwrap();
    symlink("/bin/sh", ground.path("image/file")).unwrap();
    for disabled in ["", "openat2"] {
        ground.disabled.set(disabled.parse().unwrap());
        for (cwd, pwd) in [
            (
                "/absolute/a",
                outside.join("a").to_str().unwrap().to_owned(),
            ),
            ("/up/b", "/b".to_owned()),
            ("/../../c", "/c".to_owned()),
        ] {
            let upper = format!("upper{disabled}{}", cwd.replace('/', "-"));
            ground
                .run(&ground.root(&upper), &in_folder(cwd, "pwd"))
                .expect(0, &format!("{pwd}\n"));
            assert_eq!(tree(&outside), [""; 0]);
        }
        for cwd in ["/file/x", "/proc/self/fd/0", "/file"] {
            let spec = in_folder(cwd, "pwd");
            assert!(ground.try_run(&ground.root("upper"), &spec, &[]).is_err());
        }
    }
}

/// A caller that keeps its own files to itself: mount points are for everybody all the same.
pub fn umask_of_the_caller(ground: &Ground) {
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let root = ground.root("upper");
    let outcome = ground.run(
        &root,
        &in_folder("/new/folder", "stat -c %a /dev/pts /dev/shm /new /proc"),
    );
    rustix::process::umask(before);
    outcome.expect(0, "755\n1777\n755\n555\n");
}
