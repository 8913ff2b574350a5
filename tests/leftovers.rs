//! What kiln leaves where others may find it: temporary files, logs, passwords, escape codes; and faults of the machine that end it with a word.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::mode::skip;
use crate::support::processes::{appears, eventually, unique_nap, with_argument};
use crate::support::traces::holders;
use crate::support::unread::seen;
use crate::support::{Space, cases, plain_cases};

cases! {
    the_home_of_another_user_is_closed,
    a_command_with_another_user_dies_with_engine_and_supervisor,
}

plain_cases! {
    an_output_has_no_name_before_it_is_whole,
    what_a_killed_output_left_is_removed,
    logs_go_with_the_build,
    a_killed_build_leaves_no_log,
    an_excerpt_shows_no_password,
    a_cache_shows_no_password,
    output_steers_no_terminal,
    a_socket_is_called_one,
    nothing_is_no_image,
    a_limit_of_file_sizes_is_told,
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn an_output_has_no_name_before_it_is_whole(space: &Space) {
    space.write("big", vec![7; 24 << 20]);
    let folder = space.own_folder("out");
    let output = format!("type=tar,dest={}", folder.join("out.tar").display());
    let build = space.build("FROM scratch\nCOPY big /\n");
    let running = build.args(["-o", &output]).spawn();
    // what a SIGKILL would leave now
    let seen = loop {
        let seen = names(&folder);
        if !seen.is_empty() {
            break seen;
        }
    };
    running.wait();
    assert_eq!(seen, ["out.tar"]);
}

fn logs_go_with_the_build(space: &Space) {
    let secret = "hunter2-and-more";
    space.write("secret", secret);
    let build = |end: &str| {
        let text = format!("FROM tools\nRUN --mount=type=secret,id=s cat /run/secrets/s; {end}\n");
        let source = format!("id=s,src={}", space.context().join("secret").display());
        space.build(&text).args(["--secret", &source])
    };
    build("true").ok().says(&[secret]);
    build("exit 3").exits(1).says(&[secret]);
    for folder in ["trash", "leases"] {
        assert!(
            holders(&space.store().join(folder), &[secret]).is_empty(),
            "in {folder}"
        );
    }
}

fn a_killed_build_leaves_no_log(space: &Space) {
    let (secret, nap) = ("hunter2-and-more", unique_nap());
    space.write("secret", secret);
    let run = format!("cat /run/secrets/s; echo; exec sleep {nap}");
    let text = format!("FROM tools\nRUN --mount=type=secret,id=s {run}\n");
    let source = format!("id=s,src={}", space.context().join("secret").display());
    let mut running = space.build(&text).args(["--secret", &source]).spawn();
    running.until(secret);
    running.signal(Signal::KILL);
    running.wait();
    assert!(holders(&space.store(), &[secret]).is_empty());
}

/// What a SIGKILL leaves of an output goes with the next one to the same place; what looks like it and is somebody's stays.
fn what_a_killed_output_left_is_removed(space: &Space) {
    space.write("word", "word");
    let folder = space.own_folder("out");
    let build = |output: String| {
        let build = space.build("FROM scratch\nCOPY word /sub/\n");
        build.args(["-o", &output]).ok();
    };
    let layout = format!(
        "type=oci,tar=false,dest={}",
        folder.join("layout").display()
    );
    let left = space.own_folder("out/.kiln-output-a1B2c3");
    space.own_folder("out/.kiln-output-a1B2c3/blobs");
    space.own_folder("out/.kiln-output-of-mine");
    build(layout);
    assert!(!left.exists());
    assert!(folder.join(".kiln-output-of-mine").exists());
    let files = space.own_folder("out/files");
    space.own_folder("out/files/sub");
    for part in [".kiln-output.part", "sub/.kiln-output.part"] {
        fs::write(files.join(part), "half").unwrap();
    }
    build(files.display().to_string());
    assert_eq!(names(&files), ["sub"]);
    assert_eq!(names(&files.join("sub")), ["word"]);
}

fn a_cache_shows_no_password(space: &Space) {
    let cache = "type=s3,bucket=b,endpoint_url=http://me:s3cr3t@127.0.0.1:1,use_path_style=true,access_key_id=k,secret_access_key=hidden";
    let text = "FROM scratch\nCOPY Dockerfile /\n";
    for flag in ["--cache-from", "--cache-to"] {
        let built = space
            .build(text)
            .args([flag, cache, "--retry=0", "--no-cache"])
            .run();
        built.never_says(&["s3cr3t", "hidden"]);
    }
}

fn an_excerpt_shows_no_password(space: &Space) {
    let text = "FROM scratch\nADD http://me:s3cr3t@127.0.0.1:1/file /\n";
    let failed = space.build(text).args(["--retry", "0"]).run();
    assert!(!failed.status.success());
    failed.says(&["127.0.0.1:1/file"]).never_says(&["s3cr3t"]);
}

fn output_steers_no_terminal(space: &Space) {
    let script = "cat <<'EOF'\nplain \x1b[31mred\x1b[0m\n\x1b]0;title\x07\x1b[2Jshown\nEOF\n";
    let text = format!("FROM tools\nRUN <<END\n{script}END\n");
    let build = || {
        space
            .build(&text)
            .args(["--no-cache", "--progress", "plain"])
    };
    let (code, shown) = seen(build().env("TERM", "xterm").command());
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("plain \x1b[31mred") && shown.contains("shown"),
        "{shown:?}"
    );
    assert!(
        !shown.contains("\x1b]0;") && !shown.contains("\x1b[2J"),
        "{shown:?}"
    );
    // who reads a pipe gets what the step wrote
    build().ok().says(&["\x1b]0;title"]);
}

fn a_socket_is_called_one(space: &Space) {
    space.write("file", "");
    let _socket = UnixListener::bind(space.context().join("socket")).unwrap();
    let failed = space.build("FROM scratch\nCOPY socket /\n").exits(1);
    failed
        .says(&["socket, and an image can hold none"])
        .never_says(&[".dockerignore"]);
}

fn nothing_is_no_image(space: &Space) {
    space
        .kiln(["import", "-", "made:1"])
        .stdin("")
        .exits(1)
        .says(&["empty"]);
    assert_eq!(space.kiln(["images", "-q"]).ok().stdout, "");
}

fn a_limit_of_file_sizes_is_told(space: &Space) {
    space.build("FROM tools\n").ok();
    let ended = space
        .shell("ulimit -f 2000; exec kiln save app -o saved.tar")
        .exits(3);
    ended.says(&["File too large"]);
    assert!(!space.own().join("saved.tar").exists());
}

fn the_home_of_another_user_is_closed(space: &Space) {
    if !space.mode.is_rootless() || fs::metadata("/root").is_err() {
        return skip("leftovers", space.mode, "root may enter every home");
    }
    space.build("FROM scratch\nLABEL a=b\n").ok();
    let saved = space.kiln(["save", "app"]).env("HOME", "/root").stdout();
    space.kiln(["load"]).env("HOME", "/root").stdin(saved).ok();
}

/// The process that started another one.
fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.unwrap().trim().parse().unwrap()
}

fn a_command_with_another_user_dies_with_engine_and_supervisor(space: &Space) {
    if space.mode.has_one_id() {
        return skip("leftovers", space.mode, "there is no other user");
    }
    let nap = unique_nap();
    let text = format!(
        "FROM tools\nCOPY --from=more / /\nRUN [\"setpriv\", \"--reuid=5\", \"--clear-groups\", \"sleep\", \"{nap}\"]\n"
    );
    let build = space.build(&text);
    let running = build
        .args(["--build-context", "more=host-tools:setpriv"])
        .spawn();
    let is_sleep = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
    };
    appears(&nap);
    eventually("sleep", || with_argument(&nap).iter().any(is_sleep));
    let sleep = with_argument(&nap).into_iter().find(is_sleep).unwrap();
    let supervisor = Pid::from_raw(parent(sleep)).unwrap();
    // neither has the time to do anything about the other's end
    kill_process(supervisor, Signal::STOP).unwrap();
    running.signal(Signal::KILL);
    running.wait();
    kill_process(supervisor, Signal::KILL).unwrap();
    eventually("no command", || with_argument(&nap).is_empty());
}
