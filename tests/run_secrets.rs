//! A secret is seen by the step that asks for it, and is nowhere else: not in a layer, the config, the history, a key, a log, an
//! event, an error, nor in any file of the store, also while the step runs.

use crate::support::traces::holders;
use crate::support::{Space, cases};

cases! {
    secrets_are_nowhere,
    secrets_stay_in_memory,
    secrets_are_limited,
    a_variable_may_be_the_source,
}

/// Unlike anything else, and the same text as file and as variable.
const SECRET: &str = "Zq7-unmistakable-w4H";

fn is_nowhere(space: &Space) {
    assert_eq!(
        holders(&space.own(), &[SECRET]),
        [""; 0],
        "the secret is there"
    );
}

const TEXT: &str = "FROM tools
RUN --mount=type=secret,id=token [ \"$(cat /run/secrets/token)\" = \"$(cat /run/secrets/token)\" ] && wc -c < /run/secrets/token > /length
RUN --mount=type=secret,id=token,env=TOKEN [ -n \"$TOKEN\" ] && echo ${#TOKEN} >> /length
RUN --mount=type=secret,id=token,env=TOKEN,target=/token cmp=\"$(cat /token)\" && [ \"$cmp\" = \"$TOKEN\" ]
";

fn secrets_are_nowhere(space: &Space) {
    let build = |text: &str, style: &str| {
        let build = space
            .build(text)
            .args(["--secret", "id=token,env=HIDDEN", "--no-cache"]);
        build
            .env("HIDDEN", SECRET)
            .env("KILN_PROGRESS", style)
            .env("KILN_LOG", "trace")
    };
    for style in ["plain", "json"] {
        let built = build(TEXT, style).ok();
        built.never_says(&[SECRET]);
        assert!(!built.stdout.contains(SECRET));
        let failing = format!(
            "{TEXT}RUN --mount=type=secret,id=token,env=TOKEN cat /run/secrets/none; exit 9\n"
        );
        let failed = build(&failing, style).exits(1);
        failed.never_says(&[SECRET]);
    }
    let length = format!("{0}\n{0}\n", SECRET.len());
    assert_eq!(space.image("app").text("length"), length);
    for format in ["docker-archive", "oci-archive"] {
        let arguments = ["save", "--format", format, "-o"];
        space
            .kiln(arguments)
            .arg(format!("{format}.tar"))
            .arg("app")
            .ok();
    }
    let shown =
        space.kiln(["inspect", "app"]).ok().stdout + &space.kiln(["history", "app"]).ok().stdout;
    assert!(!shown.contains(SECRET), "{shown}");
    is_nowhere(space);
}

/// The step waits while the store is searched.
fn secrets_stay_in_memory(space: &Space) {
    let text = "FROM tools
RUN --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN --mount=type=cache,target=/go echo waiting && while [ ! -e /go/on ]; do sleep 0.05; done; rm /go/on
";
    let build = space.build(text).args(["--secret", "id=token,env=HIDDEN"]);
    let mut running = build
        .env("HIDDEN", SECRET)
        .env("KILN_PROGRESS", "plain")
        .spawn();
    running.until("| waiting");
    is_nowhere(space);
    let go = "FROM tools\nARG N\nRUN --mount=type=cache,target=/go echo > /go/on\n";
    space.write("go/Dockerfile", go);
    let tools = format!("tools=host-tools:{}", crate::support::space::TOOLS);
    let other = space.kiln(["build", "--build-context"]).arg(tools);
    other
        .args(["-f"])
        .arg(space.context().join("go/Dockerfile"))
        .arg(space.context())
        .ok();
    let ended = running.wait();
    assert!(ended.status.success(), "{ended}");
    is_nowhere(space);
}

fn secrets_are_limited(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=secret,id=big wc -c < /run/secrets/big\n";
    let big = space.write_in("own", "big", vec![b'x'; 500 << 10]);
    let option = format!("id=big,src={}", big.display());
    assert_eq!(
        space.build(text).args(["--secret", &option]).ok().output(),
        ["512000"]
    );
    space.write_in("own", "big", vec![b'x'; (500 << 10) + 1]);
    space
        .build(text)
        .args(["--secret", &option])
        .exits(2)
        .says(&["512000"]);
    let endless = space.build(text).args(["--secret", "id=big,src=/dev/zero"]);
    endless.exits(2).says(&["512000"]);
    // What cannot be a variable is said without being shown.
    space.write_in("own", "bytes", b"Zq7-unmistakable\xff");
    let text = "FROM tools\nRUN --mount=type=secret,id=bytes,env=BYTES true\n";
    let refused = space
        .build(text)
        .args(["--secret", "id=bytes,src=bytes"])
        .exits(1);
    refused
        .says(&["bytes", "UTF-8"])
        .never_says(&["unmistakable"]);
}

/// As docker and podman spell it: `type=env,src=NAME`.
fn a_variable_may_be_the_source(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token\n";
    let build = space.build(text).env("HIDDEN", "seven77");
    let build = build.args(["--secret", "id=token,type=env,src=HIDDEN"]);
    assert_eq!(build.ok().output(), ["7"]);
}
