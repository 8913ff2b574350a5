//! Logs of containers between two points in time, to the nanosecond, in docker's forms.

use crate::containers::kiln;
use crate::run_containers::{prepare, run};
use crate::support::processes::eventually;
use crate::support::{Space, plain_cases};

plain_cases! {
    a_log_is_cut_where_a_line_was_printed,
    what_is_followed_ends_at_a_time,
}

/// A container in the background has printed this.
fn printing(space: &Space, script: &str, last: &str) {
    prepare(space, "");
    run(space, ["-d", "--name", "talks", "app", "sh", "-c", script]).ok();
    eventually("nothing is logged", || {
        kiln(space, &["logs", "talks"]).stdout.contains(last)
    });
}

fn a_log_is_cut_where_a_line_was_printed(space: &Space) {
    let script = "for word in one two three; do echo $word; sleep 0.01; done";
    printing(space, script, "three");
    let timed = kiln(space, &["logs", "-t", "talks"]).stdout;
    let stamps: Vec<&str> = timed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let some = |words: &[&str]| kiln(space, &[&["logs", "talks"], words].concat()).stdout;
    assert_eq!(some(&["--since", stamps[1]]), "two\nthree\n", "{timed}");
    assert_eq!(some(&["--until", stamps[1]]), "one\ntwo\n", "{timed}");
    let both = ["--since", stamps[1], "--until", stamps[1]];
    assert_eq!(some(&both), "two\n", "{timed}");
    assert_eq!(some(&["--until", stamps[1], "-n", "1"]), "two\n", "{timed}");
    assert_eq!(
        some(&["--since", "1700000000.123456789"]),
        "one\ntwo\nthree\n"
    );
    assert_eq!(some(&["--until", "1700000000.123456789"]), "");
    // the same second, hours away
    let local = stamps[1].trim_end_matches('Z');
    for (zone, shown) in [
        ("UTC", "two\nthree\n"),
        ("XST-3", "one\ntwo\nthree\n"),
        ("XST3", ""),
    ] {
        let logs = space.kiln(["logs", "--since", local, "talks"]);
        assert_eq!(logs.env("TZ", zone).ok().stdout, shown, "{zone}");
    }
    kiln(space, &["rm", "-f", "talks"]);
}

fn what_is_followed_ends_at_a_time(space: &Space) {
    printing(
        space,
        "echo one; while :; do sleep 0.02; echo more; done",
        "more",
    );
    let timed = kiln(space, &["logs", "-t", "-n", "1", "talks"]).stdout;
    let stamp = timed.split(' ').next().unwrap();
    let followed = kiln(space, &["logs", "-f", "-t", "--until", stamp, "talks"]);
    assert!(followed.stdout.ends_with(&timed), "{followed}");
    let followed = kiln(space, &["logs", "-f", "--until", "-200ms", "talks"]);
    assert!(followed.stdout.starts_with("one\nmore\n"), "{followed}");
    kiln(space, &["rm", "-f", "talks"]);
    // one that is silent
    let script = "echo one; while :; do sleep 0.02; done";
    run(space, ["-d", "--name", "silent", "app", "sh", "-c", script]).ok();
    let followed = kiln(space, &["logs", "-f", "--until", "-1s", "silent"]);
    assert_eq!(followed.stdout, "one\n");
    kiln(space, &["rm", "-f", "silent"]);
}
