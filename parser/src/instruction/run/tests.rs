//! What RUN becomes.

use crate::graph::{Network, Op, RunMount, RunOp, SecretMount, Security, Sharing, SshMount};
use crate::inputs::Entitlement;
use crate::tests::{build_arg, evaluated, evaluation_messages, messages, no_arguments};

fn run(source: &str) -> RunOp {
    let graph = evaluated(&format!("FROM scratch\n{source}\n"), no_arguments());
    last(&graph)
}

fn last(graph: &crate::graph::StageGraph) -> RunOp {
    match &graph.nodes.last().unwrap().op {
        Op::Run(run) => run.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_forms() {
    assert_eq!(
        run("RUN a \"$B\"  c").argv,
        ["/bin/sh", "-c", "a \"$B\"  c"]
    );
    assert_eq!(run("RUN [\"a\", \"$B\"]").argv, ["a", "$B"]);
    assert_eq!(run("RUN").argv, ["/bin/sh", "-c", ""]);
    let run = run("SHELL [\"/bin/bash\", \"-c\"]\nUSER u\nWORKDIR /w\nRUN x");
    assert_eq!(run.argv, ["/bin/bash", "-c", "x"]);
    assert_eq!((run.user.as_str(), run.cwd.as_str()), ("u", "/w"));
}

#[test]
fn arguments_are_environment_and_history() {
    let graph = evaluated(
        "FROM scratch\nARG A=1 B\nENV C=2\nRUN x",
        build_arg("B", "b"),
    );
    assert_eq!(last(&graph).env[1..], ["A=1", "B=b", "C=2"]);
    let made = &graph.target_stage().history.last().unwrap().created_by;
    assert_eq!(made, "RUN |2 A=1 B=b /bin/sh -c x # buildkit");
}

#[test]
fn proxies_are_not_part_of_the_definition() {
    let with = evaluated("FROM scratch\nRUN x", build_arg("http_proxy", "p"));
    let without = evaluated("FROM scratch\nRUN x", no_arguments());
    assert_eq!(last(&with).proxy_env.0, ["HTTP_PROXY=p", "http_proxy=p"]);
    assert_eq!(
        serde_json::to_string(&with.nodes).unwrap(),
        serde_json::to_string(&without.nodes).unwrap()
    );
    assert!(with.unused_build_args.is_empty());
}

#[test]
fn heredocs() {
    assert_eq!(run("RUN <<E\na\n$b\nE").argv, ["/bin/sh", "-c", "a\n$b\n"]);
    assert_eq!(run("RUN <<-E\n\ta\n\tE").argv[2], "a\n");
    let script = run("RUN <<E\n#!/bin/x\na\nE");
    assert_eq!(script.argv, ["/bin/sh", "-c", "/dev/pipes/E"]);
    assert_eq!(
        (
            script.heredocs[0].content.as_str(),
            script.heredocs[0].executable
        ),
        ("#!/bin/x\na\n", true)
    );
    let indented = run("RUN <<-E\n\t#!/bin/x\n\tE");
    assert_eq!(indented.argv, ["/bin/sh", "-c", "/dev/pipes/E"]);
    assert_eq!(indented.heredocs[0].content, "#!/bin/x\n");
    for shell in ["RUN <<E\n\t#!/bin/x\nE", "RUN <<-E\n #!/bin/x\nE"] {
        assert_eq!(run(shell).heredocs, [], "{shell}");
    }
    assert_eq!(
        run("RUN cat <<-E <<F\n\ta\nE\nb\nF").argv[2],
        "cat <<-E <<F\n\ta\nE\nb\nF"
    );
}

#[test]
fn a_command_is_needed() {
    for source in [
        "FROM scratch\nRUN []",
        "FROM scratch\nRUN --network=none [ ]",
        "FROM scratch AS a\nONBUILD RUN []\nFROM a",
    ] {
        let messages = evaluation_messages(source);
        assert_eq!(messages, ["RUN requires at least one argument"], "{source}");
    }
    assert_eq!(run("RUN [\"\"]").argv, [""]);
}

#[test]
fn proxies_that_are_empty_are_none() {
    let given = [("http_proxy", ""), ("HTTP_PROXY", "p"), ("no_proxy", "n")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut inputs = no_arguments();
    inputs.language.build_args = given.into();
    let graph = evaluated("FROM scratch\nRUN x", inputs);
    assert_eq!(last(&graph).proxy_env.0, ["NO_PROXY=n", "no_proxy=n"]);
}

#[test]
fn a_cache_that_begins_with_files_looks_as_they_do() {
    let owner =
        |mount: &str| match &run(&format!("RUN --mount=type=cache,target=/c{mount} x")).mounts[0] {
            RunMount::Cache(cache) => (cache.mode, cache.uid, cache.gid),
            other => panic!("{other:?}"),
        };
    assert_eq!(owner(""), (Some(0o755), Some(0), Some(0)));
    assert_eq!(owner(",uid=7"), (Some(0o755), Some(7), Some(0)));
    assert_eq!(owner(",from=scratch"), (None, None, None));
    assert_eq!(owner(",from=scratch,mode=0700"), (Some(0o700), None, None));
}

#[test]
fn mounts() {
    let run = run(
        "ENV T=/t\nWORKDIR /w\nRUN --mount=target=x,src=/a/../b,rw --mount=type=cache,id=i,target=$T,sharing=locked \
         --mount=type=tmpfs,target=/y,size=1k --mount=type=secret,id=s --mount=type=secret,id=e,env=E --mount=type=ssh x",
    );
    let (RunMount::Bind(bind), RunMount::Cache(cache)) = (&run.mounts[0], &run.mounts[1]) else {
        panic!("{run:?}")
    };
    assert_eq!(
        (bind.source.as_str(), bind.target.as_str(), bind.rw),
        ("/b", "/w/x", true)
    );
    assert_eq!(
        (
            cache.id.as_str(),
            cache.target.as_str(),
            cache.sharing,
            cache.from
        ),
        ("i", "/t", Sharing::Locked, None)
    );
    assert_eq!(
        run.mounts[2],
        RunMount::Tmpfs {
            target: "/y".into(),
            size: Some(1024)
        }
    );
    assert_eq!(
        run.mounts[3],
        RunMount::Secret(SecretMount {
            id: "s".into(),
            target: Some("/run/secrets/s".into()),
            env: None,
            required: false,
            mode: 0o400,
            uid: 0,
            gid: 0
        })
    );
    assert!(
        matches!(&run.mounts[4], RunMount::Secret(SecretMount { target: None, env: Some(env), .. }) if env == "E")
    );
    assert!(
        matches!(&run.mounts[5], RunMount::Ssh(SshMount { id, target: None, mode: 0o600, .. }) if id == "default")
    );
}

#[test]
fn mounts_of_stages_are_inputs() {
    let source = "FROM scratch AS a\nCOPY x /\nFROM scratch\nRUN --mount=from=a,target=/x y";
    let graph = evaluated(source, no_arguments());
    let node = graph.nodes.last().unwrap();
    let a = graph.stages[0].output;
    assert_eq!(node.op.inputs(), [graph.stages[1].base, a]);
}

#[test]
fn wrong_mounts() {
    for bad in ["from=$X,target=/a", "\"a", ""] {
        assert_eq!(
            messages(&format!("FROM x\nRUN --mount={bad} y")).len(),
            usize::from(bad != "\"a"),
            "{bad}"
        );
    }
    for bad in [
        "target=/",
        "type=foo,target=/a",
        "foo=1",
        "type=tmpfs,target=/a,size=x",
    ] {
        let found = evaluation_messages(&format!("FROM scratch\nRUN --mount={bad} y"));
        assert_eq!(found.len(), 1, "{bad}");
    }
    let found = evaluation_messages("FROM scratch\nRUN --mount=typ=cache,target=/a y");
    assert_eq!(found, ["unexpected key 'typ' in 'typ=cache'"]);
}

#[test]
fn rights_must_be_granted() {
    let source = "FROM scratch\nRUN --network=host --security=insecure x";
    assert_eq!(
        evaluation_messages(source),
        ["granting entitlement network.host is not allowed"]
    );
    let mut inputs = no_arguments();
    inputs.language.allow = [Entitlement::NetworkHost, Entitlement::SecurityInsecure].into();
    let run = last(&evaluated(source, inputs));
    assert_eq!(
        (run.network, run.security),
        (Network::Host, Security::Insecure)
    );
    assert_eq!(
        messages("FROM x\nRUN --network=foo x\nRUN --security=foo x").len(),
        2
    );
}
