//! `kiln advise`: what would make an image smaller, faster to build, or right; and the edits that do it.

use serde_json::Value;

use crate::support::space::TOOLS;
use crate::support::{Finished, Space, plain_cases};

plain_cases! {
    traps_of_platforms_are_told,
    files_of_the_context_are_left_out,
    an_image_alone_is_advised_on,
    wrong_arguments_are_told,
    lists_are_fetched_where_they_are_used,
    all_edits_of_a_run_fit_together,
    wasteful_steps_are_mended,
    what_fails_writes_nothing,
    packages_are_advised_on,
    edits_that_break_a_build_are_left_out,
}

/// Runs it on the Dockerfile of the context.
fn advise(space: &Space, arguments: &[&str], code: i32) -> Finished {
    let file = space.context().join("Dockerfile");
    space.give(&space.context());
    space.give(&file);
    let tools = format!("tools=host-tools:{TOOLS}");
    let ran = space
        .kiln(["advise", "-q"])
        .arg(file)
        .arg("--context")
        .arg(space.context());
    ran.args(arguments)
        .args(["--", "--build-context", &tools])
        .exits(code)
}

fn found(space: &Space) -> Vec<Value> {
    let ran = advise(space, &["--format", "json"], 0);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn of<'a>(found: &'a [Value], rule: &str) -> &'a Value {
    let one = found.iter().find(|finding| finding["rule"] == rule);
    one.unwrap_or_else(|| panic!("no {rule} in {found:?}"))
}

fn wasteful_steps_are_mended(space: &Space) {
    space.write("big", vec![b'x'; 300_000]);
    let text = "# kept as it is  \nFROM tools\nCOPY big /app/big\nRUN mkdir /work && cat /app/big > /work/x\n\
        ENV A=b\nRUN chmod -R 750 /app\nRUN rm -rf /work\nCMD   [\"sh\"]";
    space.write("Dockerfile", text);
    let findings = found(space);
    let deleted = of(&findings, "deleted-later");
    assert_eq!(
        (&deleted["line"], &deleted["bytes"]),
        (&4.into(), &300_000.into())
    );
    let changed = of(&findings, "changed-owner");
    assert_eq!(
        (&changed["line"], &changed["bytes"]),
        (&6.into(), &300_000.into())
    );
    let arguments = [
        "--apply",
        "--verify",
        "--test",
        "test -x /app/big && test ! -e /work",
    ];
    let ran = advise(space, &arguments, 0);
    assert!(
        ran.stdout
            .contains("verified: all other files are the same"),
        "{ran}"
    );
    assert!(ran.stdout.contains("tested: the command succeeds"), "{ran}");
    assert!(ran.stdout.contains(" less ("), "{ran}");
    let edited = std::fs::read_to_string(space.context().join("Dockerfile")).unwrap();
    let expected = "# kept as it is  \nFROM tools\nCOPY --chmod=750 big /app/big\n\
        RUN mkdir /work && cat /app/big > /work/x && rm -rf /work\n\
        ENV A=b\nRUN chmod 750 /app\nRUN rm -rf /work\nCMD   [\"sh\"]";
    assert_eq!(edited, expected);
    let left = found(space);
    assert!(
        left.iter().all(|finding| finding["bytes"].is_null()),
        "{left:?}"
    );
}

fn what_fails_writes_nothing(space: &Space) {
    space.write("big", vec![b'x'; 300_000]);
    let text = "FROM tools\nCOPY big /app/big\nRUN chmod 750 /app/big\n";
    space.write("Dockerfile", text);
    let ran = advise(space, &["--apply", "--test", "test -e /nothing"], 1);
    ran.says(&["nothing was written"]);
    let kept = std::fs::read_to_string(space.context().join("Dockerfile")).unwrap();
    assert_eq!(kept, text);
}

const STATUS: &str = "Package: app\nStatus: install ok installed\nInstalled-Size: 1\nDepends: lib\n\n\
    Package: lib\nStatus: install ok installed\nInstalled-Size: 1\n\n\
    Package: docs\nStatus: install ok installed\nInstalled-Size: 4\n";
const STATES: &str = "Package: lib\nAuto-Installed: 1\n\nPackage: docs\nAuto-Installed: 1\n";

/// A package manager that is none: what it leaves behind is what counts.
fn packages_are_advised_on(space: &Space) {
    space.write("package.json", "{}");
    let apt = "#!/bin/sh\nmkdir -p /var/lib/apt/lists /var/lib/dpkg\ncp /status /var/lib/dpkg/status\n\
        cp /states /var/lib/apt/extended_states\ncp /big /var/lib/apt/lists/x\n";
    let path = space.write("apt-get", apt);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
    space.write("status", STATUS);
    space.write("states", STATES);
    space.write("big", vec![b'x'; 100_000]);
    let text = "FROM tools\nCOPY apt-get /bin/\nCOPY . /\nRUN apt-get update && apt-get install -y app\nRUN : npm ci\n";
    space.write("Dockerfile", text);
    let findings = found(space);
    assert_eq!(of(&findings, "recommends")["bytes"], 4096);
    assert_eq!(of(&findings, "package-cache")["bytes"], 100_000);
    let order = of(&findings, "layer-cache");
    assert_eq!(order["line"], 3);
    assert!(
        order["advice"]
            .as_str()
            .unwrap()
            .starts_with("COPY package.json ./ before line 5"),
        "{order}"
    );
    assert!(order["seconds"].is_f64(), "{order}");
    advise(
        space,
        &[
            "--apply",
            "--verify",
            "--only",
            "package-cache",
            "--only",
            "recommends",
        ],
        0,
    );
    let edited = std::fs::read_to_string(space.context().join("Dockerfile")).unwrap();
    let mounts = "--mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked";
    let line =
        format!("RUN {mounts} apt-get update && apt-get install --no-install-recommends -y app");
    assert!(edited.lines().any(|other| other == line), "{edited}");
}

/// Programs of the context that do this, as package managers are called.
fn programs(space: &Space, names: &[&str], text: &str) {
    for name in names {
        let path = space.write(name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
}

/// A package manager that installs nothing without its lists.
const LISTS: &str = "#!/bin/sh\nmkdir -p /var/lib/apt/lists /var/cache/apt\necho $* >> /var/cache/apt/log\n\
    case $1 in update) cp /bin/sh /var/lib/apt/lists/x ;; *) cat /var/lib/apt/lists/x > /var/cache/apt/index ;; esac\n";

fn lists_are_fetched_where_they_are_used(space: &Space) {
    programs(space, &["apt-get", "apk"], LISTS);
    let text = "# escape=`\nFROM tools\nCOPY apt-get apk /bin/\nrun apt-get update \n\n# why\n  RUN apt-get install -y `\n    # more\n    gcc\n\
        RUN apk update\nCOPY apk /other\nRUN apk add x\nCMD   [\"sh\"]";
    space.write("Dockerfile", text);
    let findings = found(space);
    let stale = findings.iter().filter(|one| one["rule"] == "stale-lists");
    let lines: Vec<&Value> = stale.map(|one| &one["line"]).collect();
    assert_eq!(lines, [4, 10], "{findings:?}");
    let only = ["--apply", "--verify", "--only", "stale-lists"];
    advise(space, &only, 0).says(&[]);
    let edited = std::fs::read_to_string(space.context().join("Dockerfile")).unwrap();
    let expected = "# escape=`\nFROM tools\nCOPY apt-get apk /bin/\nrun apt-get update && `\n# why\n    apt-get install -y `\n    # more\n    gcc\n\
        COPY apk /other\nRUN apk update && apk add x\nCMD   [\"sh\"]";
    assert_eq!(edited, expected);
    // what has other flags, what is in another stage and what is no list of commands is only told
    let text = "FROM tools AS a\nCOPY apt-get /bin/\nRUN apt-get update\nFROM a\nRUN <<E\napt-get install -y gcc\nE\n";
    space.write("Dockerfile", text);
    let stale = of(&found(space), "stale-lists").clone();
    assert_eq!(
        (&stale["line"], &stale["edits"]),
        (&3.into(), &serde_json::json!([]))
    );
}

fn all_edits_of_a_run_fit_together(space: &Space) {
    programs(space, &["apt-get"], LISTS);
    let text = "FROM tools\nCOPY apt-get /bin/\nRUN apt-get update\nRUN apt-get install -y app\n";
    space.write("Dockerfile", text);
    advise(space, &["--apply", "--verify"], 0);
    let edited = std::fs::read_to_string(space.context().join("Dockerfile")).unwrap();
    let mounts = "--mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked";
    let expected = format!(
        "FROM tools\nCOPY apt-get /bin/\nRUN {mounts} apt-get update && \\\n    apt-get install --no-install-recommends -y app\n"
    );
    assert_eq!(edited, expected);
}

/// What only a recommendation brought is needed: the other edits are made without it.
fn edits_that_break_a_build_are_left_out(space: &Space) {
    let apt = "#!/bin/sh\nmkdir -p /var/lib/apt/lists\ncp /big /var/lib/apt/lists/x\n\
        case \"$*\" in *no-install*) ;; *install*) echo needed > /needed ;; esac\n";
    let path = space.write("apt-get", apt);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
    space.write("big", vec![b'x'; 100_000]);
    let text = "FROM tools\nCOPY apt-get /bin/\nCOPY big /\nRUN apt-get update && apt-get install -y app\nRUN cat /needed\n";
    space.write("Dockerfile", text);
    let ran = advise(space, &["--apply", "--verify"], 0);
    ran.says(&["the edits of recommends were left out"]);
    let edited = std::fs::read_to_string(space.context().join("Dockerfile")).unwrap();
    assert!(edited.contains("target=/var/lib/apt/lists"), "{edited}");
    assert!(!edited.contains("no-install-recommends"), "{edited}");
}

fn traps_of_platforms_are_told(space: &Space) {
    space.write("word", "word");
    let mut elf = vec![0; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = 243;
    let program = space.write("program", &elf);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(program, mode).unwrap();
    let text = "ARG TARGETARCH=amd64\nFROM --platform=$BUILDPLATFORM tools\nARG TARGETOS=linux OTHER=x\nCOPY program /bin/riscv\n";
    space.write("Dockerfile", text);
    let findings = found(space);
    let defaults: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["rule"] == "platform-default")
        .collect();
    assert_eq!(defaults.len(), 2, "{findings:?}");
    assert_eq!(of(&findings, "build-platform")["line"], 2);
    let machine = of(&findings, "foreign-machine");
    assert_eq!(machine["line"], 4);
    assert!(
        machine["what"].as_str().unwrap().contains("riscv64"),
        "{machine}"
    );
    // a person has to decide
    assert!(
        findings
            .iter()
            .all(|finding| finding["edits"].as_array().unwrap().is_empty())
    );
    let ran = advise(space, &["--apply"], 0);
    ran.says(&["nothing can be edited without a person"]);
}

fn files_of_the_context_are_left_out(space: &Space) {
    space.write(".git/objects/pack", vec![b'g'; 50_000]);
    space.write("sub/.git/x", vec![b'h'; 10_000]);
    space.write("app", "app");
    space.write(".dockerignore", "*.log");
    space.write("Dockerfile", "FROM scratch\nCOPY . /app/\n");
    let findings = found(space);
    let ignored = of(&findings, "ignored-files");
    assert_eq!(
        (&ignored["line"], &ignored["bytes"]),
        (&2.into(), &60_000.into())
    );
    advise(space, &["--apply", "--verify"], 0);
    let ignore = std::fs::read_to_string(space.context().join(".dockerignore")).unwrap();
    assert_eq!(ignore, "*.log\n**/.git\n");
}

fn an_image_alone_is_advised_on(space: &Space) {
    space.write("big", vec![b'x'; 200_000]);
    space
        .build("FROM scratch\nCOPY big /big\nCOPY big /copy\n")
        .ok();
    let ran = space.kiln(["advise", "app"]).ok();
    assert!(ran.stdout.contains("duplicates, ~200kB"), "{ran}");
    assert!(ran.stdout.contains("/copy is /big"), "{ran}");
    space
        .kiln(["advise", "app", "--apply"])
        .exits(2)
        .says(&["--apply needs a Dockerfile"]);
}

fn wrong_arguments_are_told(space: &Space) {
    space.write("Dockerfile", "FROM scratch\n");
    let fails = |arguments: &[&str], says: &str| {
        space
            .kiln(["advise"])
            .args(arguments)
            .exits(2)
            .says(&[says]);
    };
    fails(
        &["app", "--only", "magic"],
        "no such kind of advice; there are deleted-later",
    );
    fails(&["app", "--verify"], "--apply");
    space.kiln(["advise", "nothing"]).exits(1);
}
