//! Flags that buildah, podman and kaniko have and docker has not: each does what it does there, and counts for the cache where the
//! image depends on it.

use serde_json::json;

use crate::support::http::{Answer, Server};
use crate::support::{Space, cases, plain_cases};

plain_cases! {
    one_time_for_the_whole_image,
    an_ignorefile_replaces_the_contexts_own,
    the_first_base_is_replaced,
    what_is_left_out_is_not_in_the_image,
    history_may_be_omitted,
    old_results_are_not_used,
    registries_are_asked_again,
    the_digest_goes_to_a_file,
    names_may_be_archives,
    volumes_are_checked,
}

cases! {
    volumes_are_seen_by_every_run,
}

const ALL: &str =
    "FROM tools\nARG SOURCE_DATE_EPOCH\nCOPY word /\nRUN echo \"at $SOURCE_DATE_EPOCH\" > /at\n";

fn one_time_for_the_whole_image(space: &Space) {
    space.write("word", "word");
    let build = |flags: &[&str]| {
        space.build(ALL).args(flags).ok();
        (space.id("app"), space.image("app"))
    };
    let (by_argument, image) = build(&["--build-arg", "SOURCE_DATE_EPOCH=1600000000"]);
    assert_eq!(image.text("at"), "at 1600000000\n");
    assert_eq!(image.entry("word").mtime, 1_600_000_000);
    assert_eq!(image.config["created"], "2020-09-13T12:26:40Z");
    for flag in ["--source-date-epoch", "--timestamp"] {
        assert_eq!(build(&[flag, "1600000000"]).0, by_argument, "{flag}");
    }
    // The flag is nearer than the variable.
    let environment = space.build(ALL).args(["--timestamp", "1600000000"]);
    environment.env("SOURCE_DATE_EPOCH", "1500000000").ok();
    assert_eq!(space.id("app"), by_argument);
    let (_, image) = build(&["--reproducible"]);
    assert_eq!(image.entry("word").mtime, 0);
    assert_eq!(image.config["created"], "1970-01-01T00:00:00Z");
    // Two times are one too many, unless they agree.
    let argument = ["--build-arg", "SOURCE_DATE_EPOCH=1600000000"];
    let agreed = space.build(ALL).args(argument);
    agreed.args(["--timestamp", "1600000000"]).ok();
    let refused = space.build(ALL).args(argument);
    let refused = refused.args(["--timestamp=5"]).exits(2);
    refused.says(&["--timestamp and --build-arg SOURCE_DATE_EPOCH both"]);
    let both = ["--timestamp=5", "--source-date-epoch=5"];
    space
        .build(ALL)
        .args(both)
        .exits(2)
        .says(&["--source-date-epoch and --timestamp both"]);
    let late = ["--build-arg", "SOURCE_DATE_EPOCH=300000000000"];
    let late = space.build(ALL).args(late).exits(2);
    late.says(&["before the year 10000"]);
    for wrong in ["soon", "-1", "300000000000"] {
        space
            .build(ALL)
            .arg(format!("--timestamp={wrong}"))
            .exits(2);
    }
}

fn an_ignorefile_replaces_the_contexts_own(space: &Space) {
    for file in ["a.txt", "b.log", "c.tmp"] {
        space.write(file, file);
    }
    space.write(".dockerignore", "*.txt\n");
    let text = "FROM scratch\nCOPY *.* /\n";
    let outside = space.write_in("own", "elsewhere", "*.log\n.dockerignore\n");
    let copied = |flag: &[&str]| {
        space.build(text).args(flag).ok();
        space.image("app").files.into_keys().collect::<Vec<_>>()
    };
    let with = |file: &str| copied(&["--ignorefile", file]);
    assert_eq!(copied(&[]), [".dockerignore", "b.log", "c.tmp"]);
    assert_eq!(with(outside.to_str().unwrap()), ["a.txt", "c.tmp"]);
    // Also instead of the Dockerfile's own; in the context where the current folder has none of that name.
    space.write("Dockerfile.dockerignore", "*\n");
    space.write("ignored/here", "*.tmp\n.*\n*.dockerignore\n");
    assert_eq!(with("ignored/here"), ["a.txt", "b.log"]);
    let missing = space.build(text).args(["--ignorefile", "nowhere"]).exits(2);
    missing.says(&["--ignorefile: there is no nowhere"]);
    let piped = space.kiln(["build", "--ignorefile", "elsewhere", "-"]);
    piped
        .stdin("FROM scratch\n")
        .exits(2)
        .says(&["--ignorefile", "is a folder"]);
}

fn the_first_base_is_replaced(space: &Space) {
    space
        .build("FROM scratch\nLABEL base=other\n")
        .args(["-t", "other:1"])
        .ok();
    let text = "ARG WHICH=nowhere.invalid/none\nFROM $WHICH AS first\nLABEL kept=yes\nFROM scratch AS second\nLABEL second=yes\nFROM first\n";
    let labels = |text: &str, flags: &[&str]| {
        space.build(text).args(flags).ok();
        space.image("app").setting("Labels").clone()
    };
    let expected = json!({"base": "other", "kept": "yes"});
    assert_eq!(labels(text, &["--from", "other:1"]), expected);
    assert_eq!(labels(text, &["--from=docker-image://other:1"]), expected);
    // Named contexts and scratch are bases too; the name of the stage stays.
    assert_eq!(labels(text, &["--from=scratch"]), json!({"kept": "yes"}));
    let named = [
        "--from=base",
        "--build-context",
        "base=docker-image://other:1",
    ];
    assert_eq!(labels(text, &named), expected);
    let ran = space.build("FROM nowhere.invalid/none\nRUN echo ran\n");
    assert_eq!(ran.arg("--from=tools").ok().output(), ["ran"]);
    // A base that decides about the files decides about the cache.
    let copy = "FROM nowhere.invalid/none\nCOPY word /\n";
    space.write("word", "word");
    space.write_in("one", "file", "one");
    space.build(copy).arg("--from=scratch").ok();
    let one = format!("one={}", space.path("one").display());
    space
        .build(copy)
        .args(["--build-context", &one, "--from=one"])
        .ok();
    assert!(space.image("app").has("file"));
    // It is said where it means nothing.
    let unused = space
        .build(text)
        .args(["--from=other:1", "--target=second"]);
    unused
        .ok()
        .says(&["warning", "--from other:1 has no effect"]);
    let both = [
        "--from=scratch",
        "--build-context",
        "first=docker-image://other:1",
    ];
    space
        .build(text)
        .args(both)
        .exits(1)
        .says(&["--from scratch and --build-context first"]);
    space
        .build(text)
        .arg("--from=docker://")
        .exits(2)
        .says(&["--from"]);
    let wrong = space.build(text).arg("--from=A:B:C").exits(1);
    wrong.says(&["failed to parse stage name \"A:B:C\"", "Dockerfile:2"]);
}

fn what_is_left_out_is_not_in_the_image(space: &Space) {
    let base = "FROM tools\nENV BASE=1 BOTH=1\nLABEL base=1 both=1\n";
    space.build(base).args(["-t", "labelled"]).ok();
    let text = "FROM labelled AS middle\nLABEL middle=1\nFROM middle\nENV OWN=1\nLABEL own=1 both=2\nRUN echo $OWN $BASE\n";
    let build = |flags: &[&str]| {
        let built = space
            .build(text)
            .args(["--label", "given=1"])
            .args(flags)
            .ok();
        let image = space.image("app");
        (
            built,
            image.setting("Env").to_string(),
            image.setting("Labels").clone(),
        )
    };
    let (_, env, labels) = build(&[]);
    assert!(env.contains("OWN=1") && env.contains("BASE=1"), "{env}");
    assert_eq!(
        labels,
        json!({"base": "1", "both": "2", "middle": "1", "own": "1", "given": "1"})
    );
    let (_, env, labels) = build(&[
        "--unsetenv=BASE,OWN",
        "--unsetlabel=base",
        "--unsetlabel=given",
    ]);
    assert!(
        !env.contains("OWN") && !env.contains("BASE") && env.contains("BOTH=1"),
        "{env}"
    );
    assert_eq!(labels, json!({"both": "2", "middle": "1", "own": "1"}));
    let (_, _, labels) = build(&["--inherit-labels=false"]);
    assert_eq!(labels, json!({"both": "2", "own": "1", "given": "1"}));
    // RUN sees what the image will not set.
    let (built, ..) = build(&["--unsetenv=BASE", "--unsetenv=OWN", "--no-cache"]);
    assert_eq!(built.output(), ["1 1"]);
    let annotate = [
        "--annotation",
        "one=1",
        "--annotation",
        "two=2",
        "--unsetannotation=one",
    ];
    build(&annotate);
    assert_eq!(
        space.image("app").manifest["annotations"],
        json!({"two": "2"})
    );
    space
        .build(text)
        .arg("--unsetenv=A=B")
        .exits(2)
        .says(&["--unsetenv A=B: expected a name"]);
    space.build(text).arg("--inherit-annotations=false").ok();
}

fn history_may_be_omitted(space: &Space) {
    let text = "FROM scratch\nCOPY word /\nLABEL a=b\n";
    space.write("word", "word");
    space.build(text).ok();
    let whole = space.id("app");
    space.build(text).arg("--omit-history").ok();
    let image = space.image("app");
    assert!(image.config.get("history").is_none(), "{}", image.config);
    assert_eq!(image.text("word"), "word");
    assert_ne!(space.id("app"), whole);
    // What is built on it has an entry for each layer, as docker demands.
    space
        .build("FROM app\nCOPY word /second\n")
        .args(["-t", "child"])
        .ok();
    let history = space.image("child").config["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 2, "{history}");
    space.build(text).arg("--omit-history=false").ok();
    assert_eq!(space.id("app"), whole);
}

fn old_results_are_not_used(space: &Space) {
    // The time in the image is old, the result is not.
    let text = "FROM tools\nRUN echo once > /a\nRUN echo twice > /b\n";
    let build = |ttl: &str| {
        let built = space
            .build_json(text)
            .args(["--timestamp=1000000000", "--cache-ttl", ttl]);
        built.ok().events()
    };
    let all = ["RUN echo once > /a", "RUN echo twice > /b"];
    assert_eq!(build("1h").ran(), all);
    assert_eq!(build("336h").ran(), [""; 0]);
    let id = space.id("app");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let anew = build("1s");
    assert_eq!(anew.ran(), all);
    let reasons: Vec<_> = anew
        .of("started")
        .map(|event| event["because"].clone())
        .collect();
    assert!(
        reasons
            .iter()
            .all(|reason| reason == "its result is older than --cache-ttl"),
        "{reasons:?}"
    );
    // What is equal to before is what it was, and is young again.
    assert_eq!(space.id("app"), id);
    assert_eq!(build("1h").ran(), [""; 0]);
    assert_eq!(build("0").ran(), all);
    for wrong in ["soon", "-1h", "5"] {
        let refused = space
            .build(text)
            .arg(format!("--cache-ttl={wrong}"))
            .exits(2);
        refused.says(&["--cache-ttl", "a duration such as"]);
    }
}

/// How often a manifest was asked for since the last question.
fn manifests(server: &Server) -> usize {
    let asked = server.asked();
    let of_manifests = asked
        .iter()
        .filter(|asked| asked.line.contains("manifests"));
    of_manifests.count()
}

fn registries_are_asked_again(space: &Space) {
    let server = Server::start();
    server.set("/v2/", Answer::file(""));
    server.set(
        "/v2/base/manifests/1",
        Answer::status("503 Service Unavailable"),
    );
    let host = server.url("").replace("http://", "");
    let asked = |flags: &[&str]| {
        let failed = space
            .build(&format!("FROM {host}/base:1\n"))
            .args(flags)
            .exits(1);
        failed.says(&["503"]);
        manifests(&server)
    };
    assert_eq!(asked(&["--retry=0"]), 1);
    assert_eq!(asked(&["--retry=3", "--retry-delay=10ms"]), 4);
    let by_environment = || {
        let build = space.build(&format!("FROM {host}/base:1\n"));
        build.env("KILN_RETRY", "2").env("KILN_RETRY_DELAY", "10ms")
    };
    by_environment().exits(1);
    assert_eq!(manifests(&server), 3);
    by_environment().arg("--retry=0").exits(1);
    assert_eq!(manifests(&server), 1);
    let pull = space.kiln([
        "pull",
        "--retry=1",
        "--retry-delay=10ms",
        &format!("{host}/base:1"),
    ]);
    pull.exits(1);
    assert_eq!(manifests(&server), 2);
    for wrong in ["--retry=-1", "--retry-delay=soon", "--retry-delay=2h"] {
        space.build("FROM scratch\n").arg(wrong).exits(2);
    }
}

fn the_digest_goes_to_a_file(space: &Space) {
    let (digest, metadata) = (
        space.own_folder("made").join("digest"),
        space.path("made/metadata"),
    );
    let built = space
        .build("FROM scratch\nLABEL a=b\n")
        .arg("--digest-file")
        .arg(&digest);
    built.arg("--metadata-file").arg(&metadata).ok();
    let metadata = std::fs::read(metadata).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let written = std::fs::read_to_string(digest).unwrap();
    assert_eq!(metadata["containerimage.digest"], written);
    assert_ne!(metadata["containerimage.config.digest"], written);
}

fn names_may_be_archives(space: &Space) {
    let folder = space.own_folder("archives");
    let place = |file: &str| folder.join(file).display().to_string();
    let (oci, docker) = (place("oci.tar"), place("docker.tar"));
    let built = space.build("FROM scratch\nLABEL a=b\n");
    let named = built.arg(format!("--tag=oci-archive:{oci}"));
    named
        .arg("-t")
        .arg(format!("docker-archive:{docker}:example.org/team/app:7"))
        .ok();
    let id = space.id("app");
    for (archive, name) in [(&oci, "app:latest"), (&docker, "example.org/team/app:7")] {
        let told = space.kiln(["verify", archive]).ok().stdout;
        assert!(told.contains(name) && told.contains(&id), "{told}");
    }
    for wrong in ["oci-archive:", "docker-archive::name"] {
        let refused = space.build("FROM scratch\n").args(["-t", wrong]).exits(2);
        refused.says(&["the file is missing"]);
    }
    let refused = space
        .build("FROM scratch\n")
        .args(["-t", "docker://example.org/app"]);
    refused.exits(2).says(&["docker://", "--push"]);
    let wrong = space
        .build("FROM scratch\n")
        .args(["-t", "oci-archive:file:A:B"])
        .exits(2);
    wrong.says(&["oci-archive:file:A:B"]);
}

const VOLUME: &str = "FROM tools
RUN cat /v/word > /first && (echo written > /v/more || echo refused) 2>/dev/null
RUN ls /v > /second
";

fn volumes_are_seen_by_every_run(space: &Space) {
    let folder = space.own_folder("volume");
    let word = space.write_in("volume", "word", "one\n");
    let more = folder.join("more");
    let volume = |options: &str| format!("{}:/v{options}", folder.display());
    let build = |options: &str| space.build(VOLUME).arg("-v").arg(volume(options)).ok();
    let seen = || {
        (
            space.image("app").text("first"),
            space.image("app").text("second"),
        )
    };
    let built = build(":ro,Z");
    assert_eq!(built.output(), ["refused"], "{built}");
    assert_eq!(
        (seen(), more.exists()),
        (("one\n".to_owned(), "word\n".to_owned()), false)
    );
    // Another way to mount is another surrounding.
    assert_eq!(build(":O").output(), [""; 0]);
    assert_eq!((seen().1.as_str(), more.exists()), ("word\n", false));
    assert_eq!(build("").output(), [""; 0]);
    assert_eq!(seen().1, "more\nword\n");
    assert_eq!(std::fs::read_to_string(&more).unwrap(), "written\n");
    // Nothing of it is in the image, not even the folder.
    let image = space.image("app");
    assert!(
        !image.has("v") && !image.has("v/word"),
        "{:?}",
        image.files.keys()
    );
    // What is in it decides nothing about the cache.
    std::fs::write(word, "two\n").unwrap();
    build("");
    assert_eq!(seen().0, "one\n");
    space
        .build(VOLUME)
        .arg("-v")
        .arg(volume(""))
        .arg("--no-cache")
        .ok();
    assert_eq!(seen().0, "two\n");
    // A mount of the Dockerfile lies over it; one file may be mounted too.
    let over =
        "FROM tools\nRUN --mount=type=tmpfs,target=/v ls /v > /count\nRUN cat /one > /copied\n";
    let one = format!("{}:/one:ro", folder.join("word").display());
    space
        .build(over)
        .arg("-v")
        .arg(volume(""))
        .args(["-v", &one])
        .ok();
    assert_eq!(
        (
            space.image("app").text("count"),
            space.image("app").text("copied")
        ),
        (String::new(), "two\n".to_owned())
    );
}

fn volumes_are_checked(space: &Space) {
    let folder = space.own_folder("volume").display().to_string();
    let file = space
        .write_in("volume", "word", "one")
        .display()
        .to_string();
    let text = "FROM tools\nRUN echo never\n";
    let refused = |volume: &str, why: &str| {
        let refused = space.build(text).arg(format!("--volume={volume}")).exits(2);
        refused.says(&["--volume", why]);
    };
    refused("cache:/v", "no named volumes");
    refused("/v", "expected HOST:TARGET");
    refused("/no/such/folder:/v", "/no/such/folder: ");
    refused(&format!("{folder}:v"), "not an absolute path");
    refused(&format!("{folder}:/"), "not an absolute path");
    refused(&format!("{folder}:/a/../b"), "not an absolute path");
    refused(&format!("{folder}:/v:U"), "owner");
    refused(&format!("{folder}:/v:rshared"), "private");
    refused(&format!("{folder}:/v:wr"), "unknown option");
    refused(&format!("{file}:/v:O"), "is not a folder");
    // A link of the image cannot lead the mount out of it.
    let linked = "FROM tools\nRUN ln -s /../../../v /l && cat /l/word && ls -d /v\n";
    let built = space.build(linked).arg("-v").arg(format!("{folder}:/v:ro"));
    assert_eq!(built.ok().output(), ["one/v"]);
}
