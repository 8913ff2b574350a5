//! What a step finds around it, flag by flag: names, folders, caches and their owners, scripts, values that expand.

use crate::support::{Space, cases};

cases! {
    a_working_folder_that_is_missing_is_made,
    caches_have_owners_and_modes,
    private_caches_are_not_shared,
}

mod plain {
    use super::{
        arguments_from_a_file, host_names_and_hosts, memory_has_a_size, mount_values_expand,
        proxies_are_no_part_of_the_key, scripts_with_and_without_an_interpreter,
        shared_memory_has_a_size, single_files_are_mounted, stages_without_cache,
    };
    use crate::support::plain_cases;

    plain_cases! {
        host_names_and_hosts,
        mount_values_expand,
        memory_has_a_size,
        shared_memory_has_a_size,
        single_files_are_mounted,
        scripts_with_and_without_an_interpreter,
        proxies_are_no_part_of_the_key,
        stages_without_cache,
        arguments_from_a_file,
    }
}

fn a_working_folder_that_is_missing_is_made(space: &Space) {
    let id = if space.mode.has_one_id() { 0 } else { 1234 };
    let text = format!(
        "FROM tools\nWORKDIR /made/here\nRUN rm -r /made\nUSER {id}:{id}\nRUN pwd && stat -c '%a %u %g' . ..\n"
    );
    let built = space.build(&text).ok();
    let owned = format!("755 {id} {id}");
    assert_eq!(built.output(), ["/made/here", &owned, &owned], "{built}");
    let image = space.image("app");
    let folder = image.entry("made/here");
    assert_eq!((folder.mode, folder.uid, folder.gid), (0o755, id, id));
}

fn caches_have_owners_and_modes(space: &Space) {
    let id = if space.mode.has_one_id() { 0 } else { 1234 };
    let text = format!("FROM tools
RUN --mount=type=cache,target=/plain --mount=type=cache,target=/own,mode=0710,uid={id},gid={id} stat -c '%a %u %g' /plain /own && echo x > /own/file
RUN --mount=type=cache,target=/own,mode=0711,uid={id},gid={id} [ ! -e /own/file ] && echo another
RUN --mount=type=cache,target=/other,id=/own,mode=0710,uid={id},gid={id},ro cat /other/file && ! echo y 2> /dev/null > /other/file
");
    let built = space.build(&text).ok();
    let own = format!("710 {id} {id}");
    assert_eq!(built.output(), ["755 0 0", &own, "another", "x"], "{built}");
}

fn private_caches_are_not_shared(space: &Space) {
    let run = "RUN --mount=type=cache,id=p,target=/cache,sharing=private mkdir /cache/busy && sleep 0.3 && rm -r /cache/busy && echo x > /done";
    let stage = |number: usize| format!("FROM tools AS s{number}\nENV N={number}\n{run}\n");
    let stages: String = (0..3).map(stage).collect();
    let copies: String = (0..3)
        .map(|number| format!("COPY --from=s{number} /done /{number}\n"))
        .collect();
    space.build(&format!("{stages}FROM scratch\n{copies}")).ok();
    assert_eq!(space.image("app").below(""), ["0", "1", "2"]);
}

fn host_names_and_hosts(space: &Space) {
    let text = "FROM tools\nRUN echo $HOSTNAME && cat /proc/sys/kernel/hostname /etc/hosts && [ -s /etc/resolv.conf ] || echo no resolver\n";
    let named = [
        "--build-arg",
        "BUILDKIT_SANDBOX_HOSTNAME=box",
        "--add-host",
        "db:10.0.0.7",
    ];
    let built = space.build(text).args(named).ok();
    let output = built.output();
    assert_eq!(output[..2], ["box", "box"]);
    assert!(
        output[2].starts_with("127.0.0.1")
            && output[2].contains("localhost")
            && output[2].contains("box"),
        "{built}"
    );
    assert!(output.contains(&"10.0.0.7\tdb"), "{built}");
    assert!(!space.image("app").has("etc/hosts"));
}

fn mount_values_expand(space: &Space) {
    space.write("folder/word", "expanded");
    let text = "FROM tools
ARG NAME=folder
ENV PLACE=/place MODE=0440
RUN --mount=type=bind,source=$NAME,target=${PLACE}/here --mount=type=secret,id=${NAME:-x},target=$PLACE/token,mode=$MODE cat $PLACE/here/word && echo && stat -c %a /place/token
";
    let built = space
        .build(text)
        .args(["--secret", "id=folder,env=VALUE"])
        .env("VALUE", "v")
        .ok();
    assert_eq!(built.output(), ["expanded", "440"], "{built}");
}

fn memory_has_a_size(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=tmpfs,target=/small,size=1m --mount=type=tmpfs,target=/large i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done > /large/list && for n in 1 2 3 4 5 6 7 8; do cat /large/list /large/list /large/list /large/list /large/list /large/list; done > /large/data && cat /large/data /large/data /large/data > /small/data || echo full\n";
    let built = space.build(text).ok();
    assert!(built.output().contains(&"full"), "{built}");
}

fn shared_memory_has_a_size(space: &Space) {
    let text = "FROM tools\nCOPY --from=more / /\nRUN df -k /dev/shm | while read a blocks b; do echo $blocks; done\n";
    let build = || {
        space
            .build(text)
            .args(["--build-context", "more=host-tools:df"])
    };
    assert!(build().ok().output().contains(&"65536"));
    // Letters are powers of 1024, as docker's are.
    let changed = build().args(["--shm-size", "2m"]).ok();
    assert!(changed.output().contains(&"2048"), "{changed}");
}

fn single_files_are_mounted(space: &Space) {
    space.write("conf", "from the context");
    let text = "FROM tools\nRUN echo below > /conf\nRUN --mount=source=conf,target=/conf --mount=source=conf,target=/new/conf,rw cat /conf && echo && echo changed > /new/conf && cat /new/conf\n";
    let built = space.build(text).ok();
    assert_eq!(built.output(), ["from the context", "changed"], "{built}");
    let image = space.image("app");
    assert_eq!(image.text("conf"), "below\n");
    assert!(!image.has("new"));
}

fn scripts_with_and_without_an_interpreter(space: &Space) {
    let text = r#"FROM tools
ENV A=env
RUN <<EOF cat && echo $A
body $A
EOF
RUN <<'EOF'
#!/bin/sh -e
echo "$0" "$A"
EOF
RUN <<-EOF
	echo tabs are gone
	EOF
SHELL ["/bin/sh", "-ec"]
RUN <<EOF
false
echo never
EOF
"#;
    let built = space.build(text).exits(1);
    let expected = ["body env", "env", "/dev/pipes/EOF env", "tabs are gone"];
    assert_eq!(built.output(), expected, "{built}");
    assert!(built.stderr.contains("exit code 1"), "{built}");
}

fn proxies_are_no_part_of_the_key(space: &Space) {
    let text = "FROM tools\nRUN echo \"[$HTTP_PROXY$no_proxy]\" > /seen\n";
    let build = |proxy: &str| {
        space
            .build_json(text)
            .args(["--build-arg", proxy])
            .ok()
            .events()
            .ran()
            .len()
    };
    assert_eq!(build("HTTP_PROXY=http://user:pass@proxy"), 1);
    assert_eq!(
        space.image("app").text("seen"),
        "[http://user:pass@proxy]\n"
    );
    let shown =
        space.kiln(["inspect", "app"]).ok().stdout + &space.kiln(["history", "app"]).ok().stdout;
    assert!(!shown.contains("user:pass"), "{shown}");
    assert_eq!(build("no_proxy=other"), 0);
}

fn stages_without_cache(space: &Space) {
    let text = "FROM tools AS one\nRUN echo 1 > /1\nFROM tools AS Two\nRUN echo 2 > /2\nFROM tools\nRUN echo 3 > /3\nCOPY --from=one /1 /\nCOPY --from=two /2 /\n";
    let ran = |filters: &[&str]| {
        let build = space.build_json(text);
        let build = filters.iter().fold(build, |build, filter| {
            build.args(["--no-cache-filter", filter])
        });
        build.ok().events().ran_sorted()
    };
    ran(&[]);
    assert_eq!(ran(&[]), [""; 0]);
    assert_eq!(ran(&["one"]), ["RUN echo 1 > /1"]);
    assert_eq!(ran(&["TWO", "one"]), ["RUN echo 1 > /1", "RUN echo 2 > /2"]);
    assert_eq!(ran(&["one,two"]), ["RUN echo 1 > /1", "RUN echo 2 > /2"]);
    let last = [
        "COPY --from=one /1 /",
        "COPY --from=two /2 /",
        "RUN echo 3 > /3",
    ];
    assert_eq!(ran(&["2"]), last);
    let unknown = space.build(text).args(["--no-cache-filter", "moon"]).ok();
    unknown.says(&["--no-cache-filter moon"]);
}

fn arguments_from_a_file(space: &Space) {
    space.write_in(
        "own",
        "arguments",
        "# a comment\n\nONE=1\nTWO=a=b c\n  THREE=3\nFOUR\n",
    );
    let text = "FROM scratch\nARG ONE\nARG TWO\nARG THREE\nARG FOUR\nLABEL all=\"$ONE-$TWO-$THREE-$FOUR\"\n";
    let build = || space.build(text).args(["--build-arg-file", "arguments"]);
    build()
        .args(["--build-arg", "THREE=line"])
        .env("FOUR", "outside")
        .ok();
    assert_eq!(
        space.image("app").setting("Labels")["all"],
        "1-a=b c-line-outside"
    );
    space
        .build(text)
        .args(["--build-arg-file", "none"])
        .exits(2)
        .says(&["none"]);
    space.write_in("own", "arguments", "=x\n");
    build().exits(2).says(&["NAME=VALUE"]);
}
