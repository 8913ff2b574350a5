//! Commands: their streams, codes, environment and errors.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use kiln_sandbox::{Extra, RunSpec, SpawnError, Stdin, Stdio, run};

use crate::harness::{Ground, command_line, note, shell};

pub fn output_and_code(ground: &Ground) {
    ground
        .sh("upper", "echo out; echo err >&2; exit 3")
        .expect(3, "out\nerr\n");
    note(&format!(
        "{} {}",
        ground.entered.ids.key(),
        ground.entered.note.clone().unwrap_or_default()
    ));
}

pub fn surroundings(ground: &Ground) {
    let spec = RunSpec {
        env: vec!["A=1".to_owned(), "PATH=/bin".to_owned()],
        cwd: "/etc".to_owned(),
        hostname: "oven".to_owned(),
        umask: 0o027,
        ..shell("echo $A $PATH; echo ${HOME-none}; pwd; hostname; umask; echo $$; cat | wc -c")
    };
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "1 /bin\nnone\n/etc\noven\n0027\n1\n0\n");
}

pub fn default_umask(ground: &Ground) {
    ground
        .sh("upper", "touch /f; stat -c %a /f")
        .expect(0, "644\n");
}

pub fn stdin_is_passed(ground: &Ground) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (mut output, stdout) = std::io::pipe().unwrap();
    let stderr = File::open("/dev/null").unwrap();
    let stdio = Stdio {
        stdin: Stdin::Fd(reader.into()),
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    let running = run(
        &ground.root("upper"),
        &shell("cat"),
        stdio,
        Extra::default(),
    )
    .unwrap();
    writer.write_all(b"through").unwrap();
    drop(writer);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(
        (text.as_str(), running.wait().unwrap().code),
        ("through", Some(0))
    );
}

pub fn not_executable(ground: &Ground) {
    let image = ground.path("image");
    fs::write(image.join("bin/plain"), "no program").unwrap();
    fs::write(image.join("bin/script"), "#!/no/such\n").unwrap();
    fs::write(image.join("bin/data"), [0_u8; 64]).unwrap();
    for name in ["script", "data"] {
        fs::set_permissions(
            image.join("bin").join(name),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
    }
    let cases = [
        (
            "nonesuch",
            127,
            "exec: \"nonesuch\": not found in $PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)\n",
        ),
        (
            "/nonesuch",
            127,
            "exec: \"/nonesuch\": no such file or directory\n",
        ),
        ("plain", 126, "exec: \"/bin/plain\": permission denied\n"),
        ("/etc", 126, "exec: \"/etc\": permission denied\n"),
        (
            "data",
            126,
            "exec: \"/bin/data\": exec format error (no program of this machine, and no first line with #!)\n",
        ),
        (
            "script",
            127,
            "exec: \"/bin/script\": its interpreter (first line, or ELF loader) was not found\n",
        ),
        (
            "",
            127,
            "exec: \"\": not found in $PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)\n",
        ),
    ];
    for (number, (command, code, message)) in cases.into_iter().enumerate() {
        ground
            .run(
                &ground.root(&format!("upper{number}")),
                &command_line(&[command]),
            )
            .expect(code, message);
    }
}

pub fn impossible_specs(ground: &Ground) {
    let fails = |upper: &str, spec: &RunSpec| {
        ground
            .try_run(&ground.root(upper), spec, &[])
            .unwrap_err()
            .to_string()
    };
    let missing = RunSpec {
        cwd: "/bin/sh".to_owned(),
        ..shell("")
    };
    assert_eq!(
        fails("a", &missing),
        "chdir \"/bin/sh\": Not a directory (os error 20)"
    );
    assert_eq!(
        fails(
            "b",
            &RunSpec {
                argv: Vec::new(),
                ..shell("")
            }
        ),
        "there is no command to run"
    );
    assert!(
        fails(
            "c",
            &RunSpec {
                rlimits: vec![("x".to_owned(), 1, 1)],
                ..shell("")
            }
        )
        .contains("unknown limit \"x\"")
    );
    let root = ground.root("d");
    ground.run(&root, &shell("true"));
    assert!(matches!(
        ground.try_run(&root, &shell("true"), &[]),
        Err(SpawnError::RootUsed)
    ));
}

pub fn usage_is_counted(ground: &Ground) {
    let outcome = ground.sh("upper", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    let used = outcome.exit.used;
    assert!(used.cpu.as_micros() > 1000, "{used:?}");
    assert!(used.memory > 100 << 10, "{used:?}");
}

pub fn signals_and_descriptors(ground: &Ground) {
    ground.add_payload();
    // Descriptors that the caller has open without close-on-exec must not arrive.
    let leaked = File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(leaked.as_fd(), rustix::io::FdFlags::empty()).unwrap();
    ground
        .run(
            &ground.root("a"),
            &command_line(&["payload", "--payload", "descriptors"]),
        )
        .expect(0, "[\"0\", \"1\", \"2\", \"3\", \"4\"]\n");
    let outcome = ground.run(&ground.root("b"), &command_line(&["cat", "/proc/1/status"]));
    for line in [
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "SigCgt:\t0000000000000000",
    ] {
        assert!(outcome.output.contains(line), "{}", outcome.output);
    }
}

pub fn many_threads_at_once(ground: &Ground) {
    let roots: Vec<_> = (0..8)
        .map(|number| ground.root(&format!("upper{number}")))
        .collect();
    std::thread::scope(|scope| {
        for (number, root) in roots.iter().enumerate() {
            scope.spawn(move || {
                let (mut output, stdout) = std::io::pipe().unwrap();
                let stderr = stdout.as_fd().try_clone_to_owned().unwrap();
                let stdio = Stdio {
                    stdin: Stdin::Null,
                    stdout: stdout.into(),
                    stderr,
                };
                let running = run(
                    root,
                    &shell(&format!("echo {number} $$")),
                    stdio,
                    Extra::default(),
                )
                .unwrap();
                let mut text = String::new();
                output.read_to_string(&mut text).unwrap();
                assert_eq!(
                    (text, running.wait().unwrap().code),
                    (format!("{number} 1\n"), Some(0))
                );
            });
        }
    });
}

/// The command is the program that started it, which is the host's file.
pub fn own_program_is_read_only(ground: &Ground) {
    let spec = command_line(&["/proc/self/exe", "--payload", "write-to-self"]);
    ground
        .run(&ground.root("upper"), &spec)
        .expect(0, "true true\n");
}
