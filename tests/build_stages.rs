//! The stage graph and the image's config: what is built, from what, in which order, and what the image then says.

use serde_json::json;

use crate::support::processes::{appears, end, unique_nap, with_argument};
use crate::support::{Space, cases};

cases! {
    unused_stages_are_never_built,
    files_come_from_stages_by_name_and_number,
    files_and_bases_come_from_images,
    independent_runs_go_on_at_once,
    one_job_is_one_run_at_a_time,
    metadata_reaches_the_config,
    settings_are_inherited_and_reset,
    triggers_fire_once,
    history_accounts_for_layers,
}

fn unused_stages_are_never_built(space: &Space) {
    let text = "FROM tools AS unused\nRUN exit 7\nFROM nowhere.invalid/image AS missing\nRUN exit 8\nFROM tools AS used\nRUN echo used > /file\nFROM scratch\nCOPY --from=used /file /\n";
    let events = space.build_json(text).ok().events();
    assert_eq!(
        events.ran(),
        ["RUN echo used > /file", "COPY --from=used /file /"]
    );
    assert_eq!(space.image("app").text("file"), "used\n");
}

fn files_come_from_stages_by_name_and_number(space: &Space) {
    let text = "FROM tools AS Zero\nRUN echo 0 > /number\nFROM tools\nRUN echo 1 > /number\nFROM scratch\nCOPY --from=ZERO /number /zero\nCOPY --from=1 /number /one\nCOPY --from=0 number /again\n";
    space.build(text).ok();
    let image = space.image("app");
    assert_eq!(
        ["zero", "one", "again"].map(|name| image.text(name)),
        ["0\n", "1\n", "0\n"]
    );
    assert_eq!(image.files.len(), 3);
}

fn files_and_bases_come_from_images(space: &Space) {
    space
        .build("FROM tools\nRUN echo base > /word\nENV FROM=base\nCMD [\"first\"]\n")
        .args(["-t", "base:v1"])
        .ok();
    space
        .build("FROM base:v1\nRUN echo $FROM && cat /word && echo more > /more\n")
        .ok();
    let image = space.image("app");
    assert_eq!(
        (image.text("word"), image.text("more")),
        ("base\n".to_owned(), "more\n".to_owned())
    );
    assert_eq!(*image.setting("Cmd"), json!(["first"]));
    space
        .build("FROM scratch\nCOPY --from=base:v1 /word /\n")
        .ok();
    assert_eq!(space.image("app").text("word"), "base\n");
    let named = "mine=docker-image://base:v1";
    space
        .build("FROM mine\nRUN cat /word > /copy\n")
        .args(["--build-context", named])
        .ok();
    assert_eq!(space.image("app").text("copy"), "base\n");
}

/// Both sleepers are seen at the same time, then ended.
fn independent_runs_go_on_at_once(space: &Space) {
    let naps = [unique_nap(), unique_nap()];
    let stage = |number: usize| {
        format!(
            "FROM tools AS s{number}\nRUN sleep {} || echo {number} > /file{number}\n",
            naps[number]
        )
    };
    let last = "FROM scratch\nCOPY --from=s0 /file0 /\nCOPY --from=s1 /file1 /\n";
    let running = space.build(&(stage(0) + &stage(1) + last)).spawn();
    let sleepers = naps.each_ref().map(|nap| appears(nap));
    assert_eq!(
        with_argument(&naps[0]).first(),
        Some(&sleepers[0]),
        "the first one ended before the second one began"
    );
    sleepers.into_iter().for_each(end);
    let built = running.wait();
    assert!(built.status.success(), "{built}");
    assert_eq!(space.image("app").text("file1"), "1\n");
}

fn one_job_is_one_run_at_a_time(space: &Space) {
    let stage =
        |number: usize| format!("FROM tools AS s{number}\nRUN echo {number} > /file{number}\n");
    let stages: String = (0..4).map(stage).collect();
    let copies: String = (0..4)
        .map(|number| format!("COPY --from=s{number} /file{number} /\n"))
        .collect();
    let text = format!("{stages}FROM scratch\n{copies}");
    let events = space.build_json(&text).args(["--jobs", "1"]).ok().events();
    let runs: Vec<u64> = events
        .of("log")
        .map(|event| event["step"].as_u64().unwrap())
        .collect();
    assert_eq!(runs.len(), 4, "each RUN has a log");
    let of_runs = events
        .all
        .iter()
        .filter(|event| runs.iter().any(|run| event["step"] == *run));
    let order: Vec<&str> = of_runs
        .map(|event| event["event"].as_str().unwrap())
        .filter(|kind| matches!(*kind, "started" | "finished"))
        .collect();
    assert_eq!(order, ["started", "finished"].repeat(4));
    space.build(&text).args(["--jobs", "0"]).ok();
}

fn metadata_reaches_the_config(space: &Space) {
    let text = r#"FROM scratch
ENV ONE=1 TWO="two words"
WORKDIR /work
WORKDIR sub
USER 12:34
EXPOSE 80 53/udp
VOLUME /data ["/more"]
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=5s --retries=2 CMD check me
SHELL ["/bin/other", "-c"]
ENTRYPOINT ["/entry"]
CMD one two
MAINTAINER someone
"#;
    space.build(text).ok();
    let image = space.image("app");
    assert_eq!(image.setting("WorkingDir"), "/work/sub");
    assert_eq!(image.setting("User"), "12:34");
    assert_eq!(
        *image.setting("ExposedPorts"),
        json!({"80/tcp": {}, "53/udp": {}})
    );
    assert_eq!(image.setting("StopSignal"), "SIGUSR1");
    let health =
        json!({"Test": ["CMD-SHELL", "check me"], "Interval": 5_000_000_000_u64, "Retries": 2});
    assert_eq!(*image.setting("Healthcheck"), health);
    assert_eq!(*image.setting("Shell"), json!(["/bin/other", "-c"]));
    assert_eq!(*image.setting("Entrypoint"), json!(["/entry"]));
    assert_eq!(
        *image.setting("Cmd"),
        json!(["/bin/other", "-c", "one two"])
    );
    assert_eq!(image.config["author"], "someone");
    let env = image.setting("Env").as_array().unwrap();
    assert!(
        env.contains(&json!("ONE=1")) && env.contains(&json!("TWO=two words")),
        "{env:?}"
    );
    assert!(env[0].as_str().unwrap().starts_with("PATH="), "{env:?}");
    assert_eq!(image.below(""), ["work", "work/sub"]);
}

fn settings_are_inherited_and_reset(space: &Space) {
    let text = "FROM tools AS base\nENV A=1\nCMD [\"base\"]\nUSER 5\nWORKDIR /in/base\nFROM base AS kept\nFROM base\nENTRYPOINT [\"/entry\"]\nENV A=2\n";
    space.build(text).args(["--target", "kept"]).ok();
    let kept = space.image("app");
    assert_eq!(
        (kept.setting("Cmd"), kept.setting("User")),
        (&json!(["base"]), &json!("5"))
    );
    assert_eq!(kept.setting("WorkingDir"), "/in/base");
    space.build(text).ok();
    let reset = space.image("app");
    assert!(
        reset.setting("Cmd").is_null(),
        "ENTRYPOINT clears an inherited CMD"
    );
    assert!(reset.setting("Env").to_string().contains("A=2"));
}

fn triggers_fire_once(space: &Space) {
    let text = "FROM tools\nONBUILD COPY word /word\nONBUILD RUN cat /word > /ran\n";
    space.build(text).args(["-t", "parent"]).ok();
    assert!(!space.image("parent").has("ran"));
    space.write("word", "pulled");
    space
        .build("FROM parent\nLABEL a=b\n")
        .args(["-t", "child"])
        .ok();
    let child = space.image("child");
    assert_eq!(child.text("ran"), "pulled");
    assert!(
        child.setting("OnBuild").is_null(),
        "triggers stay: {}",
        child.config
    );
    std::fs::remove_file(space.context().join("word")).unwrap();
    space.build("FROM child\nLABEL c=d\n").ok();
}

fn history_accounts_for_layers(space: &Space) {
    space.write("word", "");
    let text = "FROM scratch\nCOPY word /\nENV A=1\nCOPY word /again\nCMD [\"x\"]\n";
    space.build(text).ok();
    let image = space.image("app");
    let history = image.config["history"].as_array().unwrap();
    let empty: Vec<bool> = history
        .iter()
        .map(|entry| entry["empty_layer"] == true)
        .collect();
    assert_eq!(empty, [false, true, false, true], "{history:?}");
    assert_eq!(image.layers, [["word"], ["again"]]);
    assert!(
        history[1]["created_by"]
            .as_str()
            .unwrap()
            .contains("ENV A=1")
    );
}
