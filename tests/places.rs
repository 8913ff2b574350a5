//! Where kiln runs: without namespaces, with some calls refused, with a store that cannot hold uppers. Containers that refuse for real
//! are tried by tests/interop/containers.

use std::collections::BTreeMap;

use crate::support::disk::Disk;
use crate::support::image::Entry;
use crate::support::mode::skip;
use crate::support::{Finished, Kiln, Space, cases};

cases! {
    without_namespaces_all_but_run_is_done,
    the_first_run_that_is_executed_tells,
    a_store_serves_with_and_without_namespaces,
    changes_in_memory_and_in_copies_make_the_same_image,
    a_store_on_overlayfs,
}

mod plain {
    use super::{
        a_root_over_the_old_one_has_no_way_back, a_step_that_fills_the_memory_runs_on_a_copy,
        a_store_that_cannot_be_made_says_where_else, doctor_tells_the_ways,
        refused_namespaces_are_no_obstacle, the_host_name_may_stay,
    };
    use crate::support::plain_cases;

    plain_cases! {
        refused_namespaces_are_no_obstacle,
        the_host_name_may_stay,
        a_store_that_cannot_be_made_says_where_else,
        a_root_over_the_old_one_has_no_way_back,
        a_step_that_fills_the_memory_runs_on_a_copy,
        doctor_tells_the_ways,
    }
}

/// What the error of the first RUN says, in the words of those who start containers.
const REFUSED: [&str; 4] = [
    "RUN needs namespaces, and they are refused here",
    "docker: --security-opt seccomp=unconfined",
    "Kubernetes: hostUsers: false",
    "kiln doctor",
];

/// The same command without more features.
fn without(space: &Space, kiln: Kiln, features: &str) -> Kiln {
    let disabled = format!("{},{features}", space.mode.disable());
    kiln.env("KILN_DISABLE", disabled)
}

fn no_run(space: &Space) -> &'static str {
    space.write("tree/file", "content");
    space.write("tree/sub/more", "more");
    "FROM tools AS first
WORKDIR /made/here
COPY --chown=1234:4321 --chmod=750 tree /tree

FROM tools
COPY --from=first /tree/ /copy/
COPY --chown=5:6 tree/file /file
ADD tree/sub /sub/
USER 1234
ENV A=b
"
}

fn owned(space: &Space) {
    let image = space.image("app");
    let owner = |path: &str| (image.files[path].uid, image.files[path].gid);
    assert_eq!(
        [owner("copy/file"), owner("file"), owner("sub")],
        [(1234, 4321), (5, 6), (0, 0)]
    );
}

fn without_namespaces_all_but_run_is_done(space: &Space) {
    let text = no_run(space);
    let build = |arguments: &[&str]| {
        let build = space.build(text).args(arguments);
        without(space, build, "namespaces").ok()
    };
    let kiln = |arguments: &[&str]| without(space, space.kiln(arguments), "namespaces").ok();
    build(&["--cache-to", "type=local,dest=cache", "--squash"]);
    owned(space);
    kiln(&["prune", "--all", "--force"]);
    build(&["--cache-from", "type=local,src=cache"]);
    owned(space);
    build(&["-o", "type=local,dest=out", "-o", "type=tar,dest=out.tar"]);
    build(&[
        "-o",
        "type=oci,dest=oci.tar",
        "-o",
        "type=docker,dest=d.tar",
    ]);
    let read = |path: &str| std::fs::read_to_string(space.own().join(path)).unwrap();
    assert_eq!(read("out/copy/sub/more"), "more");
    kiln(&["save", "-o", "saved.tar", "app"]);
    kiln(&["load", "-i", "saved.tar"]);
    kiln(&["import", "out.tar", "imported"]);
    kiln(&["tag", "app", "other"]);
    kiln(&["export", "-o", "tree.tar", "other"]);
    kiln(&["verify", "saved.tar"]);
    for command in ["history", "inspect", "rmi"] {
        kiln(&[command, "other"]);
    }
    for command in ["images", "df", "prune"] {
        kiln(&[command]);
    }
    assert_eq!(kiln(&["fsck"]).stdout, "clean\n");
}

fn the_first_run_that_is_executed_tells(space: &Space) {
    space.write("a", "a\n");
    let text = "FROM tools\nCOPY a /a\nRUN cat /a > /b\nRUN cat /b\n";
    let refused = without(space, space.build(text), "namespaces").exits(3);
    refused.says(&REFUSED).says(&["Dockerfile:3"]);
    space.build(text).ok();
    let id = space.id("app");
    // results count, whoever has made them where RUN was possible
    without(space, space.build(text), "namespaces").ok();
    assert_eq!(space.id("app"), id);
    let more = format!("{text}RUN cat /a /b\n");
    let refused = without(space, space.build(&more), "namespaces").exits(3);
    refused.says(&REFUSED).says(&["Dockerfile:5"]);
}

fn a_store_serves_with_and_without_namespaces(space: &Space) {
    let owner = if space.mode.has_one_id() { 0 } else { 1234 };
    let text = format!(
        "FROM tools
RUN mkdir -m 700 /closed && echo x > /closed/file && chown -R {owner}:{owner} /closed
RUN --mount=type=cache,target=/cache,uid={owner},mode=0700 echo y > /cache/file && cat /closed/file
COPY --from=tools /bin/ /more/
"
    );
    let without = |arguments: &[&str]| without(space, space.kiln(arguments), "namespaces").ok();
    let other = "FROM tools\nWORKDIR /other\n";
    self::without(space, space.build(other), "namespaces").ok();
    space.build(&text).ok();
    let id = space.id("app");
    self::without(space, space.build(&text), "namespaces").ok();
    assert_eq!(space.id("app"), id);
    without(&["df"]);
    without(&["fsck"]);
    without(&["prune"]);
    without(&["prune", "--all", "--force"]);
    without(&["fsck"]);
    let again = space.build(&text).arg("--no-cache").ok();
    again.never_says(&["error"]);
    space.kiln(["prune", "--all", "--force"]).ok();
    space.is_clean();
}

const CHANGES: &str = "FROM tools
COPY tree /tree
RUN ln /tree/keep /tree/other && rm /tree/gone && echo x > /made && mkdir /empty
RUN rm -r /tree/sub && mkdir /tree/sub && echo new > /tree/sub/new && chmod 700 /tree && mv /made /moved
RUN ln -s /moved /link && rm /tree/other && [ ! -e /tree/gone ] && [ ! -e /tree/sub/a ] && cat /moved
RUN true
RUN --mount=type=bind,from=tools,target=/mnt,rw touch /mnt/x && [ -e /mnt/x ] && rm -r /empty && echo file > /empty
RUN cat /tree/sub/new /empty && touch /tree/keep && rm /link
";

fn changes(space: &Space, build: impl FnOnce(Kiln) -> Kiln) -> (Finished, BTreeMap<String, Entry>) {
    for (path, content) in [("keep", "k"), ("gone", "g"), ("sub/a", "a"), ("sub/b", "b")] {
        space.write(&format!("tree/{path}"), content);
    }
    let built = build(space.build(CHANGES).env("SOURCE_DATE_EPOCH", "1700000000")).ok();
    assert_eq!(built.output(), ["x", "new", "file"], "{built}");
    (built, space.image("app").files)
}

fn changes_in_memory_and_in_copies_make_the_same_image(space: &Space) {
    let (built, files) = changes(space, |build| build);
    built.never_says(&["note: the store"]);
    let ways = [
        ("overlay-upper", "; RUN writes to memory (at most "),
        (
            "overlay-upper,tmpfs-upper",
            "; RUN works on a copy of its tree",
        ),
    ];
    for (features, note) in ways {
        let (built, same) = changes(space, |build| {
            without(space, build.arg("--no-cache"), features)
        });
        assert_eq!(built.stderr.matches(note).count(), 1, "once: {built}");
        built.says(&["A volume for the store is faster and larger"]);
        assert_eq!(same, files, "{features}");
        space.is_clean();
    }
}

fn a_store_on_overlayfs(space: &Space) {
    let disk = match Disk::overlay(&space.path("overlay")) {
        Ok(disk) => disk,
        Err(reason) => return skip("places", space.mode, &reason),
    };
    space.give(disk.path());
    let store = disk.path().join("store");
    let (_, files) = changes(space, |build| build);
    let path = space.own().join("overlay.tar");
    let on = |kiln: Kiln| kiln.env("KILN_STORE", &store);
    let built = on(space.build(CHANGES).env("SOURCE_DATE_EPOCH", "1700000000")).ok();
    assert_eq!(built.output(), ["x", "new", "file"], "{built}");
    let note = "note: the store is on overlayfs; RUN writes to memory (at most ";
    assert_eq!(built.stderr.matches(note).count(), 1, "once: {built}");
    on(space
        .kiln(["save", "--format", "oci-archive", "-o"])
        .arg(&path)
        .arg("app"))
    .ok();
    assert_eq!(crate::support::image::Image::read(&path).files, files);
    assert_eq!(on(space.kiln(["fsck"])).ok().stdout, "clean\n");
    on(space.kiln(["prune", "--all", "--force"])).ok();
}

/// As in a container whose profile forbids namespaces: root without capabilities where no user namespace can be made.
fn refused_namespaces_are_no_obstacle(space: &Space) {
    let refusing = |command: &str| {
        let inner = format!(
            "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all {command}"
        );
        space.shell(&format!("unshare --user --map-root-user sh -euc '{inner}'"))
    };
    space.write(
        "Dockerfile",
        "FROM scratch\nCOPY --chown=7:8 file /file\nWORKDIR /folder\n",
    );
    space.write("file", "x");
    let context = space.context();
    let build = format!("kiln build -t app {}", context.display());
    refusing(&build).ok();
    let image = space.image("app");
    assert_eq!((image.files["file"].uid, image.files["file"].gid), (7, 8));
    refusing("kiln prune").ok();
    refusing("kiln fsck").ok();
    space.write(
        "Dockerfile",
        "FROM scratch\nCOPY file /file\nRUN [\"/file\"]\n",
    );
    let refused = refusing(&build).exits(3);
    refused.says(&[
        REFUSED[0],
        "unshare(",
        "Dockerfile:3",
        "max_user_namespaces",
    ]);
}

fn the_host_name_may_stay(space: &Space) {
    let text = "FROM tools\nRUN cat /proc/sys/kernel/hostname\nRUN echo again\n";
    let built = without(space, space.build(text), "sethostname").ok();
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(built.output(), [own.trim(), "again"], "{built}");
    let note = "note: this container forbids sethostname";
    assert_eq!(built.stderr.matches(note).count(), 1, "once: {built}");
}

fn a_root_over_the_old_one_has_no_way_back(space: &Space) {
    let text = "FROM tools
RUN ls -d /.. /../.. && cat /proc/self/mountinfo > /mounts && echo done
RUN perl -e 'mkdir \"/x\"; chroot \"/x\" or die; chdir \"..\" for 1..60; chroot \".\"; print((-e \"/mounts\" ? \"inside\" : \"outside\"), \"\\n\")'
";
    let tools = "more=host-tools:perl";
    let text = text.replacen("FROM tools\n", "FROM tools\nCOPY --from=more / /\n", 1);
    let built = space.build(&text).args(["--build-context", tools]);
    let built = without(space, built, "pivot-root").ok();
    assert_eq!(
        built.output(),
        ["/..", "/../..", "done", "inside"],
        "{built}"
    );
}

/// In a cgroup that allows 256 MiB the memory for changes is 64 MiB.
const IN_CGROUP: &str = "
if [ -d /sys/fs/cgroup/memory ]; then group=/sys/fs/cgroup/memory/kiln-e2e-$$ file=memory.limit_in_bytes
else group=/sys/fs/cgroup/kiln-e2e-$$ file=memory.max; fi
mkdir $group && echo 268435456 > $group/$file || { echo no cgroup >&2; exit 77; }
status=0
sh -c \"echo \\$\\$ > $group/cgroup.procs; exec kiln build --progress plain -t app --build-context tools=host-tools:sh,dd,wc,rm CONTEXT\" || status=$?
rmdir $group || true
exit $status
";

fn a_step_that_fills_the_memory_runs_on_a_copy(space: &Space) {
    let text = "FROM tools
RUN dd if=/dev/zero of=/big bs=1M count=80 2> /dev/null; wc -c < /big
RUN dd if=/dev/zero of=/more bs=1M count=80 && rm /more && echo kept
RUN echo small > /small
";
    space.write("Dockerfile", text);
    let script = IN_CGROUP.replace("CONTEXT", &space.context().display().to_string());
    let built = without(space, space.shell(&script), "overlay-upper").run();
    if built.status.code() == Some(77) {
        return skip("places", space.mode, "cgroups belong to root");
    }
    assert!(built.status.success(), "{built}");
    let told = built.stderr.matches(
        "filled the memory for its changes (64 MiB): it runs again, on a copy of its tree",
    );
    assert_eq!(told.count(), 2, "{built}");
    built.says(&[
        "| 83886080",
        "| kept",
        "RUN writes to memory (at most 64 MiB)",
    ]);
    let files = space.image("app").files;
    assert!(files.contains_key("small") && !files.contains_key("more"));
    let crate::support::Kind::File(big) = &files["big"].kind else {
        panic!("{:?}", files["big"]);
    };
    assert_eq!(big.len(), 80 << 20);
}

fn doctor_tells_the_ways(space: &Space) {
    let doctor = |features| without(space, space.kiln(["doctor"]), features);
    let told = doctor("namespaces").exits(3);
    assert!(told.stdout.contains("builds without RUN work"), "{told}");
    assert!(
        told.stdout.contains(REFUSED[1]) && told.stdout.contains(REFUSED[2]),
        "{told}"
    );
    let ways = [
        (
            "sethostname",
            "weak     host name: disabled: RUN sees the container's host name",
        ),
        (
            "pivot-root",
            "change of root: pivot_root is refused; the root is mounted over the old one",
        ),
        ("overlay-upper", ": RUN writes to memory (at most "),
        (
            "overlay-upper,tmpfs-upper",
            ": RUN works on a copy of its tree",
        ),
    ];
    for (features, line) in ways {
        let told = doctor(features).ok();
        assert!(told.stdout.contains(line), "{features}: {told}");
    }
}

/// As for a user without a home in a container.
fn a_store_that_cannot_be_made_says_where_else(space: &Space) {
    let built = space.build("FROM scratch\nLABEL a=b\n");
    let refused = built.env("KILN_STORE", "/sys/kernel/store").exits(3);
    refused.says(&["cannot make /sys/kernel/store", "KILN_STORE"]);
}
