//! Terminals, a first process that is not the command, and a root that is read-only.

use std::fs::File;
use std::io::{Read, Write};

use kiln_sandbox::{Extra, Mount, MountKind, RunSpec, Stdin, Stdio, TerminalSize, run};

use crate::harness::{Ground, shell, tree};

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
    let null = || File::options().write(true).open("/dev/null").unwrap();
    let stdio = Stdio {
        stdin: Stdin::Null,
        stdout: null().into(),
        stderr: null().into(),
    };
    let root = ground.root("upper");
    let mut running = run(&root, &spec, stdio, Extra::default()).unwrap();
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
