//! Whatever the text: no panic, and places that lie inside the source.

use proptest::prelude::*;

use super::no_arguments;
use crate::ast::{Dockerfile, parse};
use crate::evaluate::evaluate;
use crate::inputs::{Bases, Evaluation};
use crate::line::{Arguments, Line};
use crate::source::Span;
use crate::steps;
use kiln_oci::ImageConfig;

/// Pieces that Dockerfiles are made of, and some that they are not.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("FROM scratch AS a\n"),
        Just("FROM x\n"),
        Just("\nFROM $A AS b"),
        Just("ARG A=a\n"),
        Just("\nENV k=v $A=\"b c\" "),
        Just("\nLABEL a b"),
        Just("\nRUN "),
        Just("--mount=type=cache,target=/x "),
        Just("--mount=from=a,target=x "),
        Just("--network=none "),
        Just("\nCOPY --from=a "),
        Just("\nCOPY --chmod=u=rwX <<E "),
        Just("\nADD https://h/x.git#a "),
        Just("\nONBUILD COPY --from=a x y"),
        Just("\nHEALTHCHECK --interval=1m CMD "),
        Just("\nEXPOSE 80-$A/tcp "),
        Just("\nSHELL [\"a\", "),
        Just("\"b\"]\n"),
        Just("\nWORKDIR ../$A"),
        Just("\nSTOPSIGNAL 9\n"),
        Just("\nUSER ${A:-b}\n"),
        Just("<<E\nbody $A\nE\n"),
        Just(" \\\n"),
        Just("# escape=`\n"),
        Just("# c\n"),
        Just("a /b"),
        Just("\r\n"),
        Just("é"),
        Just("'"),
        Just("\""),
        Just("${"),
    ];
    let anything = "[^\\x00]{0,4}".prop_map(String::from);
    let part = prop_oneof![9 => piece.prop_map(str::to_owned), 1 => anything];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn spans_of(line: &Line, spans: &mut Vec<Span>) {
    spans.extend([line.span, line.name_span()]);
    spans.extend(line.flags().iter().map(|flag| flag.span));
    spans.extend(line.heredocs().iter().map(|doc| doc.span));
    match &line.arguments {
        Arguments::Words { words, .. } => spans.extend(words.iter().map(|word| word.span)),
        Arguments::Pairs(pairs) => spans.extend(pairs.iter().map(|pair| pair.span)),
        Arguments::Trigger(Some(trigger)) => spans_of(trigger, spans),
        Arguments::Trigger(None) => {}
    }
}

fn all_spans(file: &Dockerfile) -> Vec<Span> {
    let mut spans = Vec::new();
    file.lines
        .iter()
        .for_each(|line| spans_of(line, &mut spans));
    spans.extend(file.directives.iter().map(|directive| directive.span));
    spans
}

/// Bytes looked at for each byte of the source.
fn cost(source: &str) -> u64 {
    steps::count(|| drop(parse(source))) / source.len() as u64
}

#[test]
fn what_could_be_looked_at_again_and_again_is_not() {
    for piece in [
        "RUN <<A <<B\n",
        "COPY <<A /\nx\n",
        "RUN a \\\n# c\n\n",
        "ONBUILD RUN x\n",
        "ENV a=b \\\n",
        "# c\n",
        "#=\n",
        "\n",
        " ",
        "[\"",
        "RUN [\"a\",\n",
        "HEALTHCHECK CMD [\"a\"]\n",
        "RUN --mount=type=cache,target=/a b\n",
        "COPY --a",
        "${",
        "\u{feff}",
    ] {
        for (before, after) in [
            ("FROM x\n", ""),
            ("FROM x\nRUN ", "\nEOF"),
            ("FROM x\nCOPY <<E /\n", "\nE\n"),
        ] {
            let cost = |times: usize| cost(&[before, &piece.repeat(times), after].concat());
            assert!(
                cost(4_000) <= cost(500) * 2 + 20,
                "{before:?} {piece:?}: {} {}",
                cost(500),
                cost(4_000)
            );
        }
    }
}

proptest! {
    #[test]
    fn the_cost_grows_as_the_length(source in text()) {
        prop_assume!(!source.is_empty());
        let (short, long) = (cost(&source.repeat(20)), cost(&source.repeat(160)));
        prop_assert!(long <= short * 2 + 20, "{short} {long}");
    }

    #[test]
    fn spans_lie_inside_the_source(source in text()) {
        let parsed = parse(&source);
        let mut spans = all_spans(&parsed.dockerfile);
        spans.extend(parsed.errors.iter().map(|found| found.span));
        for span in spans {
            prop_assert!(source.get(span.range()).is_some(), "{span:?} in {source:?}");
        }
        let lines = u32::try_from(source.matches('\n').count()).unwrap() + 1;
        for line in &parsed.dockerfile.lines {
            prop_assert!(line.first >= 1 && line.first <= line.last && line.last <= lines);
        }
    }

    #[test]
    fn names_and_words_are_where_their_spans_say(source in text()) {
        for line in &parse(&source).dockerfile.lines {
            let name = line.name_span();
            // A name may be cut by a continuation; then the span holds the cut too.
            let written = &source[name.range()];
            prop_assert!(written == line.name() || written.contains('\n'));
        }
    }

    #[test]
    fn evaluation_never_panics_and_is_deterministic(source in text()) {
        let parsed = parse(&source);
        if parsed.has_errors() {
            return Ok(());
        }
        let mut bases = Bases::default();
        for _ in 0..4 {
            match evaluate(&parsed.dockerfile, &no_arguments(), &bases) {
                Ok(Evaluation::Needs(requests)) => {
                    for request in &requests {
                        let mut config = ImageConfig::new(&request.platform);
                        config.config.on_build = vec!["COPY --from=a x /".to_owned()];
                        bases.insert(request, config);
                    }
                }
                Ok(Evaluation::Graph(graph)) => {
                    for node in &graph.nodes {
                        prop_assert!(node.op.inputs().iter().all(|input| input.0 < node.id.0));
                    }
                    let again = evaluate(&parsed.dockerfile, &no_arguments(), &bases);
                    let Ok(Evaluation::Graph(again)) = again else {
                        panic!("another answer")
                    };
                    prop_assert_eq!(
                        serde_json::to_string(&graph).unwrap(),
                        serde_json::to_string(&again).unwrap()
                    );
                    return Ok(());
                }
                Err(found) => {
                    prop_assert!(!found.is_empty());
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "it never stops asking");
    }
}
