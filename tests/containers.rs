//! Containers that are kept: in the background or not, what lists and logs say of them, how they are stopped and removed, and that nothing
//! is left of a process that is killed.

use std::fs;

use crate::run_containers::{prepare, run};
use crate::support::processes::{
    appears, end, eventually, nothing_left, supervisors, unique_nap, with_argument,
};
use crate::support::traces::holders;
use crate::support::{Finished, Space, plain_cases, user_cases};

user_cases! {
    in_the_background_and_stopped,
    what_it_prints_is_logged_and_followed,
    what_ended_is_kept_and_starts_again,
    nothing_is_left_of_a_supervisor_that_is_killed,
    what_a_container_writes_is_synced_if_it_is_kept,
}

plain_cases! {
    names_belong_to_one_container,
    a_container_that_cannot_start_is_not_kept,
    signals_are_sent_and_codes_waited_for,
    layers_of_a_container_stay,
    a_terminal_in_the_background,
    containers_are_counted_and_pruned,
    containers_are_filtered_as_docker_does,
    what_was_thrown_away_is_gone,
}

/// One line of `kiln ps -a` in a form of the test's.
fn listed(space: &Space, name: &str, format: &str) -> String {
    let filter = format!("name={name}");
    let words = ["ps", "-a", "--filter", &filter, "--format", format];
    space.kiln(words).ok().stdout.trim_end().to_owned()
}

fn state(space: &Space, name: &str) -> String {
    listed(space, name, "{{.State}}")
}

/// A container in the background that sleeps; its nap.
pub fn sleeping(space: &Space, name: &str, script: &str) -> String {
    let nap = unique_nap();
    let script = format!("{script}; sleep {nap} & while :; do wait; done");
    let words = ["-d", "--name", name, "app", "sh", "-c", &script];
    let id = run(space, words).ok().stdout;
    assert_eq!(id.trim_end().len(), 12, "{id}");
    appears(&nap);
    nap
}

pub fn kiln(space: &Space, words: &[&str]) -> Finished {
    space.kiln(words).ok()
}

fn in_the_background_and_stopped(space: &Space) {
    prepare(space, "");
    let nap = sleeping(space, "web", "trap 'exit 7' TERM");
    let shown = kiln(space, &["ps"]).stdout;
    assert!(
        shown.lines().count() == 2 && shown.contains("web"),
        "{shown}"
    );
    assert_eq!(
        listed(space, "web", "{{.Names}} {{.Image}} {{.State}}"),
        "web app running"
    );
    assert_eq!(kiln(space, &["stop", "web"]).stdout, "web\n");
    eventually("it goes on", || with_argument(&nap).is_empty());
    let status = listed(space, "web", "{{.Status}}");
    assert!(status.starts_with("Exited (7) "), "{status}");
    assert_eq!(kiln(space, &["ps", "-q"]).stdout, "");
    let offered = kiln(space, &["__complete", "--", "rm", ""]).stdout;
    assert!(offered.starts_with("web\t"), "{offered}");
    // one that does not run is stopped as it is
    kiln(space, &["stop", "web"]);
    space
        .kiln(["kill", "web"])
        .exits(1)
        .says(&["does not run", "kiln start web"]);
    assert_eq!(kiln(space, &["rm", "web"]).stdout, "web\n");
    assert_eq!(kiln(space, &["ps", "-aq"]).stdout, "");
    nothing_left(&space.store());
    space.is_clean();
}

fn what_it_prints_is_logged_and_followed(space: &Space) {
    prepare(space, "");
    let script =
        "echo one; echo two >&2; echo three; while [ ! -e /go ]; do sleep 0.01; done; echo four";
    let go = space.own_folder("own/go");
    let bind = format!("{}:/shared", go.display());
    let script = script.replace("/go", "/shared/go");
    let words = [
        "-d", "--name", "talks", "-v", &bind, "app", "sh", "-c", &script,
    ];
    run(space, words).ok();
    eventually("nothing is logged", || {
        kiln(space, &["logs", "talks"]).stdout.contains("three")
    });
    let logged = kiln(space, &["logs", "talks"]);
    assert_eq!(
        (&*logged.stdout, &*logged.stderr),
        ("one\nthree\n", "two\n")
    );
    let last = kiln(space, &["logs", "--tail", "1", "talks"]);
    assert_eq!(
        last.stdout.len().min(1) + last.stderr.len().min(1),
        1,
        "{last}"
    );
    let timed = kiln(space, &["logs", "-t", "talks"]).stdout;
    assert!(
        timed.ends_with("Z three\n") && timed.starts_with("20"),
        "{timed}"
    );
    let some = |words: &[&str]| kiln(space, &[&["logs", "talks"], words].concat()).stdout;
    assert_eq!(some(&["--since", "1h", "--tail", "-1"]), "one\nthree\n");
    assert_eq!(some(&["--until", "1h"]), "");
    space
        .kiln(["logs", "--since", "soon", "talks"])
        .exits(2)
        .says(&["--since soon"]);
    let mut following = space.kiln(["logs", "-f", "talks"]).spawn();
    following.until("two");
    fs::write(go.join("go"), "").unwrap();
    let followed = following.wait();
    assert!(followed.status.success(), "{followed}");
    assert_eq!(followed.stdout, "one\nthree\nfour\n");
    assert_eq!(kiln(space, &["wait", "talks"]).stdout, "0\n");
    kiln(space, &["rm", "talks"]);
    space
        .kiln(["logs", "-f", "talks"])
        .exits(2)
        .says(&["containers"]);
}

fn what_ended_is_kept_and_starts_again(space: &Space) {
    prepare(space, "");
    let script = "echo run >> /turns; cat /turns; exit 3";
    run(space, ["--name", "again", "app", "sh", "-c", script]).exits(3);
    assert!(listed(space, "again", "{{.Status}}").starts_with("Exited (3)"));
    let again = space.kiln(["start", "-a", "again"]).exits(3);
    assert_eq!(again.stdout, "run\nrun\n");
    assert_eq!(kiln(space, &["start", "again"]).stdout, "again\n");
    assert_eq!(kiln(space, &["wait", "again"]).stdout, "3\n");
    assert_eq!(kiln(space, &["logs", "again"]).stdout, "run\nrun\nrun\n");
    // with --rm nothing is
    run(space, ["--rm", "app", "sh", "-c", "echo gone"]).ok();
    run(space, ["--rm", "-d", "app", "sh", "-c", "echo gone"]).ok();
    eventually("it is kept", || {
        kiln(space, &["ps", "-aq"]).stdout.lines().count() == 1
    });
    let id = kiln(
        space,
        &["create", "--name", "later", "app", "sh", "-c", "echo made"],
    );
    assert_eq!(state(space, "later"), "created");
    let start = ["start", "-a", &id.stdout.trim_end()[..8]];
    assert_eq!(kiln(space, &start).stdout, "made\n");
    // several, of which one is not there
    let both = space.kiln(["start", "again", "nothing", "later"]).exits(1);
    assert_eq!(both.stdout, "again\nlater\n");
    both.says(&["no container nothing"]);
    kiln(space, &["wait", "again", "later"]);
    space.kiln(["start", "-a", "again", "later"]).exits(2);
    kiln(space, &["rm", "again", "later"]);
    space.is_clean();
}

fn nothing_is_left_of_a_supervisor_that_is_killed(space: &Space) {
    prepare(space, "");
    for flags in [&[][..], &["--init"], &["--rm"], &["-t"]] {
        let nap = unique_nap();
        let script = format!("cat /kept && exit; echo kept > /kept; sleep {nap} & sleep {nap}");
        let command = ["app", "sh", "-c", &script];
        let words = [&["-d", "--name", "lost"], flags, &command].concat();
        run(space, words).ok();
        eventually("it does not start", || with_argument(&nap).len() >= 2);
        supervisors(&space.store()).into_iter().for_each(end);
        eventually("it goes on", || with_argument(&nap).is_empty());
        nothing_left(&space.store());
        if flags.contains(&"--rm") {
            assert_eq!(state(space, "lost"), "");
            continue;
        }
        assert_eq!(listed(space, "lost", "{{.Status}}"), "Exited (137)");
        space
            .kiln(["kill", "lost"])
            .exits(1)
            .says(&["does not run"]);
        assert_eq!(kiln(space, &["wait", "lost"]).stdout, "137\n");
        // it starts again, with what it has changed
        let again = kiln(space, &["start", "-a", "lost"]);
        assert_eq!(again.stdout.trim_end(), "kept", "{again}");
        assert!(listed(space, "lost", "{{.Status}}").starts_with("Exited (0)"));
        kiln(space, &["rm", "lost"]);
    }
    // one that was not even started by then
    let made = "create --rm --name early app id -u".split(' ');
    let made = space.kiln(made).ok().stdout;
    let record = space.store().join("containers").join(made.trim_end());
    let record = record.join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    assert_eq!(state(space, "early"), "created");
    let at_once = ("\"is_run_at_once\": false", "\"is_run_at_once\": true");
    fs::write(&record, text.replace(at_once.0, at_once.1)).unwrap();
    assert_eq!(state(space, "early"), "");
    // the name of one that went is free, and nothing of it is left
    run(space, ["--rm", "--name", "lost", "app", "id", "-u"]).ok();
    let kept = fs::read_dir(space.store().join("containers")).unwrap();
    assert_eq!(kept.count(), 0);
    space.is_clean();
}

fn names_belong_to_one_container(space: &Space) {
    prepare(space, "");
    run(space, ["--name", "web", "app", "id", "-u"]).ok();
    run(space, ["-d", "--name", "web", "app", "id", "-u"])
        .exits(125)
        .says(&["is called web", "kiln rm"]);
    run(space, ["app", "id", "-u"]).ok();
    let ids = kiln(space, &["ps", "-aq"]).stdout;
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), 2);
    space
        .kiln(["rm", "nothing"])
        .exits(1)
        .says(&["no container nothing", "kiln ps -a"]);
    // they can be called otherwise, but not as another one
    let rename = |words: &[&str]| space.kiln([&["rename"], words].concat());
    rename(&[ids[0], "web"]).exits(1).says(&["is called web"]);
    rename(&["web", "web"]).exits(1).says(&["is called web"]);
    rename(&["web", "-no"]).exits(2);
    rename(&["web", "a/b"])
        .exits(2)
        .says(&["no name of a container"]);
    rename(&["nothing", "other"]).exits(1);
    assert_eq!(kiln(space, &["rename", "web", "site"]).stdout, "");
    assert_eq!(kiln(space, &["start", "site"]).stdout, "site\n");
    kiln(space, &["wait", "site"]);
    // one that is to go when it ends is there until it has run
    kiln(
        space,
        &["create", "--rm", "--name", "web", "app", "id", "-u"],
    );
    run(space, ["--rm", "app", "id", "-u"]).ok();
    assert_eq!(kiln(space, &["start", "-a", "web"]).stdout, "0\n");
    assert_eq!(state(space, "web"), "");
    // the latest comes first
    kiln(space, &["rm", "-f", "nothing", &ids[0][..6], "site"]);
    assert_eq!(kiln(space, &["ps", "-aq"]).stdout, "");
}

fn a_container_that_cannot_start_is_not_kept(space: &Space) {
    prepare(space, "");
    for flags in [&[][..], &["-d"]] {
        let wrong = ["-u", "nobody-here", "--name", "web", "app", "id", "-u"];
        let ran = run(space, flags.iter().chain(&wrong).copied()).exits(125);
        ran.says(&["nobody-here"]);
        assert_eq!(ran.stdout, "");
    }
    run(space, ["-d", "--offline", "no-such-image"])
        .exits(125)
        .says(&["no-such-image"]);
    run(space, ["--what", "app"]).exits(125).says(&["--what"]);
    space.kiln(["ps", "--what"]).exits(2);
    assert_eq!(kiln(space, &["ps", "-aq"]).stdout, "");
}

fn signals_are_sent_and_codes_waited_for(space: &Space) {
    prepare(space, "");
    let nap = sleeping(space, "web", "trap 'exit 5' USR1; trap 'echo heard' HUP");
    let waiting = space.kiln(["wait", "web"]).spawn();
    kiln(space, &["kill", "-s", "HUP", "web"]);
    kiln(space, &["kill", "--signal=SIGUSR1", "web"]);
    assert_eq!(waiting.wait().stdout, "5\n");
    eventually("it goes on", || with_argument(&nap).is_empty());
    // the first process of a container hears nothing that it does not ask for
    let nap = sleeping(space, "deaf", "true");
    // one that runs is as it should be
    assert_eq!(kiln(space, &["start", "deaf"]).stdout, "deaf\n");
    let before = kiln(space, &["inspect", "-f", "{{.State.Pid}}", "deaf"]).stdout;
    assert_eq!(
        kiln(space, &["restart", "-t", "0", "deaf"]).stdout,
        "deaf\n"
    );
    let after = kiln(space, &["inspect", "-f", "{{.State.Pid}}", "deaf"]).stdout;
    assert_ne!(before, after);
    kiln(space, &["stop", "-t", "0", "deaf"]);
    assert_eq!(kiln(space, &["wait", "deaf"]).stdout, "137\n");
    eventually("it goes on", || with_argument(&nap).is_empty());
    let nap = sleeping(space, "gone", "true");
    space
        .kiln(["rm", "gone"])
        .exits(1)
        .says(&["runs", "kiln stop gone"]);
    kiln(space, &["rm", "-f", "gone"]);
    eventually("it goes on", || with_argument(&nap).is_empty());
    // in the foreground they are heard too
    let nap = unique_nap();
    let script = format!("trap 'exit 6' TERM; sleep {nap} & while :; do wait; done");
    let front = run(space, ["--name", "front", "app", "sh", "-c", &script]).spawn();
    appears(&nap);
    kiln(space, &["stop", "front"]);
    assert_eq!(front.wait().status.code(), Some(6));
}

fn layers_of_a_container_stay(space: &Space) {
    prepare(space, "RUN echo below > /below");
    run(
        space,
        ["--name", "web", "app", "sh", "-c", "echo above > /above"],
    )
    .ok();
    kiln(space, &["rmi", "app"]);
    kiln(space, &["prune", "-a", "-f"]);
    // nor where nobody can tell which they are
    let id = kiln(space, &["ps", "-aq"]).stdout.trim_end().to_owned();
    let layers = space.store().join("containers").join(id).join("layers");
    let text = fs::read_to_string(&layers).unwrap();
    fs::write(&layers, "nothing\n").unwrap();
    space
        .kiln(["prune", "-a", "-f"])
        .exits(3)
        .says(&["layers", "understand"]);
    fs::write(&layers, text).unwrap();
    // the same command sees both
    let shown = space.kiln(["start", "-a", "web"]).run();
    assert!(shown.status.success(), "{shown}");
    kiln(space, &["rm", "web"]);
    kiln(space, &["prune", "-a", "-f"]);
    space.is_clean();
}

fn a_terminal_in_the_background(space: &Space) {
    prepare(space, "");
    let script = "[ -t 0 ] && echo terminal; read word";
    run(
        space,
        ["-dit", "--name", "shell", "app", "sh", "-c", script],
    )
    .ok();
    eventually("nothing is logged", || {
        kiln(space, &["logs", "shell"]).stdout == "terminal\r\n"
    });
    assert_eq!(state(space, "shell"), "running");
    run(space, ["-di", "--name", "reads", "app", "sh", "-c", "cat"]).ok();
    assert_eq!(state(space, "reads"), "running");
    kiln(space, &["rm", "-f", "shell", "reads"]);
}

fn containers_are_counted_and_pruned(space: &Space) {
    prepare(space, "");
    let count = || {
        let format = "{{.Type}} {{.TotalCount}} {{.Size}}";
        let shown = kiln(space, &["df", "--format", format]).stdout;
        let row = shown
            .lines()
            .find_map(|row| row.strip_prefix("containers "));
        row.unwrap_or_default().to_owned()
    };
    assert_eq!(count(), "0 0B");
    let write = "echo x > /written";
    run(space, ["--name", "ended", "app", "sh", "-c", write]).ok();
    let nap = sleeping(space, "runs", "true");
    let shown = count();
    assert!(
        shown.starts_with("2 ") && !shown.ends_with(" 0B"),
        "{shown}"
    );
    let day = ["container", "prune", "-f", "--filter", "until=24h"];
    assert_eq!(kiln(space, &day).stdout, "freed 0B\n");
    let id = kiln(space, &["container", "ls", "-aq", "-f", "name=ended"]).stdout;
    let pruned = kiln(space, &["container", "prune", "-f"]).stdout;
    assert!(pruned.starts_with(&format!("{id}freed ")), "{pruned}");
    assert_eq!(
        kiln(space, &["container", "ps", "--format", "{{.Names}}"]).stdout,
        "runs\n"
    );
    kiln(space, &["container", "rm", "-f", "runs"]);
    assert!(with_argument(&nap).is_empty());
    assert_eq!(count(), "0 0B");
    space
        .kiln(["container", "prune", "--filter", "label=x"])
        .exits(2)
        .says(&["until"]);
}

fn containers_are_filtered_as_docker_does(space: &Space) {
    prepare(space, "");
    run(space, ["--name", "web", "app", "sh", "-c", "exit 3"]).exits(3);
    kiln(space, &["commit", "-c", "LABEL a=b", "web", "other"]);
    run(space, ["--name", "web-2", "other", "id", "-u"]).ok();
    space.own_folder("own/shared");
    let volume = "create --name db -v ./shared:/data --network none app id";
    space.kiln(volume.split(' ')).ok();
    let named = |filters: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["-f", filter]);
        let words = ["ps", "-a", "--format", "{{.Names}}"].into_iter();
        let shown = space.kiln(words.chain(filters)).ok().stdout;
        shown.lines().collect::<Vec<_>>().join(" ")
    };
    for (filters, expected) in [
        (&["name=^/?web$"][..], "web"),
        (&["name=web"], "web-2 web"),
        (&["name=^/db", "name=2$"], "db web-2"),
        (&["name=w.b*", "exited=3"], "web"),
        (&["status=created"], "db"),
        (&["before=web-2"], "web"),
        (&["since=web"], "db web-2"),
        (&["ancestor=app", "status=exited"], "web-2 web"),
        (&["id=nothing"], ""),
    ] {
        assert_eq!(named(filters), expected, "{filters:?}");
    }
    let fields = "{{.Mounts}} {{.Networks}} {{.Labels}}";
    let shared = space.own().join("shared");
    let expected = format!("{} none ", shared.display());
    assert_eq!(listed(space, "db", fields), expected.trim_end());
    for (filter, text) in [
        ("label=a", "no labels"),
        ("name=(", "expression"),
        ("exited=x", "exit code"),
        ("moon=full", "ancestor"),
    ] {
        space.kiln(["ps", "-f", filter]).exits(2).says(&[text]);
    }
    kiln(space, &["rm", "web", "web-2", "db"]);
}

/// A program that asks for it has what it wrote on the disk, unless nobody wants it later.
fn what_a_container_writes_is_synced_if_it_is_kept(space: &Space) {
    prepare(space, "");
    let shows = |flags: &[&str]| {
        let ran = run(space, [flags, &["app", "cat", "/proc/mounts"]].concat()).ok();
        let root = ran.stdout.lines().find(|line| line.contains(" / "));
        root.unwrap_or_default().to_owned()
    };
    let (kept, thrown_away) = (shows(&[]), shows(&["--rm"]));
    assert!(thrown_away.contains("volatile"), "{thrown_away}");
    assert!(
        kept.starts_with("overlay") && !kept.contains("volatile"),
        "{kept}"
    );
}

/// Much at once; little with a later command, which removes it beside its work.
fn what_was_thrown_away_is_gone(space: &Space) {
    prepare(space, "");
    let trash = space.store().join("trash");
    let much = "printf %4000000s x > /file";
    let left = |text: &str| holders(&trash, &[text]);
    run(space, ["--rm", "app", "sh", "-c", much]).ok();
    assert!(left("    x").is_empty());
    run(
        space,
        ["--rm", "app", "sh", "-c", "echo word$((1 + 1)) > /file"],
    )
    .ok();
    assert_eq!(left("word2").len(), 1);
    run(space, ["--rm", "app", "sh", "-c", "sleep 1"]).ok();
    assert!(left("word2").is_empty());
    run(
        space,
        [
            "--name",
            "web",
            "app",
            "sh",
            "-c",
            "echo word$((1 + 1)) > /file",
        ],
    )
    .ok();
    kiln(space, &["rm", "web"]);
    assert!(left("word2").is_empty());
}
