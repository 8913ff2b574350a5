//! What a plan says of its steps before anything runs.

use super::testing::{build, plan};
use super::{Plan, steps};
use crate::request::ContextSource;
use kiln_oci::Platform;
use kiln_parser::graph::Op;
use std::path::Path;

fn plan_of(text: &str) -> Plan {
    plan(&build(text, |_| {}), "content")
}

fn titles(plan: &Plan) -> Vec<&str> {
    let steps = plan.steps_by_origin().into_iter();
    steps
        .map(|step| plan.graph.node(step).title.as_str())
        .collect()
}

const STAGES: &str = "FROM scratch AS a\nRUN a\nFROM scratch AS unused\nRUN unused\nFROM scratch\nRUN b\nCOPY --from=a / /a\n";

#[test]
fn only_what_the_target_needs_is_wanted() {
    let plan = plan_of(STAGES);
    let told: Vec<_> = steps(&plan)
        .into_iter()
        .filter(|step| step.title.starts_with("RUN") || step.title.starts_with("COPY"))
        .map(|step| (step.stage, step.title))
        .collect();
    let expected = [
        ("a", "RUN a"),
        ("stage-2", "RUN b"),
        ("stage-2", "COPY --from=a / /a"),
    ];
    let expected = expected.map(|(stage, title)| (stage.to_owned(), title.to_owned()));
    assert_eq!(told, expected);
}

#[test]
fn steps_are_counted_by_stage() {
    let text = "FROM scratch AS a\nRUN a\nRUN b\nFROM a\nRUN c\n";
    let places: Vec<_> = steps(&plan_of(text))
        .into_iter()
        .filter(|step| step.title.starts_with("RUN"))
        .map(|step| (step.number, step.of))
        .collect();
    let of_first: Vec<_> = places.iter().map(|(_, of)| *of).collect();
    assert_eq!(places.len(), 3);
    assert_eq!(of_first[0], of_first[1]);
    assert!(places[0].0 < places[1].0 && places[1].0 <= of_first[1]);
}

#[test]
fn the_order_of_steps_is_that_of_what_they_are_made_from() {
    let one = plan_of(
        "FROM scratch AS a\nRUN a\nFROM scratch AS b\nRUN b\nFROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b\n",
    );
    let other = plan_of(
        "FROM scratch AS b\nRUN b\nFROM scratch AS a\nRUN a\nFROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b\n",
    );
    assert_eq!(titles(&one), titles(&other));
}

#[test]
fn what_a_step_is_made_from_follows_its_context() {
    let build = build("FROM scratch\nRUN before\nCOPY . /\nRUN after\n", |_| {});
    let (one, other) = (plan(&build, "one"), plan(&build, "other"));
    let is_same = |title: &str| {
        let node = one
            .graph
            .nodes
            .iter()
            .find(|node| node.title == title)
            .unwrap();
        one.made_from(node.id) == other.made_from(node.id)
    };
    assert!(is_same("RUN before"));
    assert!(!is_same("COPY . /") && !is_same("RUN after"));
}

#[test]
fn nothing_is_known_of_what_is_still_to_be_fetched() {
    let plan = plan_of("FROM scratch\nADD https://example.com/x /\nRUN after\n");
    let output = plan.graph.stages[plan.targets[0].stage].output;
    assert_eq!(plan.made_from(output), None);
}

#[test]
fn stages_are_called_by_their_platform_where_there_are_several() {
    let build = build("FROM scratch\nRUN a\n", |request| {
        let platforms = ["linux/amd64", "linux/arm64"];
        request.form.platforms = platforms.map(|text| Platform::parse(text).unwrap()).into();
    });
    let plan = plan(&build, "content");
    assert_eq!(plan.stage_name(Some(0)), "linux/amd64 stage-0");
    assert_eq!(plan.stage_name(Some(1)), "linux/arm64 stage-0");
    assert_eq!(plan.stage_name(None), "kiln");
}

#[test]
fn the_folder_of_a_context_is_found_by_its_name() {
    let text = "FROM scratch\nCOPY --from=Tools a /\nCOPY --from=files b /\n";
    let build = build(text, |request| {
        let contexts = &mut request.sources.contexts;
        contexts.insert("tools".to_owned(), ContextSource::HostTools(Vec::new()));
        contexts.insert(
            "files".to_owned(),
            ContextSource::Directory("/files".into()),
        );
    });
    let plan = plan(&build, "content");
    let folder = |name: &str| {
        let is_called = |op: &Op| matches!(op, Op::Context { name: Some(own) } if own == name);
        let node = plan
            .graph
            .nodes
            .iter()
            .find(|node| is_called(&node.op))
            .unwrap();
        plan.context_folder(&build, node.id)
    };
    assert_eq!(folder("tools"), None);
    assert_eq!(folder("files"), Some(Path::new("/files")));
}
