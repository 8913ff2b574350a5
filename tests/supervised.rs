//! RUN without namespaces (`--isolation=supervised`): in a user namespace whose root has docker's capabilities, may make no other namespace and
//! may mount nothing, as in a container with docker's default profile. Real containers are tried by tests/interop/containers.

use crate::support::processes::{appears, eventually, unique_nap, with_argument};
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    the_image_is_the_same_without_namespaces,
    a_step_finds_its_own_processes_and_devices,
    a_step_reaches_nobody_else,
    mounts_leave_no_trace,
    folders_of_files_that_are_mounted_keep_their_times,
    no_process_stays,
    a_killed_engine_leaves_no_step_and_no_lost_cache,
    who_demands_namespaces_takes_nothing_weaker,
    what_needs_namespaces_is_refused,
}

/// Docker's default capabilities (moby, oci/caps/defaults.go).
const CAPABILITIES: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,\
                            +mknod,+audit_write,+setfcap";

const TOOLS: &str =
    "host-tools:sh,cat,ls,id,mkdir,rm,ln,chmod,touch,sleep,stat,mv,cp,env,readlink,perl";

/// A command of kiln as in such a container.
fn contained(space: &Space, command: &str) -> Kiln {
    let inner = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set={CAPABILITIES} --inh-caps=-all kiln {command}"
    );
    space.shell(&format!("unshare --user --map-root-user sh -euc '{inner}'"))
}

/// Builds the Dockerfile there.
fn build(space: &Space, text: &str, flags: &str) -> Kiln {
    space.write("Dockerfile", text);
    let context = space.context();
    let build = format!(
        "build -t app --progress plain --isolation supervised --build-context tools={TOOLS} {flags} {}",
        context.display()
    );
    contained(space, &build).env("SOURCE_DATE_EPOCH", "1700000000")
}

/// Builds it again where namespaces work.
fn in_namespaces(space: &Space, isolation: &str) -> Kiln {
    let tools = format!("tools={TOOLS}");
    let flags = [
        "build",
        "-t",
        "app",
        "--progress",
        "plain",
        "--build-context",
        &tools,
    ];
    let kiln = space.kiln(flags).args(["--isolation", isolation]);
    kiln.arg(space.context())
        .env("SOURCE_DATE_EPOCH", "1700000000")
}

fn built(space: &Space, text: &str) -> Finished {
    build(space, text, "--no-cache").ok()
}

const CHANGES: &str = "FROM tools
COPY tree /tree
RUN ln /tree/keep /tree/other && rm /tree/gone && echo x > /made && mkdir /empty
RUN rm -r /tree/sub && mkdir /tree/sub && echo new > /tree/sub/new && chmod 700 /tree && mv /made /moved
RUN ln -s /moved /link && rm /tree/other && [ ! -e /tree/gone ] && [ ! -e /tree/sub/a ] && cat /moved
RUN true
WORKDIR /work
RUN touch here && cat /etc/resolv.conf > /dev/null && rm /link
RUN cat <<END > /heredoc
text
END
";

fn the_image_is_the_same_without_namespaces(space: &Space) {
    for path in ["keep", "gone", "sub/a", "sub/b"] {
        space.write(&format!("tree/{path}"), path);
    }
    let note = "RUN uses a chroot whose calls kiln answers (supervised)";
    let told = built(space, CHANGES);
    assert_eq!(told.stderr.matches(note).count(), 1, "once: {told}");
    let files = space.image("app").files;
    in_namespaces(space, "auto").arg("--no-cache").ok();
    assert_eq!(space.image("app").files, files);
    // what neither makes a folder anew nor takes a name from a file gives the same bytes
    let text = "FROM tools\nCOPY tree /tree\nWORKDIR /work\nRUN echo x > /tree/made && rm /tree/gone && chmod 700 /tree/sub\nRUN mv /tree/made /work\n";
    built(space, text);
    let id = space.id("app");
    in_namespaces(space, "auto").arg("--no-cache").ok();
    assert_eq!(space.id("app"), id);
    assert_eq!(space.kiln(["fsck"]).ok().stdout, "clean\n");
}

fn a_step_finds_its_own_processes_and_devices(space: &Space) {
    let text = "FROM tools
RUN cat /proc/self/comm && readlink /proc/self && cat /proc/$$/comm && echo pid $$
RUN echo out > /dev/stdout; echo err > /dev/stderr; echo null > /dev/null; cat /dev/null; echo two | cat /dev/stdin
RUN cd /proc && cat self/comm && cat /etc/../proc/self/comm && ls /proc/self/fd > /dev/null && [ -e /proc/cpuinfo ] && [ ! -e /proc/kcore ]
RUN readlink /proc/self/exe && readlink /proc/self/root && readlink /proc/self/cwd
RUN ls -d /proc/[0-9]* | cat > /dev/null && stat -c %F /dev/null && cat /proc/mounts > /dev/null && echo done
";
    let told = built(space, text);
    let said = told.output();
    assert_eq!(said[0], "cat", "{told}");
    assert_eq!(said[2], "sh", "{told}");
    assert_eq!(
        said[3]
            .strip_prefix("pid ")
            .map(str::parse::<u32>)
            .map(|pid| pid.is_ok()),
        Some(true)
    );
    assert_eq!(
        said[4..],
        [
            "out",
            "err",
            "two",
            "cat",
            "cat",
            "/usr/bin/readlink",
            "/",
            "/",
            "character special file",
            "done"
        ],
        "{told}"
    );
}

/// What a hostile step tries. It prints what it could do.
const PROBE: &str = r#"
sub got { print "got @_\n" }
for my $pid (1, 2, getppid()) {
    next if $pid == $$;
    for my $name ("root/etc/passwd", "environ", "mem", "cwd/.", "fd/0", "maps") {
        open(my $file, "<", "/proc/$pid/$name") and read($file, my $text, 1) and got("/proc/$pid/$name");
    }
    kill(0, $pid) and got("signal $pid") if $pid < 3;
}
opendir(my $proc, "/proc") or die "no list";
chdir($proc) or die "no folder";
for my $up ("..", "../..", "../../..", "../../../../../..") {
    -e "$up/PLACE" and got("$up");
}
chdir("/proc/self/fd") and -e "../../../../../../PLACE" and got("fd");
mkdir("/x") and chroot("/x") and got("chroot");
my ($none, $x, $tmpfs) = ("none", "/x", "tmpfs");
syscall(165, $none, $x, $tmpfs, 0, 0) == 0 and got("mount");
syscall(272, 0x10000000) == 0 and got("unshare");
open(my $file, ">", "/proc/sys/kernel/hostname") and got("write to /proc/sys");
fcntl(STDIN, 8, 1) and got("F_SETOWN");
print "probed\n";
"#;

fn a_step_reaches_nobody_else(space: &Space) {
    let place = space.own();
    let place = place.strip_prefix("/").unwrap().display().to_string();
    space.write("probe", PROBE.replace("PLACE", &place));
    let text = "FROM tools\nCOPY probe /probe\nRUN perl /probe 2>&1\nRUN kill -TERM -1 2> /dev/null; echo alive\n";
    let told = built(space, text);
    assert_eq!(told.output(), ["probed", "alive"], "{told}");
}

fn mounts_leave_no_trace(space: &Space) {
    space.write("from/file", "bound");
    space.write("secret", "hidden");
    let secret = space.context().join("secret");
    let text = "FROM tools
RUN mkdir /target && echo below > /target/below
RUN --mount=type=bind,source=from,target=/target cat /target/file && [ ! -e /target/below ]
RUN --mount=type=cache,target=/cache echo kept > /cache/kept
RUN --mount=type=cache,target=/cache cat /cache/kept
RUN --mount=type=tmpfs,target=/tmp/t touch /tmp/t/gone
RUN --mount=type=secret,id=s,target=/run/s cat /run/s | cat > /dev/null; [ -s /run/s ] && echo secret
RUN [ ! -e /run/s ] && [ ! -e /cache ] && cat /target/below
";
    let told = build(
        space,
        text,
        &format!("--no-cache --secret id=s,src={}", secret.display()),
    )
    .ok();
    assert_eq!(
        told.output(),
        ["bound", "kept", "secret", "below"],
        "{told}"
    );
    let files = space.image("app").files;
    for gone in ["cache", "run/s", "tmp/t", "proc/self", "dev/null"] {
        assert!(!files.contains_key(gone), "{gone}");
    }
    assert_eq!(space.kiln(["fsck"]).ok().stdout, "clean\n");
}

/// `/etc` holds `hosts` and `resolv.conf` while the step runs.
fn folders_of_files_that_are_mounted_keep_their_times(space: &Space) {
    let text = "FROM tools\nRUN echo a > /etc/a && touch -d @1000 /etc\nRUN echo x > /x\n";
    build(space, text, "").ok();
    assert_eq!(space.image("app").layers[2], ["x"]);
}

fn no_process_stays(space: &Space) {
    let text = "FROM tools\nRUN (sleep 987654 & sleep 987654 &) ; echo started\n";
    assert_eq!(built(space, text).output(), ["started"]);
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let is_left = |entry: std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(6).any(|part| part == b"987654") && line.starts_with(b"sleep")
    };
    assert_eq!(
        all.filter_map(|entry| is_left(entry).then_some(())).count(),
        0
    );
}

fn a_killed_engine_leaves_no_step_and_no_lost_cache(space: &Space) {
    let nap = unique_nap();
    let mount = "--mount=type=cache,target=/cache";
    let text = format!(
        "FROM tools\nRUN {mount} echo kept > /cache/kept\nRUN {mount} (sleep {nap} &) ; sleep {nap}\n"
    );
    let script = build(space, &text, "--no-cache");
    let running = script.spawn();
    appears(&nap);
    for engine in with_argument("--isolation") {
        let command = std::fs::read(format!("/proc/{engine}/cmdline")).unwrap_or_default();
        let is_ours =
            String::from_utf8_lossy(&command).contains(&*space.context().to_string_lossy());
        if let (true, Some(engine)) = (is_ours, rustix::process::Pid::from_raw(engine)) {
            let _ = rustix::process::kill_process(engine, rustix::process::Signal::KILL);
        }
    }
    running.wait();
    eventually("the nap goes on", || with_argument(&nap).is_empty());
    let text = format!("FROM tools\nRUN {mount} cat /cache/kept\n");
    eventually("the cache is not back", || {
        build(space, &text, "").run().output() == ["kept"]
    });
}

fn who_demands_namespaces_takes_nothing_weaker(space: &Space) {
    let text = "FROM tools\nRUN echo executed\n";
    build(space, text, "").ok();
    assert_eq!(build(space, text, "").ok().output(), [""; 0]);
    let again = |isolation: &str| in_namespaces(space, isolation);
    // with one id, namespaces make other results
    if !space.mode.has_one_id() {
        assert_eq!(again("auto").ok().output(), [""; 0]);
        assert_eq!(again("namespaces").ok().output(), ["executed"]);
    }
    let refused = again("namespaces")
        .arg("--no-cache")
        .env("KILN_DISABLE", "namespaces")
        .exits(3);
    refused.says(&["RUN needs namespaces"]);
    for name in ["default", "oci", "rootless", "process", "chroot"] {
        again(name).ok();
    }
    again("hyperv")
        .exits(2)
        .says(&["kiln has no such isolation"]);
}

fn what_needs_namespaces_is_refused(space: &Space) {
    let refused = |run: &str, flags: &str, what: &str| {
        let told = build(space, &format!("FROM tools\n{run}\n"), flags).exits(1);
        told.says(&[what, "needs namespaces, which supervised RUN does without"]);
    };
    refused("RUN --network=none true", "", "RUN --network=none");
    refused(
        "RUN --security=insecure true",
        "--allow security.insecure",
        "RUN --security=insecure",
    );
    refused("RUN true", "--volume /etc:/mnt:ro", "--volume at /mnt");
}
