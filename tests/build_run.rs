//! `RUN` for real: who the command is, what it may do, what it sees, how its end comes through.

use serde_json::json;

use crate::support::processes::{appears, end, nothing_left, unique_nap};
use crate::support::{Finished, Kind, Mode, Space, cases};

cases! {
    output_comes_through_whole,
    exit_codes_and_signals_come_through,
    a_missing_program_is_explained,
    users_bring_groups_and_home,
    an_unknown_user_fails_when_something_runs,
    capabilities_and_filters_are_dockers,
    the_environment_is_the_images,
    the_file_systems_are_in_place,
    only_its_own_processes_are_seen,
    networks_are_the_hosts_or_none,
    scripts_shells_and_exec_forms,
}

/// Lines of a RUN step, by the word before the first `=`.
fn value<'a>(built: &'a Finished, name: &str) -> &'a str {
    let lines = built.output();
    let found = lines
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("{name} is not in the output\n{built}"))
}

fn output_comes_through_whole(space: &Space) {
    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; echo to stderr >&2; printf 'no newline'";
    let built = space.build(&format!("FROM tools\nRUN {script}\n")).ok();
    let mut expected: Vec<String> = (0..5000).map(|number| format!("line {number}")).collect();
    expected.extend(["to stderr".to_owned(), "no newline".to_owned()]);
    assert_eq!(built.output(), expected);
}

fn exit_codes_and_signals_come_through(space: &Space) {
    let failed = space
        .build("FROM tools\nRUN echo before; exit 42\nRUN echo never\n")
        .exits(1);
    failed
        .says(&["| before", "exit code 42", "RUN echo before; exit 42"])
        .never_says(&["| never"]);
    let nap = unique_nap();
    let running = space
        .build(&format!("FROM tools\nRUN [\"sleep\", \"{nap}\"]\n"))
        .spawn();
    end(appears(&nap));
    let killed = running.wait();
    assert_eq!(killed.status.code(), Some(1));
    killed.says(&["signal 9"]);
    space
        .build("FROM tools\nRUN sh -c 'kill -TERM $$'\n")
        .exits(1)
        .says(&["exit code 143"]);
    let pipes = space
        .build("FROM tools\nRUN false | true\nRUN [ -t 0 ] || wc -c < /dev/stdin\n")
        .ok();
    assert_eq!(pipes.output(), ["0"], "standard input is empty");
}

fn a_missing_program_is_explained(space: &Space) {
    space
        .build("FROM tools\nRUN no-such-program\n")
        .exits(1)
        .says(&["exit code 127", "no-such-program", "PATH"]);
    let image = space.build("FROM scratch\nRUN echo hello\n").exits(1);
    image.says(&["/bin/sh"]);
    let not_executable = space
        .build("FROM tools\nRUN echo 'echo hi' > /script\nRUN [\"/script\"]\n")
        .exits(1);
    not_executable.says(&["/script"]);
}

const ACCOUNTS: &str = "FROM tools
COPY passwd group /etc/
";

fn accounts(space: &Space) {
    space.write(
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345:App:/home/app:/bin/sh\n",
    );
    space.write("group", "root:x:0:\nown:x:2345:\nextra:x:3000:app,other\nmore:x:3001:other,app\nnone:x:3002:other\n");
}

fn users_bring_groups_and_home(space: &Space) {
    accounts(space);
    let show =
        "RUN echo ids=$(id -u):$(id -g):$(id -G) && echo home=$HOME && echo new > /tmp/$(id -u)\n";
    let text = format!("{ACCOUNTS}RUN mkdir -p /tmp && chmod 1777 /tmp\nUSER app\n{show}");
    if space.mode.has_one_id() {
        space.build(&text).exits(3).says(&["1234", "/etc/subuid"]);
        let root = space
            .build(&format!("{ACCOUNTS}RUN mkdir -p /tmp\n{show}"))
            .ok();
        assert_eq!(
            (value(&root, "ids"), value(&root, "home")),
            ("0:0:0", "/root")
        );
        return;
    }
    let built = space.build(&text).ok();
    assert_eq!(
        (value(&built, "ids"), value(&built, "home")),
        ("1234:2345:2345 3000 3001", "/home/app")
    );
    let image = space.image("app");
    let file = image.entry("tmp/1234");
    assert_eq!((file.uid, file.gid, file.mode), (1234, 2345, 0o644));
    let built = space.build(&text.replace("USER app", "USER app:none")).ok();
    assert_eq!(value(&built, "ids"), "1234:3002:3002");
    let built = space.build(&text.replace("USER app", "USER 77:88")).ok();
    assert_eq!(
        (value(&built, "ids"), value(&built, "home")),
        ("77:88:88", "/")
    );
}

fn an_unknown_user_fails_when_something_runs(space: &Space) {
    space
        .build("FROM tools\nUSER nobody-knows\nLABEL a=b\n")
        .ok();
    assert_eq!(space.image("app").setting("User"), "nobody-knows");
    space
        .build("FROM tools\nUSER nobody-knows\nRUN id\n")
        .exits(1)
        .says(&["nobody-knows", "/etc/passwd"]);
}

fn capabilities_and_filters_are_dockers(space: &Space) {
    let tools = "more=host-tools:mount,unshare";
    let show = "RUN while read name value; do echo ${name%:}=$value; done < /proc/self/status\n";
    let built = space.build(&format!("FROM tools\n{show}")).ok();
    let docker = "00000000a80425fb";
    // on the host's network, nobody may read what others send
    let without_net_raw = "00000000a80405fb";
    assert_eq!(
        (
            value(&built, "CapEff"),
            value(&built, "CapPrm"),
            value(&built, "CapBnd")
        ),
        (without_net_raw, without_net_raw, without_net_raw)
    );
    let alone = space
        .build(&format!("FROM tools\nRUN --network=none {}", &show[4..]))
        .ok();
    assert_eq!(
        (value(&alone, "CapEff"), value(&alone, "CapBnd")),
        (docker, docker)
    );
    assert_eq!(
        (value(&built, "CapInh"), value(&built, "CapAmb")),
        ("0000000000000000", "0000000000000000")
    );
    assert_eq!(
        (value(&built, "Seccomp"), value(&built, "NoNewPrivs")),
        ("2", "0")
    );
    let text = "FROM tools\nCOPY --from=more / /\nRUN mkdir -p /mnt && ! mount -t tmpfs none /mnt && ! unshare -m true && ! mknod /dev/sda b 8 0 && echo refused\n";
    let built = space.build(text).args(["--build-context", tools]).run();
    if space.mode.is_rootless() || built.status.success() {
        assert!(built.output().contains(&"refused"), "{built}");
    } else {
        // Real root may make device nodes, as in docker; what it cannot do is open them.
        let open = text.replace("! mknod /dev/sda b 8 0", "mknod /sda b 8 0 && ! cat /sda");
        assert!(
            space
                .build(&open)
                .args(["--build-context", tools])
                .ok()
                .output()
                .contains(&"refused")
        );
    }
    if !space.mode.has_one_id() {
        let built = space.build(&format!("FROM tools\nUSER 5\n{show}")).ok();
        assert_eq!(
            (value(&built, "CapEff"), value(&built, "CapBnd")),
            ("0000000000000000", without_net_raw)
        );
    }
}

fn the_environment_is_the_images(space: &Space) {
    let text = "FROM tools\nENV MINE=1 PATH=/usr/bin:/bin\nARG SEEN=arg\nARG HIDDEN\nRUN env\n";
    let leaks = [
        ("TRACEPARENT", "x"),
        ("OTEL_X", "x"),
        ("SECRET_OF_HOST", "x"),
        ("LD_PRELOAD", ""),
    ];
    let build = leaks
        .iter()
        .fold(space.build(text), |build, (name, value)| {
            build.env(name, value)
        });
    let built = build.ok();
    let mut lines = built.output();
    lines.retain(|line| {
        !line.starts_with("PWD=") && !line.starts_with("_=") && !line.starts_with("OLDPWD=")
    });
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "HOME=/",
            "HOSTNAME=kiln",
            "MINE=1",
            "PATH=/usr/bin:/bin",
            "SEEN=arg"
        ],
        "{built}"
    );
}

fn the_file_systems_are_in_place(space: &Space) {
    let script = "for f in null zero full random urandom tty fd/0 stdin stdout stderr shm ptmx; do [ -e /dev/$f ] || echo missing=$f; done
for f in kcore keys timer_list sched_debug latency_stats; do [ ! -e /proc/$f ] || cat /proc/$f; done
(echo 1 > /proc/sys/vm/overcommit_memory) 2> /dev/null && echo proc is writable
(echo 1 > /sys/kernel/profiling) 2> /dev/null && echo sys is writable
echo shm > /dev/shm/file && echo tmp > /tmp/file
echo host=$(cat /proc/sys/kernel/hostname)
echo umask=$(umask)
echo folder=$PWD";
    let text =
        format!("FROM tools\nWORKDIR /some/where\nRUN mkdir -p /tmp\nRUN <<EOF\n{script}\nEOF\n");
    let built = space.build(&text).ok();
    assert_eq!(
        built.output(),
        ["host=kiln", "umask=0022", "folder=/some/where"],
        "{built}"
    );
    let image = space.image("app");
    for stub in ["dev", "proc", "sys", "etc"] {
        assert!(
            image.below(stub).is_empty(),
            "{stub} holds {:?}",
            image.below(stub)
        );
    }
    assert_eq!(image.text("tmp/file"), "tmp\n");
}

fn only_its_own_processes_are_seen(space: &Space) {
    let script = "echo self=$$; for p in /proc/[0-9]*; do echo seen=${p#/proc/}; done";
    let built = space.build(&format!("FROM tools\nRUN {script}\n")).ok();
    // With the host's /proc bound, its processes are seen but cannot be touched.
    let seen = built
        .output()
        .iter()
        .filter(|line| line.starts_with("seen="))
        .count();
    if space.mode == Mode::BoundFolders {
        assert!(seen > 3, "the fallback was not used: {built}");
    } else {
        assert!(seen <= 3, "{built}");
    }
    assert!(
        value(&built, "self").parse::<u32>().unwrap() < 10,
        "{built}"
    );
    let left = format!("sleep {} &", unique_nap());
    space
        .build(&format!("FROM tools\nRUN {left} echo done\n"))
        .ok()
        .says(&["| done"]);
    nothing_left(&space.store());
}

fn networks_are_the_hosts_or_none(space: &Space) {
    let text = "FROM tools\nRUN cat /proc/self/net/dev | while read name rest; do case $name in *:) echo dev=${name%:};; esac; done\n";
    let none = space.build(text).args(["--network", "none"]).ok();
    assert_eq!(none.output(), ["dev=lo"], "{none}");
    let hosts = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let mut hosts: Vec<String> = hosts
        .lines()
        .filter_map(|line| Some(format!("dev={}", line.split_once(':')?.0.trim())))
        .collect();
    let default = space.build(text).arg("--no-cache").ok();
    let mut seen = default.output();
    hosts.sort();
    seen.sort_unstable();
    assert_eq!(seen, hosts);
    let flag = text.replace("RUN cat", "RUN --network=none cat");
    assert_eq!(
        space.build(&flag).arg("--no-cache").ok().output(),
        ["dev=lo"]
    );
    space.build(text).args(["--network", "moon"]).exits(2);
}

fn scripts_shells_and_exec_forms(space: &Space) {
    let text = r#"FROM tools
RUN <<EOF
echo "one $HOME"
false
echo two
EOF
RUN <<'EOF'
#!/bin/cat
printed by cat
EOF
RUN ["sh", "-c", "echo exec $0", "form"]
SHELL ["sh", "-ec"]
RUN echo shell; false; echo never
"#;
    let built = space.build(text).exits(1);
    let expected = [
        "one /",
        "two",
        "#!/bin/cat",
        "printed by cat",
        "exec form",
        "shell",
    ];
    assert_eq!(built.output(), expected, "{built}");
    let config = space
        .build("FROM tools\nSHELL [\"sh\", \"-ec\"]\nCMD x\n")
        .ok();
    drop(config);
    assert_eq!(
        *space.image("app").setting("Cmd"),
        json!(["sh", "-ec", "x"])
    );
    assert_ne!(space.image("app").entry("bin").kind, Kind::Fifo);
}
