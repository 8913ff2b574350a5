//! Terminals, a first process that is not the command, and a root that is read-only.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::Duration;

use kiln_sandbox::{Extra, Mount, MountKind, RunSpec, Running, Stdin, Stdio, TerminalSize, run};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::harness::{Ground, shell, tree};

fn null_streams() -> Stdio {
    let null = || File::options().write(true).open("/dev/null").unwrap();
    Stdio {
        stdin: Stdin::Null,
        stdout: null().into(),
        stderr: null().into(),
    }
}

pub fn is_the_commands_own(ground: &Ground) {
    let id = if ground.has_users() { 7 } else { 0 };
    let spec = RunSpec {
        uid: id,
        gid: id,
        terminal: Some(TerminalSize {
            rows: 30,
            columns: 100,
        }),
        ..shell("stat -c %u /dev/pts/0; tty; stty size; stty -echo; echo ready; read a; echo $a")
    };
    let root = ground.root("upper");
    let mut running = run(&root, &spec, null_streams(), Extra::default()).unwrap();
    let mut terminal = File::from(running.take_terminal().unwrap());
    assert!(running.take_terminal().is_none());
    let mut text = String::new();
    let mut buffer = [0; 100];
    let mut is_typed = false;
    // it ends with an error
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        text += std::str::from_utf8(&buffer[..count]).unwrap();
        if text.ends_with("ready\r\n") && !is_typed {
            terminal.write_all(b"typed\r").unwrap();
            is_typed = true;
        }
    }
    let expected = format!("{id}\n/dev/pts/0\n30 100\nready\ntyped\n");
    assert_eq!(text.replace("\r\n", "\n"), expected);
    assert_eq!(running.wait().unwrap().code, Some(0));
}

pub fn an_init_is_first(ground: &Ground) {
    let with_init = |script: &str| RunSpec {
        has_init: true,
        ..shell(script)
    };
    let root = |name: &str| ground.root(name);
    let first = "echo $$; kill -0 1 && echo first";
    ground
        .run(&root("one"), &with_init(first))
        .expect(0, "2\nfirst\n");
    ground.run(&root("two"), &with_init("exit 9")).expect(9, "");
    ground
        .run(&root("three"), &with_init("kill -9 $$"))
        .expect(137, "");
    // it goes to the first process, which hands it on
    let handed = "trap 'echo handed; exit 3' USR1; kill -USR1 1; while :; do :; done";
    ground
        .run(&root("four"), &with_init(handed))
        .expect(3, "handed\n");
}

pub fn a_read_only_root_leaves_no_mount_points(ground: &Ground) {
    let spec = RunSpec {
        read_only: true,
        mounts: vec![Mount {
            target: "/made/here".to_owned(),
            kind: MountKind::Tmpfs {
                size: None,
                mode: 0o755,
            },
            read_only: false,
        }],
        ..shell(
            "touch /file 2>/dev/null || echo refused; echo x > /made/here/x; cat /made/here/x; ls /proc/1 > /dev/null && echo proc",
        )
    };
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "refused\nx\nproc\n");
    assert_eq!(tree(&ground.path("upper")), [""; 0]);
}

/// A terminal of a person: that side, and the one that is lent.
fn persons() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let person = openpt(flags).unwrap();
    unlockpt(&person).unwrap();
    let lent = ioctl_tiocgptpeer(&person, flags).unwrap();
    (person, lent)
}

fn is_cooked(terminal: &OwnedFd) -> bool {
    let modes = tcgetattr(terminal).unwrap().local_modes;
    modes.contains(LocalModes::ICANON)
}

/// A command with a terminal that is lent to it, whose modes are changed then.
fn lent(ground: &Ground, upper: &str, script: &str, terminal: &OwnedFd) -> Running {
    let extra = Extra {
        borrowed: Some(terminal.as_fd()),
        ..Extra::default()
    };
    let root = ground.root(upper);
    let running = run(&root, &shell(script), null_streams(), extra).unwrap();
    let mut modes = tcgetattr(terminal).unwrap();
    modes.make_raw();
    tcsetattr(terminal, OptionalActions::Now, &modes).unwrap();
    running
}

pub fn a_lent_one_comes_back_from_a_run_that_is_dropped(ground: &Ground) {
    let (_person, terminal) = persons();
    let running = lent(ground, "upper", "sleep 1000; true", &terminal);
    assert!(!is_cooked(&terminal));
    let (told, tells) = channel();
    spawn(move || {
        drop(running);
        told.send(()).unwrap();
    });
    let dropped = tells.recv_timeout(Duration::from_secs(5));
    dropped.expect("both ends wait for each other");
    assert!(is_cooked(&terminal));
}

pub fn a_lent_one_stays_lent_until_all_is_shown(ground: &Ground) {
    for is_given_back in [true, false] {
        let (_person, terminal) = persons();
        let upper = format!("upper.{is_given_back}");
        let running = lent(ground, &upper, "exit 7", &terminal);
        let (exit, lent) = running.ended().unwrap();
        assert_eq!(exit.code, Some(7));
        assert!(!is_cooked(&terminal), "something may be shown still");
        match is_given_back {
            true => lent.given_back(),
            false => drop(lent),
        }
        // who says so has others in mind
        assert_eq!(is_cooked(&terminal), !is_given_back);
    }
}
