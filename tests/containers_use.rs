//! What is done with a container: another command in it, files in and out, an image of it.

use std::fs;

use rustix::process::Signal;

use crate::run_containers::{prepare, run};
use crate::support::processes::{appears, eventually, nothing_left, unique_nap, with_argument};
use crate::support::{Finished, Space, plain_cases, user_cases};

user_cases! {
    another_command_in_a_container,
    files_are_copied_both_ways,
    an_image_is_made_of_a_container,
}

plain_cases! {
    commands_end_with_who_asked_and_with_the_container,
    what_cannot_be_done_is_told,
    without_namespaces_what_is_possible_is_done,
}

fn kiln(space: &Space, words: &[&str]) -> Finished {
    space.kiln(words).ok()
}

/// A container in the background that sleeps.
fn sleeping(space: &Space, flags: &[&str]) -> String {
    let nap = unique_nap();
    let command = [
        "app",
        "sh",
        "-c",
        &format!("echo in > /written; sleep {nap}"),
    ];
    run(space, [&["-d", "--name", "web"], flags, &command].concat()).ok();
    appears(&nap);
    nap
}

fn another_command_in_a_container(space: &Space) {
    prepare(space, "ENV A=image\nWORKDIR /srv");
    sleeping(space, &["-e", "B=run", "--hostname", "inside"]);
    let shown = "echo $A $B $C $PWD $HOSTNAME; cat /written; echo $$ > /pid";
    let ran = kiln(space, &["exec", "-e", "C=exec", "web", "sh", "-c", shown]);
    assert_eq!(ran.stdout, "image run exec /srv inside\nin\n", "{ran}");
    let pid = kiln(space, &["exec", "web", "cat", "/pid"]).stdout;
    assert!(pid.trim().parse::<u32>().unwrap() < 100, "{pid}");
    assert_eq!(
        kiln(space, &["exec", "-w", "/", "web", "sh", "-c", "echo $PWD"]).stdout,
        "/\n"
    );
    space.kiln(["exec", "web", "sh", "-c", "exit 9"]).exits(9);
    space
        .kiln(["exec", "web", "no-such-program"])
        .exits(127)
        .says(&["not found"]);
    let typed = space
        .kiln(["exec", "-i", "web", "cat"])
        .stdin("typed\n")
        .ok();
    assert_eq!(typed.stdout, "typed\n");
    assert_eq!(
        space
            .kiln(["exec", "web", "cat"])
            .stdin("typed\n")
            .ok()
            .stdout,
        ""
    );
    let terminal = [
        "exec",
        "-t",
        "web",
        "sh",
        "-c",
        "[ -t 0 ] && [ -t 1 ] && echo terminal $TERM",
    ];
    assert_eq!(kiln(space, &terminal).stdout, "terminal xterm\r\n");
    if !space.mode.has_one_id() {
        as_other_users(space);
    }
    kiln(
        space,
        &["exec", "-d", "web", "sh", "-c", "echo done > /detached"],
    );
    eventually("it does nothing", || {
        space.kiln(["exec", "web", "cat", "/detached"]).run().stdout == "done\n"
    });
    kiln(space, &["rm", "-f", "web"]);
    nothing_left(&space.store());
    space.is_clean();
}

/// Numbers, and names, also one that the image does not have.
fn as_other_users(space: &Space) {
    let ids = "exec -u 7:8 web sh -c".split(' ');
    let shown = space.kiln(ids.chain(["echo $(id -u) $(id -g)"]));
    assert_eq!(shown.ok().stdout, "7 8\n");
    let add = "echo 'bob:x:7:8::/home/bob:/bin/sh' >> /etc/passwd";
    kiln(space, &["exec", "web", "sh", "-c", add]);
    let bob = "exec -u bob web sh -c".split(' ');
    let shown = space.kiln(bob.chain(["echo $(id -u) $(id -g) $HOME"]));
    assert_eq!(shown.ok().stdout, "7 8 /home/bob\n");
}

fn commands_end_with_who_asked_and_with_the_container(space: &Space) {
    prepare(space, "");
    sleeping(space, &["--network", "none"]);
    let nap = unique_nap();
    let asking = space.kiln(["exec", "web", "sleep", &nap]).spawn();
    // who asks has the argument too
    eventually("it does not start", || with_argument(&nap).len() >= 2);
    asking.signal(Signal::KILL);
    asking.wait();
    eventually("it goes on", || with_argument(&nap).is_empty());
    let count = [
        "exec",
        "web",
        "sh",
        "-c",
        "set -- /sys/class/net/*; echo $#",
    ];
    assert_eq!(kiln(space, &count).stdout, "1\n");
    let nap = unique_nap();
    let asking = space.kiln(["exec", "web", "sleep", &nap]).spawn();
    eventually("it does not start", || with_argument(&nap).len() >= 2);
    kiln(space, &["kill", "web"]);
    assert_eq!(asking.wait().status.code(), Some(137));
    eventually("it goes on", || with_argument(&nap).is_empty());
}

fn files_are_copied_both_ways(space: &Space) {
    prepare(
        space,
        "RUN mkdir /data && echo of the image > /data/given && ln -s given /data/link",
    );
    let own = space.own();
    let folder = space.own_folder("own/folder");
    fs::write(folder.join("file"), "from outside\n").unwrap();
    space.give(&folder.join("file"));
    sleeping(space, &[]);
    for _ in ["while it runs", "when it has ended"] {
        kiln(space, &["cp", "folder", "web:/data"]);
        kiln(space, &["cp", "folder/file", "web:/data/renamed"]);
        kiln(space, &["cp", "web:/data/folder/file", "back"]);
        assert_eq!(
            fs::read_to_string(own.join("back")).unwrap(),
            "from outside\n"
        );
        kiln(space, &["cp", "web:/written", "."]);
        assert_eq!(fs::read_to_string(own.join("written")).unwrap(), "in\n");
        kiln(space, &["cp", "web:/data/.", "all"]);
        assert_eq!(
            fs::read_to_string(own.join("all/renamed")).unwrap(),
            "from outside\n"
        );
        assert_eq!(
            fs::read_link(own.join("all/link")).unwrap().to_str(),
            Some("given")
        );
        kiln(space, &["cp", "-L", "web:/data/link", "followed"]);
        assert_eq!(
            fs::read_to_string(own.join("followed")).unwrap(),
            "of the image\n"
        );
        fs::remove_dir_all(own.join("all")).unwrap();
        a_whole_root_is_copied(space);
        // as tars
        let tar = space.kiln(["cp", "web:/data", "-"]).stdout();
        kiln_into(space, "web:/", &tar);
        let packed = space.kiln(["cp", "web:/data/folder/.", "-"]).stdout();
        kiln_into(space, "web:/data", &packed);
        kiln(space, &["cp", "web:/data/file", "from-tar"]);
        assert_eq!(
            fs::read_to_string(own.join("from-tar")).unwrap(),
            "from outside\n"
        );
        space
            .kiln(["cp", "-", "web:/data/file"])
            .stdin(tar)
            .exits(1)
            .says(&["unpack into /data/file"]);
        kiln(space, &["cp", "web:/data/file", "web:/data/copied"]);
        kiln(space, &["cp", "web:/data/copied", "-"]);
        kiln(space, &["stop", "-t", "0", "web"]);
    }
    let again = ["app", "cat", "/data/renamed"];
    assert_ne!(run(space, again).run().stdout, "from outside\n");
    kiln(space, &["rm", "web"]);
    space.is_clean();
}

/// What the kernel shows there is no file of it.
fn a_whole_root_is_copied(space: &Space) {
    let root = space.own().join("root");
    kiln(space, &["cp", "web:/", "root"]);
    let given = fs::read_to_string(root.join("data/given")).unwrap();
    assert_eq!(given, "of the image\n");
    assert!(!root.join("proc/version").exists());
    fs::remove_dir_all(root).unwrap();
    let whole = space.kiln(["cp", "web:/", "-"]).stdout();
    assert!(!String::from_utf8_lossy(&whole).contains("/proc/version"));
    let none = space.kiln(["cp", "web:/none", "."]).exits(1);
    none.says(&["/none"]);
}

fn kiln_into(space: &Space, place: &str, tar: &[u8]) {
    space.kiln(["cp", "-", place]).stdin(tar).ok();
}

fn an_image_is_made_of_a_container(space: &Space) {
    prepare(
        space,
        "ENV A=image\nRUN echo old > /old\nCMD [\"cat\", \"/written\"]",
    );
    sleeping(space, &["-e", "B=run"]);
    kiln(space, &["exec", "web", "rm", "/old"]);
    let made = kiln(
        space,
        &["commit", "-a", "me", "-m", "tried", "web", "tried:v1"],
    );
    assert!(made.stdout.starts_with("sha256:"), "{made}");
    kiln(space, &["stop", "-t", "0", "web"]);
    // what is mounted for it while it runs is no part of it
    kiln(space, &["commit", "web", "tried:ended"]);
    let layers = |name: &str| kiln(space, &["inspect", "-f", "{{json .RootFS}}", name]).stdout;
    assert_eq!(layers("tried:v1"), layers("tried:ended"));
    let changes = [
        "commit",
        "-c",
        "CMD [\"sh\", \"-c\", \"echo $A $B $C; ls /old || cat /written\"]",
        "-c",
        "ENV C=changed",
    ];
    kiln(space, &[&changes[..], &["web", "tried:v2"]].concat());
    let ran = run(space, ["--rm", "tried:v2"]).ok();
    assert_eq!(ran.stdout, "image run changed\nin\n", "{ran}");
    let history = kiln(space, &["history", "--format", "{{.Comment}}", "tried:v1"]).stdout;
    assert!(history.contains("tried"), "{history}");
    space
        .kiln(["commit", "-c", "RUN x", "web"])
        .exits(2)
        .says(&["RUN is not possible"]);
    // one that is to go when it ends is not gone yet
    let brief = "-d --rm --name brief app sh -c";
    let script = format!("echo brief > /brief; sleep {}", unique_nap());
    run(space, brief.split(' ').chain([&*script])).ok();
    eventually("it writes nothing", || {
        space.kiln(["exec", "brief", "cat", "/brief"]).run().stdout == "brief\n"
    });
    kiln(space, &["commit", "brief", "brief"]);
    kiln(space, &["rm", "-f", "brief"]);
    assert_eq!(
        run(space, ["--rm", "brief", "cat", "/brief"]).ok().stdout,
        "brief\n"
    );
    // it stands on its own
    kiln(space, &["rm", "web"]);
    kiln(space, &["rmi", "app"]);
    kiln(space, &["prune"]);
    assert_eq!(
        run(space, ["--rm", "tried:v1", "cat", "/written"])
            .ok()
            .stdout,
        "in\n"
    );
    space.is_clean();
}

fn what_cannot_be_done_is_told(space: &Space) {
    prepare(space, "");
    run(space, ["--name", "web", "app", "id", "-u"]).ok();
    space
        .kiln(["exec", "web", "id"])
        .exits(1)
        .says(&["does not run"]);
    space
        .kiln(["exec", "nothing", "id"])
        .exits(1)
        .says(&["no container"]);
    space
        .kiln(["commit", "nothing", "x"])
        .exits(1)
        .says(&["no container"]);
    space
        .kiln(["cp", "nothing:/x", "."])
        .exits(1)
        .says(&["no container"]);
    space.kiln(["cp", ".", "-"]).exits(2).says(&["tar"]);
    let neither = space.kiln(["cp", ".", "other"]).exits(2);
    neither.says(&["neither side"]);
    space
        .kiln(["cp", "-", "web:/"])
        .stdin("no tar")
        .exits(3)
        .says(&["unpack into /"]);
    space
        .kiln(["exec", "--privileged", "web", "id"])
        .exits(2)
        .says(&["rights"]);
}

fn without_namespaces_what_is_possible_is_done(space: &Space) {
    prepare(space, "");
    let supervised = ["--isolation", "supervised"];
    let nap = unique_nap();
    let script = format!("echo in > /written; sleep {nap}");
    let command = ["app", "sh", "-c", &script];
    let ran = run(
        space,
        [&["-d", "--name", "web"], &supervised[..], &command].concat(),
    )
    .run();
    if !ran.status.success() {
        // supervised RUN is not possible everywhere, and says so itself
        return ran
            .says(&["error"])
            .never_says(&["bug"])
            .status
            .code()
            .map_or((), drop);
    }
    appears(&nap);
    space
        .kiln(["exec", "web", "id"])
        .exits(1)
        .says(&["namespaces"]);
    space
        .kiln(["commit", "web", "x"])
        .exits(1)
        .says(&["kiln stop"]);
    kiln(space, &["stop", "-t", "0", "web"]);
    kiln(space, &["commit", "web", "tried"]);
    assert_eq!(
        run(space, ["--rm", "tried", "cat", "/written"]).ok().stdout,
        "in\n"
    );
    kiln(space, &["rm", "web"]);
    nothing_left(&space.store());
}
