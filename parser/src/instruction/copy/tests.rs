//! What COPY becomes.

use crate::graph::{CopyOp, CopySource, Op, StageGraph, Unpack};
use crate::tests::{build_arg, evaluated, evaluation_messages, messages, no_arguments};

fn last(graph: &StageGraph) -> CopyOp {
    match &graph.nodes.last().unwrap().op {
        Op::Copy(copy) => copy.clone(),
        other => panic!("{other:?}"),
    }
}

fn copy(source: &str) -> CopyOp {
    last(&evaluated(
        &format!("FROM scratch\n{source}\n"),
        no_arguments(),
    ))
}

fn patterns(copy: &CopyOp) -> Vec<(&str, &str)> {
    let CopySource::Files { paths, .. } = &copy.sources[0] else {
        panic!("{copy:?}")
    };
    paths
        .iter()
        .map(|path| (path.pivot.as_str(), path.pattern.as_str()))
        .collect()
}

#[test]
fn sources_stay_below_the_root() {
    let copy = copy("WORKDIR /w\nCOPY ../../a /b/ . c*/[d] x/");
    assert_eq!(
        patterns(&copy),
        [("", "a"), ("", "b"), ("", ""), ("", "c*/[d]")]
    );
    assert_eq!(copy.destination, "/w/x/");
    assert_eq!(
        (copy.unpack, copy.is_add, copy.link),
        (Unpack::No, false, false)
    );
}

#[test]
fn parents_have_a_pivot() {
    assert_eq!(
        patterns(&copy("COPY --parents a/./b/c /d /x/")),
        [("a", "b/c"), ("", "d")]
    );
    assert_eq!(patterns(&copy("COPY a/./b /x/")), [("", "a/b")]);
}

#[test]
fn options_and_history() {
    let source = "FROM scratch\nARG U M\nCOPY --chown=$U:g --chmod=$M --exclude=*.o --exclude=!b.o --link a /x";
    let mut inputs = build_arg("U", "u");
    inputs
        .language
        .build_args
        .insert("M".to_owned(), "u=rwX,go=".to_owned());
    let graph = evaluated(source, inputs);
    let copy = last(&graph);
    assert_eq!(copy.chown.as_deref(), Some("u:g"));
    assert_eq!(copy.exclude, ["*.o", "!b.o"]);
    assert!(!copy.link, "modes forbid linking");
    assert_eq!(copy.chmod.unwrap().apply(0o666, true), 0o700);
    let made = &graph.target_stage().history.last().unwrap().created_by;
    assert_eq!(made, "COPY --chown=u:g --chmod=u=rwX,go= a /x # buildkit");
}

#[test]
fn heredocs_are_files() {
    let copy = copy("ENV A=1\nCOPY <<a <<-\"b\" /x/\n$A \"$A\" \\$A\na\n\t$A\nb");
    assert_eq!(
        copy.sources,
        [
            CopySource::Inline {
                name: "a".into(),
                content: "1 \"1\" $A\n".into()
            },
            CopySource::Inline {
                name: "b".into(),
                content: "$A\n".into()
            },
        ]
    );
    assert_eq!(messages("FROM x\nCOPY a <<E\nE").len(), 1);
}

#[test]
fn from_means_context_stage_or_image() {
    let graph = evaluated(
        "FROM scratch AS a\nCOPY x /\nFROM scratch\nCOPY --from=A / /y\nCOPY --from=0 / /y",
        no_arguments(),
    );
    assert_eq!(
        graph.nodes.len(),
        5,
        "by name or number, it is the same file system"
    );
    let graph = evaluated("FROM scratch\nCOPY --from=alpine:3 a b /y/", no_arguments());
    let CopySource::Files { from, .. } = &last(&graph).sources[0] else {
        panic!("{graph:?}")
    };
    // Where a missing image is reported.
    assert_eq!(
        graph.node(*from).span,
        Some(crate::source::Span::new(18, 33))
    );
    assert!(
        matches!(&graph.node(*from).op, Op::Image { reference, .. } if reference == "alpine:3")
    );
}

#[test]
fn from_holds_no_variables_and_no_later_stages() {
    for (from, message) in [
        ("$X", "variable expansion is not supported"),
        (
            "7",
            "invalid stage index 7: stages are numbered from 0 to 2",
        ),
        ("late", "needs to be defined before"),
        ("me", "circular dependency"),
        ("A:b:c", "failed to parse stage name"),
    ] {
        let source =
            format!("FROM scratch AS me\nCOPY --from={from} a /\nFROM scratch AS late\nFROM me");
        let found = evaluation_messages(&source);
        assert!(
            found.len() == 1 && found[0].contains(message),
            "{from}: {found:?}"
        );
    }
}

#[test]
fn what_copy_refuses() {
    for bad in [
        "https://a/b /x",
        "git@a:b /x",
        "--chmod=99 a /x",
        "--chmod=u+q a /x",
    ] {
        assert_eq!(
            evaluation_messages(&format!("FROM scratch\nCOPY {bad}")).len(),
            1,
            "{bad}"
        );
    }
    assert_eq!(messages("FROM x\nCOPY a\nCOPY").len(), 2);
}
