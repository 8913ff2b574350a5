//! `kiln run`: what a container runs and sees, by docker's rules.

use std::fs;

use crate::support::registry::{Guard, Registry};
use crate::support::space::TOOLS;
use crate::support::{Finished, Kiln, Space, plain_cases, user_cases};

user_cases! {
    entrypoint_and_command,
    variables_of_the_image_the_line_and_files,
    folders_of_the_machine,
    the_image_stays_as_it_is,
    users_folders_and_names,
    a_root_that_is_read_only,
    streams_are_passed_as_they_are,
    a_network_of_its_own,
}

plain_cases! {
    limits,
    an_image_is_pulled_as_asked,
    what_kiln_does_not_do_is_refused_with_a_hint,
    mistakes_are_told,
}

/// An image `app` that says what it is given.
pub fn prepare(space: &Space, more: &str) {
    let text = format!("FROM run-tools\n{more}\n");
    let tools = format!("run-tools=host-tools:{TOOLS},echo");
    space.build(&text).args(["--build-context", &tools]).ok();
}

/// `kiln run` of it.
pub fn run<'a>(space: &Space, words: impl IntoIterator<Item = &'a str>) -> Kiln {
    space.kiln(["run"]).args(words)
}

/// Both streams, without what kiln says of a user with one id.
fn said(ran: &Finished) -> (String, String) {
    let is_own = |line: &&str| line.starts_with("warning: only one user id");
    let lines = ran.stderr.lines().filter(|line| !is_own(line));
    let stderr = lines.map(|line| format!("{line}\n")).collect();
    (ran.stdout.clone(), stderr)
}

#[track_caller]
fn prints(space: &Space, words: &[&str], expected: &str) {
    let ran = run(space, words.iter().copied()).ok();
    assert_eq!(
        said(&ran),
        (expected.to_owned(), String::new()),
        "{words:?}"
    );
}

fn entrypoint_and_command(space: &Space) {
    prepare(
        space,
        "ENTRYPOINT [\"sh\", \"-c\", \"echo entry $0 $*\"]\nCMD [\"usual\", \"words\"]",
    );
    let is = |words: &[&str], expected: &str| prints(space, words, expected);
    is(&["app"], "entry usual words\n");
    is(&["--rm", "app", "-a", "--rm"], "entry -a --rm\n");
    is(&["--entrypoint", "echo", "app"], "\n");
    is(&["--entrypoint=echo", "app", "one", "-n"], "one -n\n");
    is(&["--entrypoint", "", "app", "echo", "two"], "two\n");
    prepare(space, "CMD echo shell form");
    is(&["app"], "shell form\n");
    is(&["app", "echo", "another"], "another\n");
    let id = space.id("app");
    is(&["--", &id, "echo", "by ID"], "by ID\n");
}

fn variables_of_the_image_the_line_and_files(space: &Space) {
    prepare(space, "ENV A=image B=image C=image D=image");
    fs::write(
        space.own().join("file"),
        "\u{feff}# no variable\nB=file\n\nC=file\nE=a b=c\nOWN\nMISSING\n",
    )
    .unwrap();
    let shown = [
        "app",
        "sh",
        "-c",
        "echo $A $B $C ${D-none} $E $OWN ${MISSING-none} $TERM; echo $HOME $HOSTNAME $PATH",
    ];
    let flags = [
        "--env-file",
        "file",
        "-e",
        "C=line",
        "--env=D",
        "-e",
        "MISSING",
    ];
    let ran = run(space, flags.into_iter().chain(shown))
        .env("OWN", "own")
        .ok();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = format!("image file line none a b=c own none\n/ kiln {path}\n");
    assert_eq!(ran.stdout, expected);
}

fn folders_of_the_machine(space: &Space) {
    prepare(space, "");
    let shared = space.own_folder("own/shared");
    fs::write(shared.join("given"), "given\n").unwrap();
    space.give(&shared.join("given"));
    let at = |options: &str| format!("{}:/data{options}", shared.display());
    prints(
        space,
        &["-v", "./shared:/data", "app", "cat", "/data/given"],
        "given\n",
    );
    let write = ["app", "sh", "-c", "echo new > /data/new"];
    let refused = run(space, ["-v", &at(":ro")].into_iter().chain(write)).run();
    assert!(
        !refused.status.success() && !shared.join("new").exists(),
        "{refused}"
    );
    let bind = format!("type=bind,src={},dst=/data,readonly", shared.display());
    let refused = run(space, ["--mount", &bind].into_iter().chain(write)).run();
    assert!(
        !refused.status.success() && !shared.join("new").exists(),
        "{refused}"
    );
    run(space, ["-v", &at("")].into_iter().chain(write)).ok();
    assert_eq!(fs::read_to_string(shared.join("new")).unwrap(), "new\n");
    prints(
        space,
        &["-v", &at(":rw"), "app", "cat", "/data/new"],
        "new\n",
    );
}

fn the_image_stays_as_it_is(space: &Space) {
    prepare(space, "RUN echo before > /file\nVOLUME /data");
    let id = space.id("app");
    let change = "rm /file; echo after > /other; mkdir -p /data/x; echo changed";
    prints(space, &["app", "sh", "-c", change], "changed\n");
    prints(
        space,
        &[
            "app",
            "sh",
            "-c",
            "cat /file; [ -e /other ] || [ -e /data/x ] || echo gone",
        ],
        "before\ngone\n",
    );
    assert_eq!(space.id("app"), id);
    space.is_clean();
}

fn users_folders_and_names(space: &Space) {
    prepare(space, "WORKDIR /srv/app");
    prints(space, &["app", "sh", "-c", "echo $PWD"], "/srv/app\n");
    prints(
        space,
        &["-w", "/new/folder", "app", "sh", "-c", "echo $PWD"],
        "/new/folder\n",
    );
    prints(
        space,
        &["--rm", "--name", "web", "app", "sh", "-c", "echo $HOSTNAME"],
        "web\n",
    );
    prints(
        space,
        &[
            "--name=web",
            "-h",
            "other",
            "app",
            "sh",
            "-c",
            "echo $HOSTNAME; read a < /proc/sys/kernel/hostname; echo $a",
        ],
        "other\nother\n",
    );
    prints(
        space,
        &[
            "--add-host",
            "db:10.1.2.3",
            "app",
            "sh",
            "-c",
            "while read a n; do case $n in db) echo $a;; esac; done < /etc/hosts",
        ],
        "10.1.2.3\n",
    );
    if space.mode.has_one_id() {
        let refused = run(space, ["-u", "7:8", "app", "id", "-u"]).exits(125);
        refused.says(&["the container cannot be started"]);
        return;
    }
    prints(
        space,
        &["-u", "7:8", "app", "sh", "-c", "echo $(id -u) $(id -g)"],
        "7 8\n",
    );
    run(space, ["-u", "nobody-here", "app", "id"])
        .exits(125)
        .says(&["nobody-here"]);
}

fn a_root_that_is_read_only(space: &Space) {
    prepare(space, "");
    let write = "echo x > /file || echo refused; echo y > /run/file && cat /run/file; echo z > /dev/shm/z; cat /dev/shm/z";
    let flags = [
        "--read-only",
        "--tmpfs",
        "/run:size=1m,mode=755",
        "app",
        "sh",
        "-c",
        write,
    ];
    let ran = run(space, flags).ok();
    assert_eq!(ran.stdout, "refused\ny\nz\n", "{ran}");
    let memory = [
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-mode=700",
        "app",
        "stat",
        "-c",
        "%a",
        "/t",
    ];
    prints(space, &memory, "700\n");
}

fn streams_are_passed_as_they_are(space: &Space) {
    prepare(space, "");
    let both = "cat; echo to stderr >&2";
    let ran = run(space, ["-i", "app", "sh", "-c", both])
        .stdin("typed\n")
        .ok();
    assert_eq!(said(&ran), ("typed\n".to_owned(), "to stderr\n".to_owned()));
    let ran = run(space, ["app", "sh", "-c", both]).stdin("typed\n").ok();
    assert_eq!(said(&ran), (String::new(), "to stderr\n".to_owned()));
    let ran = run(space, ["-it", "app", "cat"]).exits(125);
    ran.says(&["the input device is not a TTY", "leave -t out"]);
    // a terminal that nobody types on
    let ran = run(
        space,
        [
            "-t",
            "app",
            "sh",
            "-c",
            "[ -t 0 ] && [ -t 1 ] && echo terminal $TERM",
        ],
    )
    .ok();
    assert_eq!(ran.stdout, "terminal xterm\r\n");
}

fn a_network_of_its_own(space: &Space) {
    prepare(space, "");
    let count = "set -- /sys/class/net/*; echo $#";
    prints(
        space,
        &["--network", "none", "app", "sh", "-c", count],
        "1\n",
    );
}

fn limits(space: &Space) {
    prepare(space, "");
    prints(
        space,
        &["--ulimit", "nofile=77", "app", "sh", "-c", "ulimit -n"],
        "77\n",
    );
    let size = [
        "--shm-size",
        "1m",
        "app",
        "stat",
        "-f",
        "-c",
        "%b %s",
        "/dev/shm",
    ];
    prints(space, &size, "256 4096\n");
    // where they may not be set there is a warning
    run(space, ["-m", "64m", "--cpus", "0.5", "app", "echo", "ran"]).ok();
    run(space, ["--memory", "1k", "app", "echo"])
        .exits(125)
        .says(&["--memory"]);
}

fn an_image_is_pulled_as_asked(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/team/app:v1", registry.host);
    prepare(space, "CMD echo of a registry");
    space.kiln(["push", "app", &name]).ok();
    space.remove_store();
    let quiet = ["-q", &name];
    run(space, ["--pull=never", &name])
        .exits(125)
        .says(&["kiln images"]);
    run(space, ["--offline", &name]).exits(125);
    assert_eq!(run(space, quiet).ok().stdout, "of a registry\n");
    assert_eq!(
        run(space, ["--offline", &name]).ok().stdout,
        "of a registry\n"
    );
    let asked = registry.seen().len();
    run(space, quiet).ok();
    assert_eq!(registry.seen().len(), asked, "it is there");
    run(space, ["--pull", "always", "-q", &name]).ok();
    assert!(registry.seen().len() > asked);
}

fn what_kiln_does_not_do_is_refused_with_a_hint(space: &Space) {
    for (flags, hint) in [
        (&["--restart", "always"][..], "systemd"),
        (&["-p", "8000-8010:80-81"], "same length"),
        (&["-p", "80", "--network", "none"], "--network none"),
        (&["--privileged"], "rights"),
        (&["--volumes-from", "x"], "-v FOLDER:PATH"),
        (&["-v", "data:/data"], "/PATH or ./PATH"),
        (&["--mount", "type=volume,src=data,dst=/data"], "type=bind"),
        (&["--network", "mine"], "private"),
    ] {
        let words = flags.iter().copied().chain(["app", "true"]);
        run(space, words).exits(125).says(&["error: ", hint]);
    }
    prepare(space, "");
    run(space, ["--restart", "no", "app", "echo", "ran"]).ok();
    let ran = run(space, ["--label", "a=b", "app", "echo", "ran"]).ok();
    ran.says(&["warning: --label has no effect: containers of kiln have no labels"]);
    assert_eq!(ran.stdout, "ran\n");
}

fn mistakes_are_told(space: &Space) {
    prepare(space, "");
    for (words, texts) in [
        (&["-w", "x", "app", "true"][..], "absolute"),
        (&["--name", "a b", "app", "true"], "letters"),
        (&["--env", "=x", "app", "true"], "NAME=VALUE"),
        (&["--env-file", "nothing", "app", "true"], "nothing"),
        (
            &["--stop-signal", "SIGNOTHING", "app", "true"],
            "SIGNOTHING",
        ),
        (&["-v", "./nothing:/x", "app", "true"], "nothing"),
        (&["--mount", "type=bind,dst=/x", "app", "true"], "src=PATH"),
        (&["--tmpfs", "run", "app", "true"], "absolute"),
        (&["app"], "no command is specified"),
    ] {
        run(space, words.iter().copied()).exits(125).says(&[texts]);
    }
}
