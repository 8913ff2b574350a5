//! RUN without namespaces (`--isolation=supervised`, and `auto` in a container that forbids them): what a step finds, what it reaches, what stays.
//! That its layers are those of RUN in namespaces is tried by `supervised_layers.rs`, what it cannot reach by `probe.rs`.

use std::os::unix::fs::PermissionsExt;

use crate::support::contained::{CAPABILITIES, build, command, in_container, in_namespaces};
use crate::support::mode::skip;
use crate::support::processes::{appears, eventually, unique_nap, with_argument};
use crate::support::traces::holders;
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    auto_takes_it_in_a_container_that_forbids_namespaces,
    a_step_finds_its_own_processes_and_devices,
    a_program_of_32_bits_is_served,
    mounts_leave_no_trace,
    an_open_file_is_changed_by_its_name_in_proc,
    a_secret_is_a_file_on_no_disk,
    folders_of_files_that_are_mounted_keep_their_times,
    no_process_stays,
    a_killed_engine_leaves_no_step_and_no_lost_cache,
    who_demands_namespaces_takes_nothing_weaker,
    what_needs_namespaces_is_refused,
}

fn built(space: &Space, text: &str) -> Finished {
    build(space, text, "--no-cache").ok()
}

/// As in a container: what `auto` takes, and says, once.
fn auto_takes_it_in_a_container_that_forbids_namespaces(space: &Space) {
    let inside = |flags: &str| {
        let text = "FROM tools\nRUN id -u\nRUN true\n";
        in_container(space, CAPABILITIES, &command(space, text, flags))
    };
    let told = inside("--no-cache").ok();
    assert_eq!(told.output(), ["0"], "{told}");
    let warning = "warning: namespaces are refused here; RUN uses a chroot whose calls kiln answers (supervised)";
    assert_eq!(told.stderr.matches(warning).count(), 1, "{told}");
    inside("").ok().never_says(&["warning"]);
    let demanded = inside("--isolation namespaces --no-cache").exits(3);
    demanded.says(&["RUN needs namespaces, and they are refused here"]);
    demanded.never_says(&["supervised either"]);
    let doctor = in_container(space, CAPABILITIES, "doctor").ok();
    let taken = "isolation: RUN takes a supervised chroot (docs/containers.md): namespaces are refused (unshare(";
    assert!(doctor.stdout.contains(taken), "{doctor}");
    let less = CAPABILITIES.replace("+sys_chroot,", "");
    let text = "FROM tools\nRUN true\n";
    let refused = in_container(space, &less, &command(space, text, "--no-cache")).exits(3);
    refused.says(&[
        "RUN needs namespaces, and they are refused here: unshare(",
        "without them RUN cannot be supervised either: chroot: Operation not permitted",
        "Kubernetes: runAsUser: 0",
        // what forbids them here
        "sysctl -w user.max_user_namespaces",
    ]);
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

/// A static program of i386 that prints what `/proc/self/comm` holds.
#[rustfmt::skip]
const I386: [u8; 161] = [
    // the header of ELF: 32 bits, executable, i386, entry at 0x8048054, one program header at 52
    0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 0x04, 0x08, 52, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    // the file's 161 bytes at 0x8048000, in 512 bytes of memory that may be read, written and executed
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x04, 0x08, 0, 0x80, 0x04, 0x08, 161, 0, 0, 0, 0, 2, 0, 0, 7, 0, 0, 0, 0, 0x10, 0, 0,
    // open(path, 0)
    0xb8, 5, 0, 0, 0, 0xbb, 0x91, 0x80, 0x04, 0x08, 0x31, 0xc9, 0xcd, 0x80,
    // read(it, buffer, 64)
    0x89, 0xc3, 0xb8, 3, 0, 0, 0, 0xb9, 0, 0x81, 0x04, 0x08, 0xba, 64, 0, 0, 0, 0xcd, 0x80,
    // write(1, buffer, as much)
    0x89, 0xc2, 0xb8, 4, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9, 0, 0x81, 0x04, 0x08, 0xcd, 0x80,
    // exit(0)
    0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80,
    b'/', b'p', b'r', b'o', b'c', b'/', b's', b'e', b'l', b'f', b'/', b'c', b'o', b'm', b'm', 0,
];

fn a_program_of_32_bits_is_served(space: &Space) {
    let program = space.context().join("small");
    std::fs::write(&program, I386).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let here = std::process::Command::new(&program).output();
    if here.is_err() {
        return skip("programs of i386", space.mode, "this kernel executes none");
    }
    let told = built(space, "FROM tools\nCOPY small /small\nRUN /small\n");
    assert_eq!(told.output(), ["small"], "{told}");
}

/// As the C library reaches what it has opened.
fn an_open_file_is_changed_by_its_name_in_proc(space: &Space) {
    let text = r#"FROM tools
RUN echo content > /f && exec 3< /f && chmod 640 /proc/self/fd/3 && ln -L /proc/self/fd/3 /g && mkdir /d && cd /d && ln -L /dev/fd/3 h
RUN exec 3<> /f && perl -e 'my $f = "/proc/self/fd/3"; truncate($f, 4) && chown(0, 0, $f) && syscall(280, -100, $f, my $times = pack("q4", 77, 0, 77, 0), 0) == 0 or die $!'
RUN stat -c '%a %s %Y %h' /f && cat /d/h && exec 3< /f && ! chmod 600 /proc/self/fd/9 2> /dev/null
RUN perl -e 'chmod(0600, "/proc/self/exe") == 1 or die $!; chmod(0600, "/proc/cpuinfo") and die "written"'; stat -c %a /usr/bin/perl
"#;
    let told = built(space, text);
    assert_eq!(told.output(), ["640 4 77 3", "cont", "600"], "{told}");
}

fn a_secret_is_a_file_on_no_disk(space: &Space) {
    let text = "hidden-4711";
    std::fs::write(space.own().join("s"), text).unwrap();
    let nap = unique_nap();
    let script = format!(
        "FROM tools
RUN mkdir /folder && ln -s /run/s /link && ln -s run /other
RUN --mount=type=secret,id=s,target=/run/s,mode=0440 stat -c '%a %F %s' /run/s; cd /run; \
    for name in s ./s /link /other/s ../run/s /proc/self/root/run/s; do perl -e 'open F, shift; print <F> =~ /^hidden-\\d+$/ ? 1 : 0' $name; done; echo; \
    (echo x > /run/s) 2> /dev/null || echo closed; rm s; [ -e /run/s ] || echo gone
RUN --mount=type=secret,id=s,target=/run/s exec 3< /run/s && sleep {nap}
"
    );
    let secret = space.own().join("s");
    let flags = format!("--no-cache --secret id=s,src={}", secret.display());
    let running = build(space, &script, &flags).spawn();
    appears(&nap);
    let store = space.store();
    assert!(holders(&store, &[text]).is_empty(), "while the step runs");
    with_argument(&nap)
        .into_iter()
        .for_each(crate::support::processes::end);
    let told = running.wait();
    let wanted = ["440 regular file 11", "111111", "closed", "gone"];
    assert_eq!(told.output()[..4], wanted, "{told}");
    assert!(holders(&store, &[text]).is_empty(), "afterwards");
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
