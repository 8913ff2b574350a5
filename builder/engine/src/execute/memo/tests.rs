//! The key of a whole build changes with all that decides about its image, and with nothing else.

use super::key;
use crate::plan::testing::{build, plan};
use crate::request::{Pull, Request, Squash};
use kiln_oci::{Digest, Reference};

const TEXT: &str = "FROM scratch\nLABEL a=b\nCOPY . /\nRUN make\n";

fn key_of(text: &str, content: &str, change: impl FnOnce(&mut Request)) -> Option<Digest> {
    let build = build(text, change);
    key(&build, &plan(&build, content))
}

fn changed(change: impl FnOnce(&mut Request)) -> Option<Digest> {
    key_of(TEXT, "content", change)
}

#[test]
fn it_follows_the_dockerfile_and_the_files() {
    let base = changed(|_| {}).unwrap();
    for (text, content) in [
        (TEXT, "other content"),
        ("FROM scratch\nLABEL a=c\nCOPY . /\nRUN make\n", "content"),
        (
            "FROM scratch\nLABEL a=b\nCOPY . /\nRUN make all\n",
            "content",
        ),
        (
            "FROM scratch\nLABEL a=b\nMAINTAINER me\nCOPY . /\nRUN make\n",
            "content",
        ),
        (
            "FROM scratch\nLABEL a=b\nCOPY . /\nRUN make\nENV a=b\n",
            "content",
        ),
    ] {
        assert_ne!(key_of(text, content, |_| {}), Some(base), "{text}");
    }
    for text in [format!("# a comment\n{TEXT}"), TEXT.replace("RUN", "\nRUN")] {
        assert_eq!(key_of(&text, "content", |_| {}), Some(base), "{text}");
    }
}

#[test]
fn it_follows_the_groups_of_the_request() {
    let base = changed(|_| {});
    assert!(base.is_some());
    let pair = || ("a".to_owned(), "1.2.3.4".to_owned());
    let others = [
        changed(|request| request.run.extra_hosts.push(pair())),
        changed(|request| request.form.squash = Squash::All),
        changed(|request| request.form.always_index = true),
        changed(|request| request.language.labels.extend([pair()])),
        changed(|request| request.language.env.extend([pair()])),
        changed(|request| request.language.source_date_epoch = Some(1)),
    ];
    for (place, other) in others.into_iter().enumerate() {
        assert!(other.is_some() && other != base, "{place}");
    }
    let name = || Reference::parse("a:1").unwrap();
    let same = [
        changed(|request| request.run.jobs = Some(1)),
        changed(|request| request.reuse.pull = Pull::Always),
        changed(|request| request.goal.tags.push(name())),
        changed(|request| request.form.save_stages = true),
        changed(|request| request.notices.push("x".to_owned())),
    ];
    assert!(same.iter().all(|key| *key == base));
    assert_eq!(
        changed(|request| request.goal.manifest = Some(name())),
        None
    );
    assert_eq!(changed(|request| request.form.stage_labels = true), None);
}

#[test]
fn there_is_none_while_something_has_to_be_fetched() {
    let text = "FROM scratch\nADD https://example.com/x /\n";
    assert_eq!(key_of(text, "content", |_| {}), None);
}
