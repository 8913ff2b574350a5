//! Users and groups are known by the image's own account files: whatever a step makes of a name follows those files, also when it is
//! cached, when they are behind links, and when the step before has just changed them.

use crate::support::machines::counts;
use crate::support::{Space, cases, plain_cases};

plain_cases! {
    an_owner_is_in_the_key,
    only_the_owner_is_in_the_key,
    account_files_behind_links_are_followed,
    account_files_that_a_step_moves_are_followed,
}

cases! {
    a_step_sees_the_root_folder_that_the_one_before_left,
}

/// A base with account files, and a step on it.
fn on_base(step: &str) -> String {
    format!(
        "FROM scratch AS base\nCOPY passwd /etc/passwd\nCOPY group /etc/group\nFROM base\n{step}\n"
    )
}

fn accounts(space: &Space, uid: u32, gid: u32, group: u32) {
    space.write("passwd", format!("app:x:{uid}:{gid}::/:/bin/sh\n"));
    space.write("group", format!("staff:x:{group}:\n"));
}

fn an_owner_is_in_the_key(space: &Space) {
    space.write("folder/word", "word");
    for (step, path, names_group) in [
        ("COPY --link --chown=app folder/word /x", "x", false),
        ("COPY --chown=app folder/word /x", "x", false),
        ("ADD --link --chown=app folder/word /x", "x", false),
        ("COPY --link --chown=app:staff folder/word /x", "x", true),
        ("COPY --link --chown=5:staff folder/word /x", "x", true),
        ("COPY --link --chown=:staff folder/word /x", "x", true),
        (
            "COPY --link --parents --chown=app folder/word /p/",
            "p/folder/word",
            false,
        ),
        ("COPY --link --chown=app <<EOF /x\nword\nEOF", "x", false),
        ("USER app:staff\nWORKDIR /x", "x", true),
        ("USER app\nWORKDIR /x", "x", false),
    ] {
        let mut seen = Vec::new();
        for (uid, gid, group) in [(1000, 1001, 50), (2000, 2001, 60)] {
            accounts(space, uid, gid, group);
            space.build(&on_base(step)).ok();
            let file = space.image("app").files[path].clone();
            seen.push((file.uid, file.gid));
            let expected = if names_group { group } else { gid };
            assert_eq!(u64::from(expected), file.gid, "{step}");
        }
        assert_ne!(seen[0], seen[1], "{step}");
    }
}

fn only_the_owner_is_in_the_key(space: &Space) {
    space.write("word", "word");
    let text = on_base("COPY --link --chown=app word /x\nCOPY --link --chown=root word /y");
    accounts(space, 7, 8, 9);
    space.build(&text).ok();
    // somebody else's lines are nobody's business
    space.write(
        "passwd",
        "other:x:1:1::/:/bin/sh\napp:x:7:8::/home:/bin/sh\n",
    );
    let built = space.build(&text).ok();
    assert_eq!(counts(&built), (2, 2), "{built}");
}

/// So many files that their layer is still being written when the next step starts: `cp` makes them faster than the shell.
const MANY: &str = "mkdir -p /many/a && i=0 && while [ $i -lt 100 ]; do echo > /many/a/$i; i=$((i+1)); done && \
                    while [ $i -lt 110 ]; do cp -r /many/a /many/$i; i=$((i+1)); done";

fn line(uid: u32) -> String {
    format!("app:x:{uid}:{uid}::/:/bin/sh")
}

/// The id of `app` after `change`, in a base that `prepare` has made as `/r`: what RUN has mounted there cannot be moved.
#[track_caller]
fn runs_as_changed(space: &Space, prepare: &str, change: &str) {
    let text = format!(
        "FROM tools AS made\nRUN mkdir /r && cd /r && {prepare}\nFROM scratch\nCOPY --from=tools --exclude=etc / /\nCOPY --from=made /r/ /\n\
         RUN {MANY} && {change}\nUSER app\nRUN [ $(id -u) = 2000 ] && id -u\n"
    );
    if space.mode.has_one_id() {
        // one id can be nobody else: the step fails, and knows as whom
        let failed = space.build(&text).exits(3);
        failed.says(&["user 2000:2000"]).never_says(&["user 1000"]);
        return;
    }
    let built = space.build(&text).ok();
    assert_eq!(built.output(), ["2000"], "{prepare}; {change}: {built}");
}

fn account_files_behind_links_are_followed(space: &Space) {
    let write = |uid: u32, path: &str| format!("echo {} > {path}", line(uid));
    let folders = "mkdir -p etc data usr/lib/accounts";
    for (prepare, change) in [
        // a plain file
        (
            format!("{folders} && {}", write(1000, "etc/passwd")),
            "/etc/passwd",
        ),
        // the file is a link
        (
            format!(
                "{folders} && ln -s ../data/passwd etc/passwd && {}",
                write(1000, "data/passwd")
            ),
            "/data/passwd",
        ),
        // the folder is one
        (
            format!(
                "mkdir -p usr/etc && ln -s usr/etc etc && {}",
                write(1000, "usr/etc/passwd")
            ),
            "/etc/passwd",
        ),
        (
            format!(
                "mkdir -p usr/etc && ln -s /usr/etc etc && {}",
                write(1000, "usr/etc/passwd")
            ),
            "/usr/etc/passwd",
        ),
        // links to links, through a folder that is one
        (
            format!(
                "{folders} && ln -s /data/link etc/passwd && ln -s usr/lib l && ln -s /l/accounts/p data/link && {}",
                write(1000, "l/accounts/p")
            ),
            "/usr/lib/accounts/p",
        ),
    ] {
        runs_as_changed(space, &prepare, &write(2000, change));
    }
}

fn account_files_that_a_step_moves_are_followed(space: &Space) {
    let (old, new) = (line(1000), line(2000));
    let prepare = format!(
        "mkdir -p etc data new && ln -s /data/p etc/passwd && echo {old} > data/p && echo {new} > new/p"
    );
    for change in [
        // another link, another target of the folder, a folder in place of a link
        "ln -sf /new/p /etc/passwd",
        "rm -r /data && ln -s new /data",
        "rm -r /data && mkdir /data && cp /new/p /data/p",
        "rm /etc/passwd && cp /new/p /etc/passwd",
        "mv /data /away && mv /new /data",
    ] {
        runs_as_changed(space, &prepare, change);
    }
    // a file, and a folder, that were not there
    let made = format!("mkdir -p /etc && echo {new} > /etc/passwd");
    runs_as_changed(space, "mkdir etc", &made);
    runs_as_changed(space, "mkdir other", &made);
}

fn a_step_sees_the_root_folder_that_the_one_before_left(space: &Space) {
    let text = format!("FROM tools\nRUN {MANY} && chmod 711 /\nRUN stat -c %a / && touch /new\n");
    let built = space.build(&text).ok();
    assert_eq!(built.output(), ["711"], "{built}");
    let again = space
        .build("FROM app AS before\nFROM before\nRUN stat -c %a /\n")
        .ok();
    assert_eq!(again.output(), ["711"], "{again}");
}
