//! Why a step runs again: for each kind of change the exact reason, in a build and afterwards.

use std::fs;

use serde_json::Value;

use crate::support::golden::matches;
use crate::support::machines::{self, from_folder, to_folder};
use crate::support::traces::holders;
use crate::support::{Finished, Space, cases, plain_cases};

cases! {
    every_kind_of_change_has_its_reason,
}

plain_cases! {
    a_first_build_gives_no_reasons,
    steps_below_a_change_name_where_it_began,
    steps_that_come_go_and_move_are_told,
    what_may_not_be_used_has_a_reason,
    failed_steps_and_those_behind_them_are_compared,
    stages_that_were_not_built_are_compared_with_older_builds,
    no_secret_is_told,
    why_tells_afterwards,
    builds_are_compared,
    another_image_below_is_named,
    a_fresh_runner_is_compared_with_the_build_of_its_cache,
}

/// The steps that ran again: instruction and reasons.
fn told(built: &Finished) -> Vec<(String, String)> {
    let events = built.events();
    let steps: Vec<Value> = events.of("planned").next().unwrap()["steps"]
        .as_array()
        .unwrap()
        .clone();
    let title = |event: &Value| {
        let step = steps.iter().find(|step| step["step"] == event["step"]);
        step.unwrap()["title"].as_str().unwrap().to_owned()
    };
    let mut told: Vec<(u64, String, String)> = events
        .of("started")
        .map(|event| {
            let reasons = event["because"].as_str().unwrap_or("-").to_owned();
            (event["step"].as_u64().unwrap(), title(event), reasons)
        })
        .collect();
    told.sort();
    let told = told.into_iter().map(|(_, title, reasons)| (title, reasons));
    told.collect()
}

/// The reasons alone.
#[track_caller]
fn again(space: &Space, text: &str, flags: &[&str]) -> Vec<String> {
    let built = space.build_json(text).args(flags).ok();
    told(&built)
        .into_iter()
        .map(|(_, reasons)| reasons)
        .collect()
}

const TEXT: &str = "FROM tools AS build
ARG NAME=world
ENV WORD=one
COPY . /in/
RUN cat /in/a > /sum; echo $NAME $WORD >> /sum
FROM scratch
COPY --from=build /sum /
";

fn prepare(space: &Space) {
    for path in ["a", "b", "d/c"] {
        space.write(path, path);
    }
    space.write(".dockerignore", "Dockerfile\n.dockerignore\n");
}

fn a_first_build_gives_no_reasons(space: &Space) {
    prepare(space);
    let first = space.build_json(TEXT).ok();
    assert!(
        told(&first).iter().all(|(_, reasons)| reasons == "-"),
        "{first}"
    );
    // results of another project are no reason, and are used
    fs::create_dir(space.path("other")).unwrap();
    space.write_in("other", "a", "other");
    let text = TEXT.replace("/in/a", "/in/*");
    space.write_in("other", "Dockerfile", text);
    let build = space.kiln(["build", "-t", "other", "--build-context"]);
    let tools = format!("tools=host-tools:{}", crate::support::space::TOOLS);
    let build = build.arg(tools).arg(space.path("other"));
    let other = build.env("KILN_PROGRESS", "json").ok();
    assert_eq!(told(&other).len(), 3, "{other}");
    assert!(
        told(&other).iter().all(|(_, reasons)| reasons == "-"),
        "{other}"
    );
    // nor is a forced build the second one
    space.kiln(["prune"]).ok();
    let forced = space.build_json(TEXT).arg("--no-cache").ok();
    assert!(
        told(&forced).iter().all(|(_, reasons)| reasons == "-"),
        "{forced}"
    );
}

fn every_kind_of_change_has_its_reason(space: &Space) {
    prepare(space);
    space.build(TEXT).ok();
    let copy = "started by [build 2/3] COPY . /in/";
    space.write("a", "other");
    assert_eq!(again(space, TEXT, &[])[..2], ["a changed", copy]);
    space.write("e", "new");
    fs::remove_file(space.context().join("b")).unwrap();
    assert_eq!(again(space, TEXT, &[])[..2], ["b removed, e added", copy]);
    fs::set_permissions(
        space.context().join("d/c"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(again(space, TEXT, &[])[..2], ["d/c mode 644 → 755", copy]);
    for number in 0..7 {
        space.write(&format!("many/{number}"), "x");
    }
    let many = "many added, many/0 added, many/1 added, many/2 added and 4 more";
    assert_eq!(again(space, TEXT, &[])[..1], [many]);
    let argument = ["--build-arg", "NAME=me and you"];
    let changed = "ARG NAME: world → \"me and you\"";
    assert_eq!(again(space, TEXT, &argument)[..1], [changed]);
    let text = TEXT.replace("WORD=one", "WORD=two OTHER=3");
    let changed = "ENV OTHER: 3 is new; ENV WORD: one → two";
    assert_eq!(again(space, &text, &argument)[..1], [changed]);
    let text = text.replace("echo", "echo then");
    let changed = "text: RUN … /sum; echo {+then+} $NAME $WORD …";
    assert_eq!(again(space, &text, &argument)[..1], [changed]);
    let text = text.replace("COPY .", "COPY --chown=1:2 .");
    assert_eq!(again(space, &text, &argument)[0], "--chown: 1:2 is new");
    let text = text.replace("--chown=1:2", "--chown=3");
    assert_eq!(again(space, &text, &argument)[0], "--chown: 1:2 → 3");
    let text = text.replace("ENV ", "WORKDIR /in\nUSER 0\nENV ");
    let found = again(space, &text, &argument);
    assert_eq!(found[0], "a new step");
    let from = "started by [build 2/4] WORKDIR /in";
    assert_eq!(found[1], from);
    let changed = format!("WORKDIR: / → /in; USER: \"\" → 0; {from}");
    assert_eq!(found[2], changed);
    let flags = ["--build-arg", "NAME=me and you", "--add-host", "h:1.2.3.4"];
    let changed = "--add-host: h:1.2.3.4 is new";
    assert_eq!(again(space, &text, &flags)[..1], [changed]);
    let text = text.replace("RUN ", "RUN --network=none ");
    assert_eq!(
        again(space, &text, &flags)[..1],
        ["--network: default → none"]
    );
    // all that is changed is told, and taking it back makes the steps hit
    let before = text.clone();
    let text = text
        .replace("WORD=two", "WORD=three")
        .replace("then", "now");
    space.write("a", "last");
    let changed = "text: RUN … /sum; echo [-then-]{+now+} $NAME $WORD …; ENV WORD: two → three; \
                   started by [build 3/4] COPY --chown=3 . /in/";
    assert_eq!(again(space, &text, &flags)[..2], ["a changed", changed]);
    space.write("a", "other");
    assert_eq!(again(space, &before, &flags), [""; 0]);
}

fn steps_below_a_change_name_where_it_began(space: &Space) {
    prepare(space);
    let text = "FROM tools AS one\nCOPY a /\nRUN cat /a > /b\nFROM tools AS two\nCOPY b /\n\
                RUN --mount=from=one,target=/m cat /m/b /b > /c\nFROM scratch\nCOPY --from=two /c /\n\
                COPY --from=one /b /\n";
    space.build(text).ok();
    space.write("a", "other");
    space.write("b", "other");
    let (one, two) = ("[one 2/3] COPY a /", "[two 1/2] COPY b /");
    let both = format!("started by {one}, {two}");
    let expected = [
        "a changed",
        &format!("started by {one}"),
        "b changed",
        &both,
        &both,
        &both,
    ];
    assert_eq!(again(space, text, &[]), expected);
    // what is built again and gives something else is where it begins
    let text = "FROM tools AS a\nRUN --mount=type=secret,id=s,env=S echo $S > /s\nFROM tools\nCOPY --from=a /s /\n";
    let build = |value: &str, flags: &[&str]| {
        let build = space.build_json(text).args(["--secret", "id=s,env=S"]);
        told(&build.env("S", value).args(flags).ok())
    };
    build("1", &[]);
    let found = build("2", &["--no-cache-filter", "a"]);
    let reasons: Vec<&str> = found.iter().map(|(_, reasons)| reasons.as_str()).collect();
    let began = "started by [a 2/2] RUN --mount=type=secret,id=s,env=S echo $S > /s";
    assert_eq!(reasons, ["--no-cache-filter", began]);
}

fn steps_that_come_go_and_move_are_told(space: &Space) {
    let text = |steps: &[&str]| {
        let steps: Vec<String> = steps
            .iter()
            .map(|step| format!("RUN echo {step} >> /all\n"))
            .collect();
        format!("FROM tools\n{}", steps.concat())
    };
    let again = |steps: &[&str]| again(space, &text(steps), &[]);
    again(&["1", "2", "3"]);
    let new = "started by [stage-0 3/5] RUN echo new >> /all";
    assert_eq!(again(&["1", "new", "2", "3"]), ["a new step", new, new]);
    let gone = "no longer after RUN echo 1 >> /all";
    let began = "started by [stage-0 2/4] RUN echo new >> /all";
    assert_eq!(again(&["new", "2", "3"])[1..], [began, began]);
    again(&["1", "2", "3"]);
    again(&["1", "4", "3"]);
    assert_eq!(
        again(&["4", "3"]),
        [gone, "started by [stage-0 2/3] RUN echo 4 >> /all"]
    );
    let moved = "the steps before it have another order";
    let found = again(&["3", "4"]);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .any(|reasons| reasons.contains(moved) || reasons.contains("no longer")),
        "{found:?}"
    );
    // moved lines and comments change nothing
    let moved = text(&["3", "4"]).replace("RUN", "\n# RUN\nRUN");
    assert_eq!(self::again(space, &moved, &[]), [""; 0]);
    // a stage that is called otherwise is the same
    let named = text(&["3", "5"]).replace("FROM tools", "FROM tools AS app");
    let changed = "text: RUN echo [-4-]{+5+} >> /all";
    assert_eq!(self::again(space, &named, &[]), [changed]);
}

fn what_may_not_be_used_has_a_reason(space: &Space) {
    prepare(space);
    space.build(TEXT).ok();
    let forced = again(space, TEXT, &["--no-cache"]);
    assert_eq!(forced[..3], ["--no-cache"; 3]);
    space.write("a", "other");
    let forced = again(space, TEXT, &["--no-cache-filter", "build"]);
    let below = "started by [build 2/3] COPY . /in/";
    let filter = |reason: &str| format!("--no-cache-filter; {reason}");
    assert_eq!(
        forced,
        [filter("a changed"), filter(below), below.to_owned()]
    );
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let expired = again(space, TEXT, &["--cache-ttl", "1s"]);
    assert_eq!(expired[0], "its result is older than --cache-ttl");
    space.kiln(["rmi", "app"]).ok();
    space.kiln(["prune", "--max-size", "1"]).ok();
    let evicted = again(space, TEXT, &[]);
    assert_eq!(evicted[..3], ["its result is no longer in the store"; 3]);
}

fn failed_steps_and_those_behind_them_are_compared(space: &Space) {
    prepare(space);
    let text = |word: &str| {
        format!("FROM tools\nCOPY a /\nRUN {word} && cat /a > /b\nRUN echo last > /c\n")
    };
    space.build(&text("true")).ok();
    let failed = space.build_json(&text("exit 3")).exits(1);
    assert_eq!(told(&failed)[0].1, "text: RUN [-true-]{+exit 3+} && cat …");
    let failed = space.build_json(&text("exit 3")).exits(1);
    assert_eq!(told(&failed)[0].1, "it failed in the last build");
    let run = "text: RUN exit [-3-]{+0+} && cat …";
    assert_eq!(again(space, &text("exit 0"), &[])[..1], [run]);
    // what was not reached is compared with the build that reached it
    space.build(&text("exit 4")).exits(1);
    space.write("a", "other");
    let found = again(space, &text("true"), &[]);
    let began = "started by [stage-0 2/4] COPY a /";
    assert_eq!(found[0], "a changed");
    assert_eq!(
        found[2].split("; ").last().unwrap().split(',').next(),
        Some(began)
    );
}

fn stages_that_were_not_built_are_compared_with_older_builds(space: &Space) {
    prepare(space);
    space.build(TEXT).ok();
    space.build(TEXT).args(["--target", "build"]).ok();
    space.write("a", "other");
    let began = "started by [build 2/3] COPY . /in/";
    assert_eq!(again(space, TEXT, &[]), ["a changed", began, began]);
}

const TOKEN: &str = "Zq7-unmistakable-w4H";
const OTHER: &str = "Zq8-unmistakable-w5H";

fn no_secret_is_told(space: &Space) {
    let text = format!(
        "FROM tools\nARG API_TOKEN={TOKEN}\nARG PLACE\nENV DB_PASSWORD={TOKEN}2\n\
         WORKDIR /$API_TOKEN\nCOPY <<EOF /file\n<$DB_PASSWORD>\nEOF\n\
         RUN --mount=type=secret,id=s,env=S echo \"$API_TOKEN $S\" > /dev/null\n"
    );
    let build = |token: &str| {
        let flags = ["--secret", "id=s,env=S", "--build-arg"];
        let build = space
            .build_json(&text)
            .args(flags)
            .arg(format!("API_TOKEN={token}"));
        let build = build.args(["--build-arg", "PLACE=http://me:secret-word@host/"]);
        build.env("S", "Zq9-of-a-mount").ok()
    };
    build(TOKEN);
    let built = build(OTHER);
    let told = told(&built).into_iter();
    let reasons: Vec<String> = told.map(|(_, reasons)| reasons).collect();
    assert!(
        reasons
            .iter()
            .any(|reasons| reasons.contains("ARG API_TOKEN changed")),
        "{reasons:?}"
    );
    for value in [TOKEN, OTHER, "Zq9-of-a-mount"] {
        assert!(
            !reasons.iter().any(|reasons| reasons.contains(value)),
            "{reasons:?}"
        );
    }
    for arguments in [&["why"][..], &["why", "--format", "json"]] {
        let told = space.kiln(arguments).ok().stdout;
        // the second word of an argument stands in the Dockerfile
        assert!(
            !told.contains(OTHER) && !told.contains("Zq9-of-a-mount"),
            "{told}"
        );
    }
    let documents = documents(space);
    assert!(
        documents
            .iter()
            .any(|document| document.contains("ARG API_TOKEN#")),
        "{documents:?}"
    );
    for value in [TOKEN, OTHER, "Zq9-of-a-mount", "secret-word"] {
        let holds = documents.iter().find(|document| document.contains(value));
        assert_eq!(holds, None);
    }
    assert_eq!(holders(&space.store(), &["Zq9-of-a-mount"]), [""; 0]);
}

/// What the store keeps of the inputs of steps.
fn documents(space: &Space) -> Vec<String> {
    let database = rusqlite::Connection::open(space.store().join("kiln.db")).unwrap();
    let mut statement = database.prepare("SELECT document FROM inputs").unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
    rows.map(|row| text(row.unwrap())).collect()
}

fn why_tells_afterwards(space: &Space) {
    prepare(space);
    let none = space.kiln(["why"]).exits(1);
    none.says(&["no build is remembered"]);
    space.build(TEXT).ok();
    let first = space.kiln(["why"]).ok().stdout;
    assert_eq!(
        first.matches("\n  no earlier build had it\n").count(),
        4,
        "{first}"
    );
    space.build(TEXT).ok();
    space
        .kiln(["why"])
        .ok()
        .says(&["no step was executed: all were in the cache"]);
    space.write("a", "other");
    space.write("d/new", "new");
    space.build(TEXT).args(["--build-arg", "NAME=me"]).ok();
    matches("why.txt", &space.kiln(["why"]).ok().stdout);
    let of = |what: &str| space.kiln(["why", what]).ok().stdout;
    let run = "[build 3/3] RUN cat /in/a > /sum; echo $NAME $WORD >> /sum\n  ARG NAME: world → me\n  \
               started by [build 2/3] COPY . /in/\n";
    for step in ["build 3/3", "build 3", "Dockerfile:5"] {
        assert_eq!(of(step), run, "{step}");
    }
    assert_eq!(
        of("build 1"),
        "[build 1/3] FROM tools\n  it was in the cache\n"
    );
    let whole = space.kiln(["why"]).ok().stdout;
    assert_eq!(of("app"), whole);
    assert_eq!(of("app:latest"), whole);
    let json: Value =
        serde_json::from_str(&space.kiln(["why", "app", "--format", "json"]).ok().stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 4);
    let reasons = serde_json::json!([
        {"kind": "variable", "name": "NAME", "is_argument": true, "old": "world", "new": "me"},
        {"kind": "steps", "steps": ["[build 2/3] COPY . /in/"]},
    ]);
    assert_eq!(json[2]["reasons"], reasons, "{json}");
    space
        .kiln(["why", "build 9"])
        .exits(1)
        .says(&["has no such step"]);
    space
        .kiln(["why", "nobody"])
        .exits(1)
        .says(&["no build nobody is remembered"]);
}

fn builds_are_compared(space: &Space) {
    prepare(space);
    space.build(TEXT).ok();
    space.write("a", "other");
    space.build(TEXT).ok();
    space.write("b", "other");
    // found as a whole, and yet another build than the first
    space.build(TEXT).args(["-t", "last"]).ok();
    space.build(TEXT).args(["-t", "last"]).ok();
    let ids = space.kiln(["builds", "-q"]).ok().stdout;
    let ids: Vec<&str> = ids.lines().collect();
    let against = |id: &str| space.kiln(["why", "last", "--against", id]).ok();
    let first = against(ids[3]).stdout;
    assert!(
        first.starts_with("[build 2/3] COPY . /in/\n  a changed, b changed\n[build 3/3]"),
        "{first}"
    );
    let second = against(ids[2]).stdout;
    assert!(
        second.starts_with("[build 2/3] COPY . /in/\n  b changed\n"),
        "{second}"
    );
    against(ids[1]).says(&["no step differs"]);
    let same = space
        .kiln(["why", "build 1", "--against", ids[3]])
        .ok()
        .stdout;
    assert_eq!(same, "[build 1/3] FROM tools\n  the same\n");
}

fn another_image_below_is_named(space: &Space) {
    let base = |word: &str, name: &str| {
        let text = format!("FROM tools\nRUN echo {word} > /word\n");
        space.write_in("base", "Dockerfile", text);
        let tools = format!("tools=host-tools:{}", crate::support::space::TOOLS);
        let build = space.kiln(["build", "-q", "-t", name, "--build-context"]);
        build.arg(tools).arg(space.path("base")).ok();
        space.id(name)[7..19].to_owned()
    };
    let text =
        |base: &str| format!("FROM {base}\nRUN cat /word > /copy\nCOPY --from=base:1 /word /\n");
    let first = base("1", "base:1");
    again(space, &text("base:1"), &[]);
    let second = base("2", "base:1");
    let changed = format!("image base:1: {first} → {second}");
    let found = again(space, &text("base:1"), &[]);
    let began = "started by [stage-0 1/2] RUN cat /word > /copy";
    assert_eq!(found, [changed.clone(), format!("{changed}; {began}")]);
    let third = base("3", "base:3");
    let found = again(space, &text("base:3"), &[]);
    assert_eq!(found[0], format!("image base:3: base:1@{second} → {third}"));
}

fn a_fresh_runner_is_compared_with_the_build_of_its_cache(space: &Space) {
    prepare(space);
    let build = |machine: &str, flags: &[String]| {
        let build = machines::on(space, machine, TEXT, flags);
        build.env("KILN_PROGRESS", "json").ok()
    };
    let reasons = |built: &Finished| -> Vec<String> {
        let told = told(built).into_iter();
        told.map(|(_, reasons)| reasons).collect()
    };
    build("one", &to_folder(space, ",mode=max"));
    space.write("a", "other");
    let began = "started by [build 2/3] COPY . /in/";
    let expected = ["a changed", began, began];
    let second = build("two", &from_folder(space));
    assert_eq!(reasons(&second), expected);
    let why = space
        .kiln(["why"])
        .env("KILN_STORE", space.own().join("two"));
    let why = why.ok().stdout;
    assert!(why.contains("a changed") && why.contains(began), "{why}");
    // what the third says of its build, it knows from the cache
    space.write("a", "a");
    let mut both = from_folder(space);
    both.extend(to_folder(space, ",mode=min"));
    build("three", &both);
    fs::remove_dir_all(machines::folder(space)).unwrap();
    let mut both = from_folder(space);
    both.extend(to_folder(space, ",mode=min"));
    build("one", &both);
    space.write("a", "other");
    let fourth = reasons(&build("four", &from_folder(space)));
    assert_eq!(fourth[0], "the shared cache does not have its result");
    assert_eq!(fourth[1..], expected);
    // without the cache there is no build to compare with
    assert_eq!(reasons(&build("five", &[])), ["-"; 4]);
}
