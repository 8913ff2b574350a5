//! `--no-cache` and `--no-cache-filter`: what they make anew, cache mounts included, and what they leave.

use crate::support::{Space, cases, plain_cases};

cases! {
    what_follows_an_unchanged_step_is_unchanged,
}

plain_cases! {
    cache_mounts_begin_empty,
    a_filter_counts_for_shared_steps,
}

fn cache_mounts_begin_empty(space: &Space) {
    let mount = |id: &str| format!("--mount=type=cache,id={id},target=/c");
    let (shared, locked, kept) = (
        mount("shared"),
        mount("locked") + ",sharing=locked",
        mount("kept"),
    );
    let add = "sh -c 'echo x >> /c/count && wc -l < /c/count'";
    let text = format!(
        "FROM tools AS kept\nRUN {kept} {add}\nFROM tools AS one\nRUN {shared} {add}\nRUN {shared} {add} # again\nRUN {locked} {add}\n\
         FROM one\nCOPY --from=kept / /kept/\n"
    );
    let build = |number: usize, flags: &[&str]| {
        // the argument lets steps run that no flag makes run
        let text = text.replace("echo x", &format!("echo {number}"));
        let mut counts: Vec<String> = space
            .build(&text)
            .args(flags)
            .ok()
            .output()
            .into_iter()
            .map(str::to_owned)
            .collect();
        counts.sort();
        counts
    };
    assert_eq!(build(1, &[]), ["1", "1", "1", "2"]);
    assert_eq!(build(2, &[]), ["2", "2", "3", "4"]);
    // the second RUN of a build finds what the first one left
    assert_eq!(build(2, &["--no-cache"]), ["1", "1", "1", "2"]);
    assert_eq!(
        build(3, &["--no-cache-filter", "one"]),
        ["1", "1", "2", "2"]
    );
    assert_eq!(build(4, &[]), ["2", "3", "3", "4"]);
    assert_eq!(build(4, &[]), [""; 0]);
    space.is_clean();
}

fn a_filter_counts_for_shared_steps(space: &Space) {
    let text = "FROM tools AS one\nRUN echo same > /same\nRUN echo one > /one\n\
                FROM tools AS two\nRUN echo same > /same\nRUN echo two > /two\n\
                FROM two AS three\nRUN echo three > /three\n\
                FROM scratch\nCOPY --from=one /one /\nCOPY --from=three /three /\n";
    let ran = |filter: &[&str]| {
        space
            .build_json(text)
            .args(filter)
            .ok()
            .events()
            .ran_sorted()
    };
    assert_eq!(ran(&[]).len(), 6);
    let (same, two) = ("RUN echo same > /same", "RUN echo two > /two");
    assert_eq!(ran(&["--no-cache-filter", "two"]), [same, two]);
    assert_eq!(
        ran(&["--no-cache-filter=one"]),
        ["RUN echo one > /one", same]
    );
    // the steps of its base are not its own
    assert_eq!(
        ran(&["--no-cache-filter=three"]),
        ["RUN echo three > /three"]
    );
    assert_eq!(ran(&[]), [""; 0]);
}

/// A step that gives the same files with other times has the layer that it had. What follows was executed on the new files, and is
/// compared with them.
fn what_follows_an_unchanged_step_is_unchanged(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=secret,id=time,env=TIME mkdir /d && echo a > /d/a && touch -d @$TIME /d/a /d\n\
                RUN chmod 755 /d && chmod 644 /d/a && echo b > /b && touch -d @3000 /b\n\
                RUN chmod 644 /d/a /b && echo c > /c && touch -d @3000 /c\n";
    let build = |time: &str, flags: &[&str]| {
        let secret = ["--secret", "id=time,env=TIME"];
        let build = space.build(text).args(secret).env("TIME", time);
        build.args(flags).ok();
        (space.id("app"), space.image("app").layers.split_off(2))
    };
    let first = build("1000", &[]);
    assert_eq!(first.1, [["b"], ["c"]]);
    assert_eq!(build("2000", &["--no-cache"]), first);
    space.is_clean();
}
