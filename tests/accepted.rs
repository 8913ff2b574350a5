//! What kiln builds and BuildKit refuses, or builds otherwise: the lines of docs/compatibility.md about instructions and mounts.
//! Short commits are in `fetch_git`, files for the C preprocessor in `preprocessed`.

use crate::support::{Space, plain_cases};

plain_cases! {
    a_mount_names_a_stage_by_its_number,
    mounts_that_begin_empty_have_no_source,
    a_cache_begins_with_what_a_stage_has,
    a_cache_is_read_only,
    a_linked_copy_knows_names,
    parents_of_everything_and_behind_links,
    names_of_contexts_are_in_any_case,
    exclude_is_expanded,
    a_step_that_changes_nothing_makes_no_layer,
}

fn a_mount_names_a_stage_by_its_number(space: &Space) {
    space.write("word", "first");
    let text =
        "FROM scratch\nCOPY word /\nFROM tools\nRUN --mount=from=0,target=/first cat /first/word\n";
    assert_eq!(space.build(text).ok().output(), ["first"]);
    let text = "FROM tools\nRUN --mount=from=7,target=/x ls /x\n";
    space.build(text).exits(1).says(&["invalid stage index 7"]);
}

fn mounts_that_begin_empty_have_no_source(space: &Space) {
    for mount in [
        "type=cache,target=/m,source=/nowhere",
        "type=tmpfs,target=/m,source=/nowhere",
        "type=tmpfs,target=/m,from=nowhere",
    ] {
        let text = format!("FROM tools\nRUN --mount={mount} ls /m && echo empty\n");
        let built = space.build(&text).arg("--no-cache").ok();
        assert_eq!(built.output(), ["empty"], "{mount}");
    }
    let text = "FROM tools\nRUN --mount=type=ssh,from=nowhere echo no agent\n";
    assert_eq!(space.build(text).ok().output(), ["no agent"]);
}

fn a_cache_begins_with_what_a_stage_has(space: &Space) {
    space.write("word", "from the stage");
    let text = "FROM scratch AS begin\nCOPY word /\nFROM tools\n\
        RUN --mount=type=cache,target=/c,from=begin,uid=0,gid=0,mode=0750 cat /c/word && ls -ld /c\n";
    let output = space.build(text).ok().output().join("\n");
    assert!(output.starts_with("from the stage"), "{output}");
    assert!(output.contains("drwxr-x---"), "{output}");
}

fn a_cache_is_read_only(space: &Space) {
    let fill = "FROM tools\nRUN --mount=type=cache,target=/c echo kept > /c/word\n";
    space.build(fill).ok();
    let text = "FROM tools\nRUN --mount=type=cache,target=/c,ro cat /c/word && ! echo x 2> /dev/null > /c/word\n";
    assert_eq!(space.build(text).ok().output(), ["kept"]);
}

fn a_linked_copy_knows_names(space: &Space) {
    space.write("passwd", "root:x:0:0::/:\napp:x:0:7::/:\n");
    space.write("group", "root:x:0:\nteam:x:7:\n");
    let text = "FROM scratch\nCOPY passwd group /etc/\nCOPY --link --chown=app:team passwd /x\n";
    space.build(text).ok();
    let image = space.image("app");
    let entry = image.entry("x");
    assert_eq!((entry.uid, entry.gid), (0, 7));
}

fn parents_of_everything_and_behind_links(space: &Space) {
    space.write("real/file", "text");
    std::os::unix::fs::symlink("real", space.context().join("link")).unwrap();
    let text = "FROM scratch\nCOPY --parents . /all/\nCOPY --parents link/file /some/\n";
    space.build(text).ok();
    let image = space.image("app");
    assert_eq!(image.text("all/real/file"), "text");
    assert_eq!(image.text("some/link/file"), "text");
}

fn names_of_contexts_are_in_any_case(space: &Space) {
    space.write_in("other", "word", "other");
    let other = space.path("other");
    let context = format!("OTHER={}", other.display());
    let text = "FROM scratch\nCOPY --from=other word /a\nCOPY --from=Other word /b\n";
    space.build(text).args(["--build-context", &context]).ok();
    let image = space.image("app");
    assert_eq!(
        (image.text("a"), image.text("b")),
        ("other".to_owned(), "other".to_owned())
    );
}

fn exclude_is_expanded(space: &Space) {
    space.write("folder/a.txt", "a");
    space.write("folder/b.txt", "b");
    let text = "FROM scratch\nARG OUT=a.*\nCOPY --exclude=$OUT folder /x/\n";
    space.build(text).ok();
    assert_eq!(space.image("app").below("x"), ["x/b.txt"]);
}

fn a_step_that_changes_nothing_makes_no_layer(space: &Space) {
    let text = "FROM tools\nRUN true\nRUN echo changed > /file\nRUN true\n";
    space.build(text).ok();
    let history = space
        .kiln(["inspect", "-f", "{{len .RootFS.Layers}}", "app"])
        .ok();
    let before = space.build("FROM tools\nRUN echo changed > /file\n");
    before.args(["-t", "before"]).ok();
    let alone = space
        .kiln(["inspect", "-f", "{{len .RootFS.Layers}}", "before"])
        .ok();
    assert_eq!(history.stdout, alone.stdout);
}
