//! The cache: what is known is never executed again, and what changed always is.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::{Space, cases};

cases! {
    a_second_build_runs_nothing_and_says_so,
    one_changed_file_reruns_what_depends_on_it,
    times_of_files_change_nothing,
    modes_and_links_do_change_something,
    an_equal_result_stops_the_rerun,
    arguments_matter_from_where_they_are_used,
    metadata_reruns_nothing,
    the_image_id_repeats,
    another_dockerfile_shares_steps,
    a_failed_build_keeps_what_succeeded,
    an_unchanged_context_is_not_read_again,
    programs_of_the_host_are_content,
    a_base_image_that_changes_reruns,
}

const TEXT: &str = "FROM tools AS build
COPY one /one
RUN cat /one > /first
COPY two /two
RUN cat /two > /second
FROM scratch
COPY --from=build /first /second /
LABEL a=b
";

fn prepare(space: &Space) {
    space.write("one", "1");
    space.write("two", "2");
}

fn ran(space: &Space, text: &str) -> Vec<String> {
    space.build_json(text).ok().events().ran()
}

const NOTHING: [&str; 0] = [];

fn a_second_build_runs_nothing_and_says_so(space: &Space) {
    prepare(space);
    let first = space.build(TEXT).ok();
    first.says(&["6 steps: 6 ran"]);
    let second = space.build(TEXT).ok();
    second.says(&[
        "cached RUN cat /one > /first",
        "cached COPY two /two",
        "6 steps: 6 cached",
    ]);
    let events = space.build_json(TEXT).ok().events();
    assert_eq!(
        (events.ran().as_slice(), events.cached().len()),
        (&[][..], 5)
    );
    assert_eq!(events.of("log").count(), 0);
}

fn one_changed_file_reruns_what_depends_on_it(space: &Space) {
    prepare(space);
    space.build(TEXT).ok();
    space.write("two", "two");
    let events = space.build_json(TEXT).ok().events();
    assert_eq!(
        events.ran(),
        [
            "COPY two /two",
            "RUN cat /two > /second",
            "COPY --from=build /first /second /"
        ]
    );
    let reasons: Vec<&str> = events
        .of("started")
        .filter_map(|event| event["because"].as_str())
        .collect();
    assert!(!reasons.is_empty(), "nobody is told why: {:?}", events.all);
    assert_eq!(space.image("app").text("second"), "two");
    // Back again: everything is still known.
    space.write("two", "2");
    assert_eq!(ran(space, TEXT), NOTHING);
    space.write("unused", "x");
    assert_eq!(ran(space, TEXT), NOTHING);
}

fn times_of_files_change_nothing(space: &Space) {
    prepare(space);
    let id = space.build_json(TEXT).ok().events().id();
    let file = fs::File::options()
        .write(true)
        .open(space.context().join("one"))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(100_000))
        .unwrap();
    let copy = fs::read(space.context().join("two")).unwrap();
    fs::remove_file(space.context().join("two")).unwrap();
    space.write("two", copy);
    let events = space.build_json(TEXT).ok().events();
    assert_eq!((events.ran().as_slice(), events.id()), (&[][..], id));
}

fn modes_and_links_do_change_something(space: &Space) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    prepare(space);
    let text = "FROM scratch\nCOPY . /all/\n";
    space.build(text).ok();
    fs::set_permissions(
        space.context().join("one"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(ran(space, text), ["COPY . /all/"]);
    fs::create_dir(space.context().join("empty")).unwrap();
    assert_eq!(ran(space, text), ["COPY . /all/"]);
    symlink("one", space.context().join("link")).unwrap();
    assert_eq!(ran(space, text), ["COPY . /all/"]);
    fs::remove_file(space.context().join("link")).unwrap();
    symlink("two", space.context().join("link")).unwrap();
    assert_eq!(ran(space, text), ["COPY . /all/"]);
    assert_eq!(ran(space, text), NOTHING);
}

fn an_equal_result_stops_the_rerun(space: &Space) {
    space.write("words", "b\na\n");
    let text = "FROM tools\nCOPY words /words\nRUN wc -l < /words > /count && rm /words\nRUN cat /count > /copy\nFROM scratch\nCOPY --from=0 /copy /\n";
    let text = text
        .replace("COPY words /words\nRUN wc", "RUN --mount=target=/src wc")
        .replace("< /words", "< /src/words")
        .replace(" && rm /words", "");
    space.build(&text).ok();
    let id = space.id("app");
    space.write("words", "c\nd\n");
    let events = space.build_json(&text).ok().events();
    assert_eq!(
        events.ran(),
        ["RUN --mount=target=/src wc -l < /src/words > /count"]
    );
    assert_eq!((events.cached().len(), space.id("app")), (2, id));
    let unchanged = events
        .of("committed")
        .filter(|event| event["outcome"] == "unchanged")
        .count();
    assert_eq!(unchanged, 1);
    space.write("words", "e\nf\n");
    space.build(&text).ok().says(&[
        "same result as before",
        "3 cached",
        "1 ran without any change",
    ]);
}

fn arguments_matter_from_where_they_are_used(space: &Space) {
    let text =
        "FROM tools\nRUN echo before > /before\nARG WORD=x\nARG UNUSED\nRUN echo $WORD > /word\n";
    let build = |argument: &str| {
        space
            .build_json(text)
            .args(["--build-arg", argument])
            .ok()
            .events()
            .ran()
    };
    assert_eq!(build("WORD=1").len(), 2);
    assert_eq!(build("WORD=1"), NOTHING);
    assert_eq!(build("WORD=2"), ["RUN echo $WORD > /word"]);
    assert_eq!(build("WORD=1"), NOTHING);
    assert_eq!(space.image("app").text("word"), "1\n");
    // Two words with the same sum are two words.
    assert_eq!(build("WORD=3").len(), 1);
}

fn metadata_reruns_nothing(space: &Space) {
    prepare(space);
    let first = space.build_json(TEXT).ok().events();
    let events = space
        .build_json(&TEXT.replace("LABEL a=b", "LABEL a=c\nCMD [\"x\"]"))
        .ok()
        .events();
    assert_eq!(events.ran(), NOTHING);
    assert_ne!(events.id(), first.id());
    assert_eq!(space.image("app").setting("Labels")["a"], "c");
    // Comments and spaces are not even metadata.
    let spaced = TEXT.replace(
        "RUN cat /one >",
        "# comment\nRUN   cat \\\n  # inside\n  /one >",
    );
    let spaced = space.build_json(&spaced).ok().events();
    assert!(
        spaced.ran().len() <= 1,
        "only the words of the changed instruction count: {:?}",
        spaced.ran()
    );
}

fn the_image_id_repeats(space: &Space) {
    prepare(space);
    let id = || space.build_json(TEXT).ok().events().id();
    let first = id();
    // Times have whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(id(), first);
    space.kiln(["rmi", "app"]).ok();
    assert_eq!(id(), first, "the image is gone, its steps are not");
    let other = space.build(&format!("# another text\n{TEXT}")).ok();
    drop(other);
    assert_eq!(space.id("app"), first);
}

fn another_dockerfile_shares_steps(space: &Space) {
    prepare(space);
    space.build(TEXT).ok();
    let events = space
        .build_json("FROM tools\nCOPY one /one\nRUN cat /one > /first\nRUN cat /first > /other\n")
        .ok()
        .events();
    assert_eq!(events.ran(), ["RUN cat /first > /other"]);
}

fn a_failed_build_keeps_what_succeeded(space: &Space) {
    let text = "FROM tools\nRUN echo good > /good\nRUN cat /good && exit 3\n";
    space.build(text).exits(1);
    assert!(
        !space.kiln(["images"]).ok().stdout.contains("app"),
        "a failed build made an image"
    );
    let events = space.build_json(text).exits(1).events();
    assert_eq!(events.ran(), ["RUN cat /good && exit 3"]);
    assert_eq!(ran(space, &text.replace("exit 3", "exit 0")).len(), 1);
    space.is_clean();
}

fn an_unchanged_context_is_not_read_again(space: &Space) {
    for number in 0..50 {
        space.write(&format!("many/{number}"), format!("content {number}"));
    }
    let text = "FROM scratch\nCOPY many /many\n";
    let digested = |events: &crate::support::events::Events| {
        events
            .of("source")
            .find(|event| event["title"] == "context")
            .unwrap()["bytes"]
            .as_u64()
            .unwrap()
    };
    assert!(digested(&space.build_json(text).ok().events()) > 0);
    // Files that are younger than the clock's grain are read once more.
    crate::support::processes::eventually("the context is read again and again", || {
        digested(&space.build_json(text).ok().events()) == 0
    });
    space.write("many/7", "changed");
    let events = space.build_json(text).ok().events();
    assert!(digested(&events) > 0 && events.ran().len() == 1);
    assert_eq!(space.image("app").text("many/7"), "changed");
}

fn programs_of_the_host_are_content(space: &Space) {
    let text = "FROM tools\nRUN echo x > /x\n";
    space.build(text).ok();
    let more = format!("tools=host-tools:{},env,stat", crate::support::space::TOOLS);
    assert_eq!(
        space
            .build_json(text)
            .args(["--build-context", &more])
            .ok()
            .events()
            .ran(),
        NOTHING,
        "the same programs in other words"
    );
    assert_eq!(
        space
            .build_json(text)
            .args(["--build-context", "tools=host-tools:sh"])
            .ok()
            .events()
            .ran()
            .len(),
        1
    );
    space
        .build(text)
        .args(["--build-context", "tools=host-tools:no-such-program"])
        .exits(1)
        .says(&["no-such-program"]);
}

fn a_base_image_that_changes_reruns(space: &Space) {
    let base = |word: &str| {
        space.write("word", word);
        space
            .build("FROM scratch\nCOPY word /\n")
            .args(["-t", "base"])
            .ok();
    };
    let text = "FROM base\nCOPY --from=tools / /\nRUN cat /word > /copy\n";
    base("1");
    assert_eq!(ran(space, text).len(), 2);
    base("2");
    assert_eq!(ran(space, text).len(), 2);
    assert_eq!(space.image("app").text("copy"), "2");
    base("1");
    assert_eq!(ran(space, text), NOTHING);
}
