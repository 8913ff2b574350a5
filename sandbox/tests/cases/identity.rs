//! Users, capabilities, limits and the seccomp filter.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_sandbox::{RunSpec, SpawnError};

use crate::harness::{Ground, command_line, shell};

const STATUS: &str = "while read key value; do case $key in Cap*|NoNew*|Seccomp:) echo $key $value;; esac; done < /proc/self/status";

/// Those of docker but NET_RAW: the network is that of the host.
pub fn capabilities_of_root(ground: &Ground) {
    let expected = "CapInh: 0000000000000000\nCapPrm: 00000000a80405fb\nCapEff: 00000000a80405fb\nCapBnd: 00000000a80405fb\n\
                    CapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n";
    ground.sh("upper", STATUS).expect(0, expected);
}

pub fn capabilities_of_a_user(ground: &Ground) {
    let spec = RunSpec {
        uid: 1000,
        gid: 1001,
        groups: vec![7, 8],
        ..shell(&format!("id; {STATUS}"))
    };
    let root = ground.root("upper");
    if !ground.has_users() {
        assert!(matches!(
            ground.try_run(&root, &spec, &[]),
            Err(SpawnError::NoSuchId {
                uid: 1000,
                gid: 1001,
                has_range: false
            })
        ));
        return;
    }
    let expected = "uid=1000 gid=1001 groups=7,8\nCapInh: 0000000000000000\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\n\
                    CapBnd: 00000000a80405fb\nCapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n";
    ground.run(&root, &spec).expect(0, expected);
}

pub fn a_user_can_write_to_its_streams(ground: &Ground) {
    if !ground.has_users() {
        return;
    }
    let spec = RunSpec {
        uid: 1000,
        gid: 1000,
        ..shell(
            "echo a > /dev/stdout; echo b > /dev/stderr; echo c > /dev/null; cat /dev/full | head -c 1 | wc -c; echo x 2>/dev/null > /bin/no || echo denied",
        )
    };
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "a\nb\n1\ndenied\n");
}

pub fn a_user_may_start_in_a_closed_folder(ground: &Ground) {
    if !ground.has_users() {
        return;
    }
    fs::create_dir(ground.path("image/closed")).unwrap();
    fs::set_permissions(
        ground.path("image/closed"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let spec = RunSpec {
        uid: 1000,
        gid: 1000,
        cwd: "/closed".to_owned(),
        ..shell("pwd; ls 2>/dev/null || echo closed")
    };
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "/closed\nclosed\n");
}

/// no_new_privs is off and the root is not nosuid: su and sudo work.
pub fn setuid_programs_work(ground: &Ground) {
    if !ground.has_users() {
        return;
    }
    ground.add_payload();
    fs::set_permissions(
        ground.path("image/bin/payload"),
        fs::Permissions::from_mode(0o4755),
    )
    .unwrap();
    let spec = RunSpec {
        uid: 1000,
        gid: 1000,
        ..command_line(&["payload", "--payload", "ids"])
    };
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "1000 0\n");
}

pub fn limits(ground: &Ground) {
    let rlimits = vec![("nofile".to_owned(), 100, 200), ("core".to_owned(), 0, 0)];
    let spec = RunSpec {
        rlimits,
        ..shell("ulimit -n; ulimit -H -n; ulimit -c")
    };
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "100\n200\n0\n");
}

pub fn filter(ground: &Ground) {
    ground.add_payload();
    let outcome = ground.run(
        &ground.root("upper"),
        &command_line(&["payload", "--payload", "syscalls"]),
    );
    let (perm, nosys) = (libc::EPERM, libc::ENOSYS);
    let expected = format!(
        "unshare {perm}\nkeyctl {perm}\nclone3 {nosys}\nclone {perm}\nunknown {nosys}\nalg {perm}\nvsock {perm}\ninet 0\n\
         personality {perm}\nchroot {}\ni386 getpid 1\ni386 mount -{perm}\n\
         i386 socketcall -{}\n",
        libc::EFAULT,
        libc::EINVAL
    );
    outcome.expect(0, &expected);
}

pub fn privileged(ground: &Ground) {
    let spec = RunSpec {
        privileged: true,
        ..shell(&format!(
            "{STATUS}; mount -t tmpfs none /tmp && echo mounted; ls /proc/acpi /sys/firmware | wc -l"
        ))
    };
    let outcome = ground.run(&ground.root("upper"), &spec);
    assert!(
        outcome.output.contains("Seccomp: 0\n") && outcome.output.contains("mounted\n"),
        "{}",
        outcome.output
    );
    let effective = outcome
        .output
        .lines()
        .find_map(|line| line.strip_prefix("CapEff: "))
        .unwrap();
    assert_eq!(
        u64::from_str_radix(effective, 16).unwrap() & (1 << 21),
        1 << 21,
        "CAP_SYS_ADMIN is missing from {effective}"
    );
    // Real root opens the devices that it makes; a user namespace cannot make them.
    let spec = RunSpec {
        privileged: true,
        ..shell(
            "mknod /zero c 1 5 && mknod /dev/zero2 c 1 5 && head -c 3 /zero > /three && head -c 3 /dev/zero2 > /three",
        )
    };
    let outcome = ground.run(&ground.root("upper"), &spec);
    if ground.entered.rootless {
        assert_eq!(outcome.exit.code, Some(1), "{}", outcome.output);
    } else {
        assert_eq!(outcome.exit.code, Some(0), "{}", outcome.output);
    }
}
