//! `RUN --mount` and secrets: what is mounted is seen, and nothing of it stays in a layer.

use crate::support::{Kind, Space, cases};

cases! {
    context_and_stages_are_bound,
    changes_to_binds_are_thrown_away,
    memory_is_mounted,
    secrets_are_seen_once,
    secrets_are_checked,
    mount_points_do_not_stay,
    caches_are_kept_and_shared,
    locked_caches_are_used_by_one_at_a_time,
}

fn context_and_stages_are_bound(space: &Space) {
    space.write("folder/word", "from the context");
    let text = "FROM tools AS other\nRUN echo from a stage > /word\nFROM tools\nRUN --mount=target=/src --mount=from=other,target=/other,source=/word cat /src/folder/word /other > /both\n";
    space.build(text).ok();
    assert_eq!(
        space.image("app").text("both"),
        "from the contextfrom a stage\n"
    );
    // A bind is an input: a change of what is mounted runs the step again, anything else does not.
    let ran = || space.build_json(text).ok().events().ran().len();
    space.write("folder/word", "changed");
    assert_eq!(ran(), 1);
    assert_eq!(ran(), 0);
    let read_only = "FROM tools\nRUN --mount=target=/src echo x > /src/file\n";
    space
        .build(read_only)
        .exits(1)
        .says(&["Read-only file system"]);
}

fn changes_to_binds_are_thrown_away(space: &Space) {
    space.write("word", "as it was");
    let text = "FROM tools\nRUN --mount=target=/src,rw echo changed > /src/word && cat /src/word > /seen\nRUN --mount=target=/src cat /src/word > /after\n";
    space.build(text).ok();
    let image = space.image("app");
    assert_eq!(
        (image.text("seen"), image.text("after")),
        ("changed\n".to_owned(), "as it was".to_owned())
    );
    assert_eq!(
        std::fs::read_to_string(space.context().join("word")).unwrap(),
        "as it was"
    );
}

fn memory_is_mounted(space: &Space) {
    let text = "FROM tools\nRUN mkdir /data && echo below > /data/file\nRUN --mount=type=tmpfs,target=/data ls /data && echo gone > /data/other && echo seen > /seen\n";
    let built = space.build(text).ok();
    assert_eq!(built.output(), [""; 0], "the folder is empty");
    let image = space.image("app");
    assert_eq!(image.below("data"), ["data/file"]);
    assert!(image.has("seen"));
}

fn secrets_are_seen_once(space: &Space) {
    let file = space.write_in("own", "token", "s3cret");
    let text = "FROM tools
RUN --mount=type=secret,id=token stat -c '%a %u %g' /run/secrets/token && cat /run/secrets/token && echo
RUN --mount=type=secret,id=token,env=TOKEN echo \"[$TOKEN]\" && [ ! -e /run/secrets ]
RUN echo \"[$TOKEN]\"
";
    let option = format!("id=token,src={}", file.display());
    let built = space.build(text).args(["--secret", &option]).ok();
    assert_eq!(
        built.output(),
        ["400 0 0", "s3cret", "[s3cret]", "[]"],
        "{built}"
    );
    let image = space.image("app");
    assert!(!image.has("run/secrets"), "{:?}", image.below("run"));
    let kept = image.files.values().any(|entry| matches!(&entry.kind, Kind::File(content) if content.windows(6).any(|part| part == b"s3cret")));
    assert!(
        !kept && !image.config.to_string().contains("s3cret"),
        "the secret is in the image"
    );
    // Another secret is no reason to run again.
    let again = space
        .build_json(text)
        .args(["--secret", "id=token,env=VALUE"])
        .env("VALUE", "other")
        .ok();
    assert_eq!(again.events().ran(), [""; 0]);
}

fn secrets_are_checked(space: &Space) {
    space
        .build("FROM tools\nRUN --mount=type=secret,id=absent true\n")
        .ok();
    space
        .build("FROM tools\nRUN --mount=type=secret,id=absent,required true\n")
        .exits(1)
        .says(&["absent"]);
    space
        .build("FROM scratch\n")
        .args(["--secret", "src=x"])
        .exits(2)
        .says(&["--secret"]);
    space
        .build("FROM scratch\n")
        .args(["--secret", "id=x,src=/no/such/file"])
        .exits(2)
        .says(&["/no/such/file"]);
}

fn mount_points_do_not_stay(space: &Space) {
    space.write("word", "");
    let text = "FROM tools AS run\nRUN --mount=target=/made/up/place --mount=type=tmpfs,target=/other/place echo done > /file\nFROM scratch\nCOPY --from=run / /\n";
    space.build(text).args(["--target", "run"]).ok();
    let image = space.image("app");
    assert!(image.has("file"));
    let left: Vec<&String> = image
        .files
        .keys()
        .filter(|path| path.contains("place") || *path == "made" || *path == "other")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn caches_are_kept_and_shared(space: &Space) {
    let cache = "--mount=type=cache,target=/cache,id=mine";
    let text =
        format!("FROM tools\nARG N\nRUN {cache} echo $N >> /cache/log && cat /cache/log > /log\n");
    for (number, log) in [("1", "1\n"), ("2", "1\n2\n")] {
        space
            .build(&text)
            .args(["--build-arg", &format!("N={number}")])
            .ok();
        let image = space.image("app");
        assert_eq!(image.text("log"), log);
        assert!(!image.has("cache/log"), "the cache is in the image");
    }
    // What is in a cache never decides whether a step runs.
    let again = space.build_json(&text).args(["--build-arg", "N=1"]).ok();
    assert_eq!(again.events().ran(), [""; 0]);
    assert_eq!(space.image("app").text("log"), "1\n");
    // Another id, or a folder of a stage to begin with, is another cache.
    let other = "FROM tools AS seed\nRUN mkdir /s && echo seed > /s/log\nFROM tools\nRUN --mount=type=cache,id=other,from=seed,source=/s,target=/cache cat /cache/log > /log\n";
    space.build(other).ok();
    assert_eq!(space.image("app").text("log"), "seed\n");
    space.is_clean();
}

/// Each stage would see the other's mark if both had the cache at once.
fn locked_caches_are_used_by_one_at_a_time(space: &Space) {
    let run = "RUN --mount=type=cache,target=/cache,sharing=locked mkdir /cache/busy && sleep 0.2 && rm -r /cache/busy && echo x > /done";
    let stage = |number: usize| format!("FROM tools AS s{number}\nENV N={number}\n{run}\n");
    let copies: String = (0..3)
        .map(|number| format!("COPY --from=s{number} /done /{number}\n"))
        .collect();
    let stages: String = (0..3).map(stage).collect();
    space.build(&format!("{stages}FROM scratch\n{copies}")).ok();
    assert_eq!(space.image("app").below(""), ["0", "1", "2"]);
}
