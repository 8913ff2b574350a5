//! `--logfile` and `--logsplit`: progress in files instead of standard error.

use crate::support::{Space, plain_cases};

plain_cases! {
    a_log_goes_to_a_file,
    each_platform_may_have_a_log,
    one_platform_may_have_a_log_of_its_own,
}

fn a_log_goes_to_a_file(space: &Space) {
    let text = "FROM tools\nRUN echo in the log\n";
    let log = space.own_folder("logs").join("log");
    let read = || std::fs::read_to_string(&log).unwrap();
    let build = |text: &str| space.build(text).arg("--logfile").arg(&log);
    let built = build(text).ok();
    assert_eq!((built.stderr.as_str(), built.stdout.as_str()), ("", ""));
    assert!(
        read().contains("| in the log\n") && read().contains("built docker.io/library/app:latest"),
        "{}",
        read()
    );
    assert!(!read().contains('\x1b'), "{}", read());
    // It begins anew each time, and holds findings too.
    let built = build("FROM tools\nRUN echo other\nMAINTAINER me\n").ok();
    assert_eq!(built.stderr, "");
    assert!(
        !read().contains("| in the log\n") && read().contains("MaintainerDeprecated"),
        "{}",
        read()
    );
    build(text).args(["--progress", "json"]).ok();
    for line in read().lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
    // What fails is said where it can be seen.
    let failed = build("FROM tools\nRUN echo before && false\n").exits(1);
    failed.says(&["error", "Dockerfile:2"]);
    assert!(read().contains("| before\n"), "{}", read());
    let nowhere = space.build(text).args(["--logfile", "no/such/folder"]);
    nowhere.exits(3).says(&["--logfile no/such/folder: "]);
}

fn each_platform_may_have_a_log(space: &Space) {
    space.write("word", "word");
    let folder = space.own_folder("logs");
    let text =
        "FROM scratch\nCOPY word /shared\nARG TARGETARCH\nCOPY word /$TARGETARCH\nMAINTAINER me\n";
    let build = |flags: &[&str]| {
        let build = space.build(text).arg("--logfile").arg(folder.join("log"));
        build.arg("--logsplit").args(flags).ok()
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let names = || {
        let entries = std::fs::read_dir(&folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let several = "--platform=linux/amd64,linux/arm64,linux/arm/v6,linux/arm/v7";
    let built = build(&[several, "--no-cache"]);
    assert_eq!((built.stderr.as_str(), built.stdout.as_str()), ("", ""));
    let parts = [
        "log_linux_amd64",
        "log_linux_arm64",
        "log_linux_arm_v6",
        "log_linux_arm_v7",
    ];
    assert_eq!(
        names(),
        ["log"]
            .into_iter()
            .chain(parts)
            .map(str::to_owned)
            .collect()
    );
    for part in parts {
        let log = read(part);
        // What is done once is told to all that it is done for.
        assert!(
            log.contains("COPY word /shared") && log.contains("COPY word /$TARGETARCH"),
            "{log}"
        );
        let own = part
            .trim_start_matches("log_linux_")
            .split('_')
            .next()
            .unwrap();
        assert_eq!(log.matches("] COPY word /$TARGETARCH").count(), 1, "{log}");
        assert!(log.contains(&format!("[linux/{own}")), "{log}");
    }
    let common = read("log");
    assert!(
        !common.contains("COPY")
            && common.contains("built ")
            && common.contains("MaintainerDeprecated"),
        "{common}"
    );
    assert!(common.contains("steps: "), "{common}");
}

fn one_platform_may_have_a_log_of_its_own(space: &Space) {
    let folder = space.own_folder("logs");
    let text = "FROM scratch\nCOPY <<EOF /file\ntext\nEOF\n";
    let build = space.build(text).arg("--logfile").arg(folder.join("log"));
    let json = ["--logsplit", "--platform=linux/amd64", "--progress=json"];
    build.args(json).ok();
    for name in ["log", "log_linux_amd64"] {
        let log = std::fs::read_to_string(folder.join(name)).unwrap();
        let parsed: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let is_step = |event: &serde_json::Value| event["event"] == "finished";
        assert_eq!(parsed.iter().any(is_step), name != "log", "{log}");
    }
    let alone = space.build(text).arg("--logsplit").ok();
    alone.says(&["--logsplit has no effect: there is no --logfile"]);
}
