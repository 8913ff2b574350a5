//! From text to graph: stages, requests, contexts, errors.

use kiln_oci::{Digest, History, ImageConfig, Platform};

use super::{build_arg, evaluated, evaluation_messages, messages, no_arguments, target};
use crate::ast::parse;
use crate::diagnostic::{Diagnostic, Phase};
use crate::evaluate::evaluate;
use crate::graph::{CopySource, Op, StageGraph};
use crate::inputs::{Bases, Evaluation, ImageRequest, Inputs, NamedContext};

fn ask(source: &str, inputs: &Inputs, bases: &Bases) -> Result<Evaluation, Vec<Diagnostic>> {
    let parsed = parse(source);
    assert!(!parsed.has_errors(), "{:?}", parsed.errors);
    evaluate(&parsed.dockerfile, inputs, bases)
}

fn needs(source: &str, inputs: &Inputs, bases: &Bases) -> Vec<ImageRequest> {
    match ask(source, inputs, bases).unwrap() {
        Evaluation::Needs(requests) => requests,
        other => panic!("{other:?}"),
    }
}

fn graph(source: &str, inputs: &Inputs, bases: &Bases) -> StageGraph {
    match ask(source, inputs, bases).unwrap() {
        Evaluation::Graph(graph) => *graph,
        other => panic!("{other:?}"),
    }
}

/// An image with one layer.
fn image(change: impl FnOnce(&mut ImageConfig)) -> ImageConfig {
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    config.rootfs.diff_ids = vec![Digest::of(b"layer")];
    change(&mut config);
    config
}

fn answer(bases: &mut Bases, requests: &[ImageRequest], config: &ImageConfig) {
    for request in requests {
        bases.insert(request, config.clone());
    }
}

#[test]
fn only_what_the_target_needs_is_requested() {
    let source = "ARG V=3\nFROM unused\nFROM alpine:$V AS a\nFROM --platform=$BUILDPLATFORM tools AS t\n\
        COPY --from=busybox /x /x\nFROM a\nCOPY --from=t / /\nFROM never";
    let mut inputs = no_arguments();
    inputs.language.target = Some("A".to_owned());
    let requests = needs(source, &inputs, &Bases::default());
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].reference.as_str(), requests[0].needs_config),
        ("alpine:3", true)
    );
    inputs.language.target = Some("t".to_owned());
    inputs.build_platform = Platform::new("linux", "arm64");
    let requests = needs(source, &inputs, &Bases::default());
    let asked: Vec<_> = requests
        .iter()
        .map(|request| {
            (
                request.reference.as_str(),
                request.platform.architecture.as_str(),
                request.needs_config,
            )
        })
        .collect();
    assert_eq!(
        asked,
        [("tools", "arm64", true), ("busybox", "amd64", false)]
    );
}

#[test]
fn the_base_gives_its_configuration() {
    let source = "FROM base\nENV B=2\nRUN x";
    let (inputs, mut bases) = (no_arguments(), Bases::default());
    let requests = needs(source, &inputs, &bases);
    let config = image(|config| {
        config.config.env = vec!["A=1".to_owned()];
        config.config.user = "u".to_owned();
        config.config.working_dir = "w/".to_owned();
        config.config.cmd = Some(vec!["c".to_owned()]);
        config.author = Some("me".to_owned());
    });
    answer(&mut bases, &requests, &config);
    let graph = graph(source, &inputs, &bases);
    let stage = graph.target_stage();
    assert_eq!(stage.config.env[0], "A=1");
    assert!(stage.config.env[1].starts_with("PATH="));
    assert_eq!(
        (stage.config.working_dir.as_str(), stage.author.as_deref()),
        ("/w", Some("me"))
    );
    assert_eq!(stage.base_image.as_ref(), Some(&config));
    let Op::Run(run) = &graph.nodes[1].op else {
        panic!("{graph:?}")
    };
    assert_eq!((run.user.as_str(), run.cwd.as_str()), ("u", "/w"));
    assert!(matches!(&graph.nodes[0].op, Op::Image { reference, .. } if reference == "base"));
}

#[test]
fn an_image_without_layers_is_scratch() {
    let (inputs, mut bases) = (no_arguments(), Bases::default());
    let requests = needs("FROM empty", &inputs, &bases);
    answer(
        &mut bases,
        &requests,
        &image(|config| config.rootfs.diff_ids.clear()),
    );
    assert_eq!(
        graph("FROM empty", &inputs, &bases).nodes[0].op,
        Op::Scratch
    );
    let history = |config: &mut ImageConfig| {
        config.rootfs.diff_ids.clear();
        config.history = vec![History::default()];
    };
    answer(&mut bases, &requests, &image(history));
    assert!(matches!(
        graph("FROM empty", &inputs, &bases).nodes[0].op,
        Op::Image { .. }
    ));
}

#[test]
fn triggers_of_an_image_may_need_more_images() {
    let source = "FROM other AS tools\nFROM base\nLABEL own=1";
    let (inputs, mut bases) = (no_arguments(), Bases::default());
    let requests = needs(source, &inputs, &bases);
    assert_eq!(requests.len(), 1);
    let config = image(|config| {
        config.config.on_build = vec![
            "COPY --from=tools /a /b".to_owned(),
            "RUN <<E\nx\nE".to_owned(),
        ];
    });
    answer(&mut bases, &requests, &config);
    let requests = needs(source, &inputs, &bases);
    assert_eq!(requests[0].reference, "other");
    answer(&mut bases, &requests, &image(|_| {}));
    let graph = graph(source, &inputs, &bases);
    let stage = graph.target_stage();
    assert!(stage.config.on_build.is_empty());
    let made: Vec<_> = stage
        .history
        .iter()
        .map(|step| (step.created_by.as_str(), step.line))
        .collect();
    assert_eq!(
        made,
        [
            ("COPY /a /b # buildkit", 2),
            ("RUN /bin/sh -c x\n # buildkit", 2),
            ("LABEL own=1", 3),
        ]
    );
    let node = graph.node(stage.history[0].node.unwrap());
    assert_eq!(
        (node.title.as_str(), node.span),
        ("ONBUILD COPY --from=tools /a /b", None)
    );
}

#[test]
fn broken_triggers_are_reported_at_from() {
    for trigger in [
        "FROM x",
        "RUN a\nRUN b",
        "",
        "FOO",
        "ENV a",
        "COPY --from=9 a b",
    ] {
        let (inputs, mut bases) = (no_arguments(), Bases::default());
        let requests = needs("# c\nFROM base", &inputs, &bases);
        answer(
            &mut bases,
            &requests,
            &image(|config| config.config.on_build = vec![trigger.to_owned()]),
        );
        let found = ask("# c\nFROM base", &inputs, &bases).unwrap_err();
        assert_eq!(
            (found.len(), found[0].span.start(), found[0].line),
            (1, 4, 2),
            "{trigger}"
        );
    }
}

#[test]
fn stages_continue_each_other() {
    let source = "FROM scratch AS a\nARG X=1\nENV E=1\nCOPY f /\nFROM a AS b\nRUN y\nFROM b";
    let graph = evaluated(source, build_arg("X", "2"));
    let stage = graph.target_stage();
    assert_eq!(
        (stage.index, stage.base, stage.output),
        (2, graph.stages[1].output, graph.stages[1].output)
    );
    let made: Vec<_> = stage
        .history
        .iter()
        .map(|step| step.created_by.as_str())
        .collect();
    assert_eq!(made[3], "RUN |1 X=2 /bin/sh -c y # buildkit");
    let Op::Run(run) = &graph.node(stage.output).op else {
        panic!("{graph:?}")
    };
    assert_eq!(run.env[0], "X=2");
}

#[test]
fn equal_operations_are_one_node() {
    let source = "FROM scratch AS a\nCOPY f /\nRUN x\nFROM scratch AS b\nCOPY f /\nRUN x\nRUN y\n\
        FROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b";
    let graph = evaluated(source, no_arguments());
    assert_eq!(
        graph.stages[0].output,
        graph.node(graph.stages[1].output).op.inputs()[0]
    );
    let definition = |op: &Op| serde_json::to_string(&op.definition()).unwrap();
    let runs: Vec<_> = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Run(_)))
        .collect();
    assert_eq!(runs.len(), 2);
    assert_ne!(definition(&runs[0].op), definition(&runs[1].op));
}

#[test]
fn names_of_stages() {
    // The last of a name counts, FROM takes it as it is, --target and --from in any case.
    let source = "FROM scratch AS a\nLABEL l=1\nFROM scratch AS a\nLABEL l=2\nFROM a";
    assert_eq!(target(source).config.labels["l"], "2");
    let requests = needs(
        "FROM scratch AS foo\nFROM FOO/x",
        &no_arguments(),
        &Bases::default(),
    );
    assert_eq!(requests[0].reference, "FOO/x");
    for wrong in ["1", "b", "a:latest"] {
        let mut inputs = no_arguments();
        inputs.language.target = Some(wrong.to_owned());
        let found = ask("FROM scratch AS a", &inputs, &Bases::default()).unwrap_err();
        assert!(found[0].message.contains("could not be found"), "{wrong}");
    }
}

#[test]
fn named_contexts_replace_stages_and_images() {
    let mut inputs = no_arguments();
    let contexts = [
        ("st", NamedContext::Directory),
        ("alpine", NamedContext::Directory),
        ("other", NamedContext::Image("mirror/other:1".to_owned())),
        ("alias", NamedContext::Stage("built".to_owned())),
    ];
    inputs.contexts = contexts
        .map(|(name, context)| (name.to_owned(), context))
        .into();
    let source = "FROM nowhere AS st\nRUN never\nFROM scratch AS built\nCOPY b /\n\
        FROM docker.io/library/alpine:latest\nCOPY --from=st /x /x\nCOPY --from=other /y /y\nCOPY --from=alias / /";
    let graph = graph(source, &inputs, &Bases::default());
    let contexts = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Context { name } => name.as_deref(),
        _ => None,
    });
    assert_eq!(contexts.collect::<Vec<_>>(), ["st", "alpine"]);
    assert!(graph.nodes.iter().any(
        |node| matches!(&node.op, Op::Image { reference, .. } if reference == "mirror/other:1")
    ));
    assert!(!graph.nodes.iter().any(|node| matches!(node.op, Op::Run(_))));
    let last = graph.node(graph.target_stage().output);
    assert_eq!(
        last.op.inputs()[1],
        graph
            .stages
            .iter()
            .find(|stage| stage.index == 1)
            .unwrap()
            .output
    );
    assert_eq!(graph.target_stage().config.working_dir, "/");
}

#[test]
fn labels_of_the_command_line_come_last_and_to_the_target_only() {
    let mut inputs = no_arguments();
    inputs
        .language
        .labels
        .insert("a".to_owned(), "cli".to_owned());
    let graph = evaluated("FROM scratch AS x\nLABEL a=1\nFROM x\nLABEL a=2", inputs);
    assert_eq!(graph.stages[0].config.labels["a"], "1");
    assert_eq!(graph.target_stage().config.labels["a"], "cli");
}

#[test]
fn unused_arguments_are_told() {
    let mut inputs = build_arg("USED", "1");
    for name in [
        "GLOBAL",
        "UNUSED",
        "HTTPS_PROXY",
        "BUILDKIT_INLINE_CACHE",
        "TARGETARCH",
    ] {
        inputs
            .language
            .build_args
            .insert(name.to_owned(), "x".to_owned());
    }
    let graph = evaluated("ARG GLOBAL\nFROM scratch\nARG USED", inputs);
    assert_eq!(graph.unused_build_args, ["UNUSED"]);
}

#[test]
fn the_epoch_is_an_argument() {
    let mut inputs = no_arguments();
    inputs.language.source_date_epoch = Some(7);
    let graph = evaluated(
        "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL e=$SOURCE_DATE_EPOCH",
        inputs,
    );
    assert_eq!(graph.target_stage().config.labels["e"], "7");
    assert_eq!(graph.source_date_epoch, Some(7));
    let of = |value: &str| format!("ARG SOURCE_DATE_EPOCH={value}\nFROM scratch");
    assert_eq!(
        evaluated(&of("9"), no_arguments()).source_date_epoch,
        Some(9)
    );
    assert_eq!(
        evaluated(&of("context"), no_arguments()).source_date_epoch,
        None
    );
    assert_eq!(
        evaluation_messages(&of("x")),
        ["invalid SOURCE_DATE_EPOCH: x"]
    );
}

#[test]
fn errors_of_several_lines_come_at_once() {
    let found = messages("FROM x\nFOO\nCOPY a\nENV\nUSER a b");
    assert_eq!(found.len(), 3);
    let parsed = parse("FROM x\nENV a\nRUN <<E\nFOO");
    assert!(
        parsed
            .errors
            .iter()
            .all(|found| found.phase == Phase::Syntax)
    );
    assert_eq!(
        parsed
            .errors
            .iter()
            .map(|found| found.line)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    let found = evaluation_messages(
        "FROM scratch AS a\nEXPOSE x\nFROM scratch AS b\nUSER ${\nFROM a\nCOPY --from=b / /\nUSER '",
    );
    assert_eq!(
        found.len(),
        2,
        "what stands on a broken stage is not looked at: {found:?}"
    );
}

#[test]
fn bases_that_cannot_be() {
    for (from, message) in [
        ("$NOPE", "should not be blank"),
        ("A:b:c", "failed to parse stage name"),
        ("${", "failed to process"),
        ("--platform=$NOPE x", "empty platform value"),
        ("--platform=a/b/c/d x", "failed to parse platform"),
    ] {
        let found = evaluation_messages(&format!("FROM {from}"));
        assert!(
            found.len() == 1 && found[0].contains(message),
            "{from}: {found:?}"
        );
    }
}

#[test]
fn undefined_variables_are_warned_of() {
    let graph = evaluated(
        "FROM scratch\nARG DECLARED\nENV NAME=1\nLABEL a=$NAMEE b=$DECLARED c=$NAME",
        no_arguments(),
    );
    let found: Vec<_> = graph
        .warnings
        .iter()
        .map(|found| (found.code, found.message.as_str(), found.line))
        .collect();
    assert_eq!(
        found,
        [(
            "UndefinedVar",
            "Usage of undefined variable '$NAMEE' (did you mean $NAME?)",
            4
        )]
    );
}

#[test]
fn limits() {
    let found = messages(&" ".repeat(crate::MAX_SOURCE + 1));
    assert!(found[0].contains("larger than"));
    let found = messages(&"FROM x\n".repeat(crate::MAX_STAGES + 1));
    assert!(found[0].contains("more than 10000 stages"));
    assert_eq!(messages("").len(), 1);
    assert_eq!(messages(&"FOO\n".repeat(1_000)).len(), 100);
    let found = messages(&"ARG\n".repeat(crate::ast::MAX_INSTRUCTIONS + 1));
    assert_eq!(found[0], "more than 1500000 instructions");
    let deep = format!("FROM x\n{}RUN x", "ONBUILD ".repeat(100_000));
    assert_eq!(
        messages(&deep),
        ["Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"]
    );
}

#[test]
fn values_are_limited_in_sum() {
    let doubling = "ENV A=$A$A\n".repeat(16);
    let big = format!("FROM scratch AS s0\nENV A=0123456789\n{doubling}");
    let labels: String = (0..1_000).map(|n| format!("l{n}=$A ")).collect();
    let stages: String = (0..1_000)
        .map(|n| format!("FROM s{n} AS s{}\n", n + 1))
        .collect();
    for hostile in ["RUN x\n".repeat(1_000), format!("LABEL {labels}"), stages] {
        let parsed = parse(&format!("{big}{hostile}"));
        let found = evaluate(&parsed.dockerfile, &no_arguments(), &Bases::default());
        assert_eq!(found.unwrap_err()[0].code, crate::code::TOO_MUCH);
    }
}

#[test]
fn many_of_everything_is_still_quick() {
    let many = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<String>();
    let source = format!(
        "FROM scratch\n{}ENV {}\nCOPY {} a /\nCOPY --from=scratch {} b /\nRUN x\n",
        many(20_000, |n| format!("ARG a{n}=$b{n}\n")),
        many(50_000, |n| format!("e{n}={n} ")),
        many(50_000, |n| format!("--exclude={n} ")),
        many(50_000, |n| format!("f{n} ")),
    );
    let graph = evaluated(&source, no_arguments());
    assert_eq!(graph.target_stage().config.env.len(), 50_001);
}

#[test]
fn a_directory_as_base_is_copied_onto_nothing() {
    let mut inputs = no_arguments();
    inputs
        .contexts
        .insert("base".to_owned(), NamedContext::Directory);
    let graph = graph("FROM base", &inputs, &Bases::default());
    let Op::Copy(copy) = &graph.node(graph.target_stage().output).op else {
        panic!("{graph:?}")
    };
    assert_eq!(graph.node(copy.base).op, Op::Scratch);
    let CopySource::Files { from, paths } = &copy.sources[0] else {
        panic!("{copy:?}")
    };
    assert!(matches!(graph.node(*from).op, Op::Context { .. }) && paths[0].pattern.is_empty());
}

#[test]
fn a_base_for_another_platform_decides_or_is_told() {
    let mut config = ImageConfig::new(&Platform::new("linux", "arm64"));
    config.rootfs.diff_ids = vec![kiln_oci::Digest::of(b"layer")];
    let stage = |source: &str, change: fn(&mut Inputs)| {
        let (mut inputs, mut bases) = (no_arguments(), Bases::default());
        change(&mut inputs);
        let requests = needs(source, &inputs, &bases);
        answer(&mut bases, &requests, &config);
        let Evaluation::Graph(graph) =
            evaluate(&parse(source).dockerfile, &inputs, &bases).unwrap()
        else {
            panic!("more is needed");
        };
        let stage = graph.target_stage();
        let told = graph
            .warnings
            .iter()
            .any(|found| found.code == "InvalidBaseImagePlatform");
        let asked = graph.node(stage.base).op.clone();
        assert!(
            matches!(asked, crate::graph::Op::Image { platform, .. } if platform == requests[0].platform)
        );
        (
            stage.platform.to_string(),
            stage.image_platform.to_string(),
            told,
        )
    };
    let answer = |stage: &str, image: &str, told| (stage.to_owned(), image.to_owned(), told);
    let emulated: fn(&mut Inputs) = |inputs| inputs.can_run = |other| other.architecture == "arm64";
    let given: fn(&mut Inputs) = |inputs| {
        inputs.can_run = |other| other.architecture == "arm64";
        inputs.platform_is_given = true;
    };
    assert_eq!(
        stage("FROM x", |_| {}),
        answer("linux/amd64", "linux/arm64", true)
    );
    assert_eq!(
        stage("FROM x", emulated),
        answer("linux/arm64", "linux/arm64", false)
    );
    assert_eq!(
        stage("FROM x", given),
        answer("linux/amd64", "linux/amd64", true)
    );
    let named = "FROM --platform=$BUILDPLATFORM x";
    assert_eq!(
        stage(named, emulated),
        answer("linux/amd64", "linux/arm64", true)
    );
    let foreign = "FROM --platform=linux/arm64 x";
    assert_eq!(
        stage(foreign, given),
        answer("linux/arm64", "linux/amd64", false)
    );
}
